import { z } from "zod";
import { address, description, hostName, objectName, port } from "../../../configuration/fields.ts";
import { caCertificates, fingerprint } from "../../directory/schema.ts";

/** Facilities of RFC 5424, table 1, by the names people know. */
export const facilities = {
  kern: 0,
  user: 1,
  daemon: 3,
  auth: 4,
  syslog: 5,
  authpriv: 10,
  audit: 13,
  alert: 14,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;

const facilityNames = Object.keys(facilities) as (keyof typeof facilities)[];

/** A syslog server that gets the audit log. */
export const auditTarget = z
  .strictObject({
    description: description.default("").describe("For people"),
    enabled: z
      .boolean("expected true or false")
      .default(true)
      .describe("false: nothing is sent, and the place is kept"),
    host: z.union([address, hostName], "expected an address or a host name").describe("Of the syslog server"),
    port: port.optional().describe("Left out: 6514 for tls, 601 for tcp, 514 for udp"),
    transport: z
      .enum(["tls", "tcp", "udp"], "expected tls, tcp or udp")
      .default("tls")
      .describe("tls: RFC 5425; tcp: RFC 6587 with octet counting; udp: RFC 5426, where what is lost is not noticed"),
    caCertificates: caCertificates
      .optional()
      .describe(
        "For tls: certificates of the authorities that may have signed the server's (PEM); left out: the public ones",
      ),
    pinnedCertificates: z
      .array(fingerprint)
      .max(16, "expected at most 16 fingerprints")
      .default([])
      .describe("For tls: SHA-256 of the server's own certificate: these and no others, whoever signed them"),
    serverName: hostName.optional().describe("For tls: the name in the certificate, where it is not the host"),
    clientCertificate: objectName
      .optional()
      .describe("For tls: name of the certificate of this box that a server gets to see which asks for one"),
    facility: z
      .enum(facilityNames, `expected one of ${facilityNames.join(", ")}`)
      .default("audit")
      .describe("Of RFC 5424"),
    format: z
      .enum(["json", "text"], "expected json or text")
      .default("json")
      .describe(
        "After the structured data. json: the record as it stands in the log, so that its hash can be checked; text: one sentence",
      ),
    enterpriseNumber: z
      .int("expected a private enterprise number")
      .min(1, "expected a private enterprise number")
      .max(4_294_967_295, "expected a private enterprise number")
      .default(32_473)
      .describe("Of the SD-ID steelyard@…; the default is the one for examples (RFC 5612)"),
    maxBytes: z
      .int("expected a number of bytes")
      .min(2048, "expected at least 2048 bytes")
      .max(262_144, "expected at most 262144 bytes")
      .default(8192)
      .describe("Greatest message the server takes; for udp 2048. A record that is longer goes without its diffs"),
  })
  .meta({ id: "AuditTarget" });

export type AuditTarget = z.output<typeof auditTarget>;

export const defaultPorts = { tls: 6514, tcp: 601, udp: 514 } as const;
