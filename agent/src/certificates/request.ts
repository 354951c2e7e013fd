import { generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";
import { withSecretFile } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { isAddress } from "../configuration/fields.ts";
import type { KeyType } from "./schema.ts";

/** Keys made on the box, and requests to have them signed (PKCS #10, RFC 2986). openssl(1) reads a key from a file of mode 0600 in memory, so it appears in no argument list. */

const generate = promisify(generateKeyPair) as (
  type: string,
  options: object,
) => Promise<{ publicKey: KeyObject; privateKey: KeyObject }>;

/** PEM (PKCS #8). RSA of 4096 bits takes seconds, on another thread. */
export async function makePrivateKey(type: KeyType): Promise<string> {
  const [kind = "", size = ""] = type.split("-");
  const curve = { p256: "prime256v1", p384: "secp384r1" }[size];
  const { privateKey } =
    kind === "rsa"
      ? await generate("rsa", { modulusLength: Number(size) })
      : await generate(kind === "ecdsa" ? "ec" : kind, { namedCurve: curve });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

export type RequestSubject = {
  /** The first is the common name too, as far as X.520 has room for it (64 characters). */
  names: readonly string[];
  organization?: string | undefined;
  /** Two letters, ISO 3166. */
  country?: string | undefined;
};

const serverExtensions = [
  ...["-addext", "basicConstraints=critical,CA:FALSE"],
  ...["-addext", "extendedKeyUsage=serverAuth"],
];

export async function makeRequest(machine: Machine, key: string, subject: RequestSubject): Promise<string> {
  return await runWithKey(machine, key, ["req", "-new", "-sha256", ...subjectOf(subject), ...serverExtensions]);
}

export async function makeSelfSigned(machine: Machine, key: string, name: string, days: number): Promise<string> {
  return await runWithKey(machine, key, [
    ...["req", "-x509", "-new", "-sha256", "-days", String(days)],
    ...subjectOf({ names: [name] }),
    ...serverExtensions,
    ...["-addext", "keyUsage=critical,digitalSignature"],
  ]);
}

async function runWithKey(machine: Machine, key: string, [command = "", ...rest]: string[]): Promise<string> {
  const path = machine.path(`/run/steelyard/key-${machine.randomBytes(8).toString("hex")}.pem`);
  return await withSecretFile(path, key, async (file) => {
    const { stdout } = await machine.run(["openssl", command, "-key", file, ...rest]);
    return stdout;
  });
}

function subjectOf({ names, organization, country }: RequestSubject): string[] {
  const parts = [country && `C=${country}`, organization && `O=${organization}`, `CN=${(names[0] ?? "").slice(0, 64)}`];
  const subject = parts.filter((part) => part !== undefined && part !== "").map((part) => escapePart(String(part)));
  const alternatives = names.map((name) => `${isAddress(name) ? "IP" : "DNS"}:${name}`).join(",");
  return ["-subj", `/${subject.join("/")}`, "-utf8", "-addext", `subjectAltName=${alternatives}`];
}

/** openssl-req(1), -subj: a backslash before what would begin the next part. */
function escapePart(part: string): string {
  return part.replace(/[\\/+]/g, "\\$&");
}
