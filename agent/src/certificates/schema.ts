import { z } from "zod";
import { description } from "../configuration/fields.ts";

/** Certificates, their keys, and what is sent to an authority to have one signed. */

const certificateBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const keyBlock = /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----[\s\S]+?-----END (?:RSA |EC )?PRIVATE KEY-----/g;
const requestBlock = /-----BEGIN CERTIFICATE REQUEST-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE REQUEST-----/g;

/** The blocks alone, in one spelling: files come with remarks around them (`Bag Attributes`) and the line ends of other systems. */
function keepBlocks(text: string, block: RegExp): string {
  return (text.match(block) ?? []).map((each) => `${each.replace(/[ \t\r]+$/gm, "").replaceAll("\r", "")}\n`).join("");
}

/** Each certificate of a chain, in PEM. */
export function splitChain(chain: string): string[] {
  return chain.match(certificateBlock) ?? [];
}

const chain = z
  .string("expected certificates in PEM")
  .max(65_536, "expected at most 64 KiB")
  .refine((text) => !text.includes("PRIVATE KEY-----"), "expected certificates alone: the private key belongs in key")
  .refine((text) => splitChain(text).length > 0, "expected certificates in PEM: -----BEGIN CERTIFICATE-----")
  .refine((text) => splitChain(text).length <= 10, "expected at most 10 certificates")
  .transform((text) => keepBlocks(text, certificateBlock))
  .meta({ examples: ["-----BEGIN CERTIFICATE-----\nMIIBhTCCASugAwIBAgIUTg==\n-----END CERTIFICATE-----\n"] });

const key = z
  .string("expected the private key in PEM")
  .max(16_384, "expected at most 16 KiB")
  .refine((text) => !text.includes("ENCRYPTED"), "expected a key without a passphrase: take it off with openssl pkey")
  .refine((text) => text.match(keyBlock)?.length === 1, "expected one private key in PEM: -----BEGIN PRIVATE KEY-----")
  .transform((text) => keepBlocks(text, keyBlock))
  .meta({ examples: ["-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49Ag==\n-----END PRIVATE KEY-----\n"] });

const request = z
  .string("expected a request in PEM")
  .max(16_384, "expected at most 16 KiB")
  .refine(
    (text) => text.match(requestBlock)?.length === 1,
    "expected one request in PEM: -----BEGIN CERTIFICATE REQUEST-----",
  )
  .transform((text) => keepBlocks(text, requestBlock))
  .meta({
    examples: ["-----BEGIN CERTIFICATE REQUEST-----\nMIHeMIGFAgEAMBQxEjAQBg==\n-----END CERTIFICATE REQUEST-----\n"],
  });

export const certificate = z
  .strictObject({
    description: description.default(""),
    certificate: chain
      .optional()
      .describe(
        "PEM: the server's certificate, then each authority that signed the one before; none while a request awaits its answer",
      ),
    key: key.describe("PEM, without a passphrase: RSA of 2048 bits or more, ECDSA (P-256, P-384, P-521) or Ed25519"),
    request: request.optional().describe("PEM (PKCS #10), for keys made on the box: what the authority signs"),
  })
  .meta({ id: "Certificate" });

export type Certificate = z.output<typeof certificate>;

/** Kinds of keys the box makes. */
export const keyTypes = ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072", "rsa-4096", "ed25519"] as const;
export type KeyType = (typeof keyTypes)[number];
