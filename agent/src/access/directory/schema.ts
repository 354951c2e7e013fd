import { X509Certificate } from "node:crypto";
import { z } from "zod";
import { description, isAddress, objectName } from "../../configuration/fields.ts";

/** A directory (LDAP, Active Directory) that checks passwords and says by groups which roles somebody holds. */

const serverPattern =
  /^(ldaps?):\/\/(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?)(?::(\d{1,5}))?\/?$/;

export type DirectoryServer = { scheme: "ldap" | "ldaps"; host: string; port: number };

/** The parts of an address that has passed {@link directory}; ports are those of RFC 4516 and of custom (636). */
export function splitServer(url: string): DirectoryServer {
  const [, scheme = "", host = "", port] = serverPattern.exec(url) ?? [];
  const secure = scheme === "ldaps";
  return {
    scheme: secure ? "ldaps" : "ldap",
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port: port === undefined ? (secure ? 636 : 389) : Number(port),
  };
}

function isServer(url: string): boolean {
  if (!serverPattern.test(url)) return false;
  const { host, port } = splitServer(url);
  return port >= 1 && port <= 65_535 && (!/^[\d.]+$|:/.test(host) || isAddress(host));
}

/** One line of text that is no description: a DN, a filter, a base. */
const line = (what: string, most = 1024) =>
  z
    .string()
    .min(1, `expected ${what}`)
    .max(most, `expected at most ${most} characters`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
    .regex(/^[^\u0000-\u001f\u007f]*$/, `expected ${what}, without control characters`);

/** PEM, one certificate or several. */
function areCertificates(text: string): boolean {
  const blocks = splitCertificates(text);
  return blocks.length > 0 && blocks.every(isCertificate) && text.replace(certificateBlock, "").trim() === "";
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

export function splitCertificates(text: string): string[] {
  return text.match(certificateBlock) ?? [];
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

/** Also for other servers this box talks to by TLS. */
export const caCertificates = z
  .string()
  .max(64 * 1024, "expected at most 64 KiB")
  .refine(areCertificates, "expected one or more certificates in PEM");

/** SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` shows it; kept without colons in lower case. */
export const fingerprint = z
  .string()
  .regex(/^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/, "expected a SHA-256 fingerprint of 64 hexadecimal digits")
  .transform((text) => text.replaceAll(":", "").toLowerCase());

const roleNames = z.array(objectName).max(64, "expected at most 64 roles");

const groupRoles = z
  .strictObject({
    group: line("the DN of a group").describe("DN of the group"),
    roles: roleNames.min(1, "expected at least one role").describe("Held by its members"),
  })
  .meta({ id: "GroupRoles", examples: [{ group: "cn=network,ou=groups,dc=example,dc=com", roles: ["operator"] }] });

const minutes = (least: number, most: number, unset: number) =>
  z
    .int("expected a whole number of minutes")
    .min(least, `expected at least ${least}`)
    .max(most, `expected at most ${most} minutes`)
    .default(unset);

export const directory = z
  .strictObject({
    description: description.default("").describe("For people"),
    enabled: z
      .boolean("expected true or false")
      .default(true)
      .describe("false: nobody logs in by it, and its sessions end"),
    order: z
      .int("expected a whole number")
      .min(1, "expected 1 to 1000")
      .max(1000, "expected 1 to 1000")
      .default(100)
      .describe("Directories are asked from the lowest number on, then by name"),
    servers: z
      .array(z.string().refine(isServer, "expected ldaps://host, ldap://host or either with :port"))
      .min(1, "expected at least one server")
      .max(8, "expected at most 8 servers")
      .describe(
        "Asked in this order until one answers. ldaps:// is TLS from the first byte; ldap:// begins TLS with StartTLS",
      ),
    allowUnencrypted: z
      .boolean("expected true or false")
      .default(false)
      .describe("true: ldap:// without TLS; passwords then cross the network in clear"),
    caCertificates: caCertificates
      .optional()
      .describe("Certificates of the authorities that may have signed the servers' (PEM); left out: the public ones"),
    pinnedCertificates: z
      .array(fingerprint)
      .max(16, "expected at most 16 fingerprints")
      .default([])
      .describe("SHA-256 of the servers' own certificates: these and no others, whoever signed them"),
    serverName: line("a host name", 253)
      .optional()
      .describe("The name that the servers' certificates have, where it is not that of the address"),
    bindDn: line("a DN").optional().describe("Account that searches; left out with no userTemplate: anonymous"),
    bindPassword: line("a password").optional().describe("Of bindDn; never shown"),
    userTemplate: line("a template such as {user}@example.com")
      .refine(
        (text) => text.includes("{user}") && text !== "{user}",
        "expected {user} and more, as in {user}@example.com",
      )
      .optional()
      .describe(
        "Users bind themselves by this name, such as uid={user},ou=people,dc=example,dc=com, before they are searched for",
      ),
    baseDn: line("a DN, like dc=example,dc=com").describe("Where users are searched for, and all below"),
    userFilter: line("a filter, like (uid={user})")
      .refine((text) => text.includes("{user}"), "expected {user} where the name goes, like (uid={user})")
      .default("(uid={user})")
      .describe("RFC 4515; {user} stands for the name, escaped. Active Directory: (sAMAccountName={user})"),
    groupLookup: z
      .enum(["memberOf", "search", "active-directory"], "expected memberOf, search or active-directory")
      .default("memberOf")
      .describe(
        "memberOf: the attribute of the user; search: groups that name the user, by groupFilter; active-directory: nested ones too, by the matching rule 1.2.840.113556.1.4.1941",
      ),
    groupBaseDn: line("a DN").optional().describe("Where groups are searched for; left out: baseDn"),
    groupFilter: line("a filter")
      .refine((text) => text.includes("{dn}") || text.includes("{user}"), "expected {dn} or {user} in it")
      .default("(|(member={dn})(uniqueMember={dn})(memberUid={user}))")
      .describe("For search: {dn} stands for the DN of the user, {user} for the name, both escaped"),
    nestedGroups: z
      .boolean("expected true or false")
      .default(false)
      .describe("For memberOf and search: groups of groups count too, up to 8 deep"),
    groupRoles: z
      .array(groupRoles)
      .max(256, "expected at most 256 groups")
      .default([])
      .describe("Which group holds which roles; who holds none is refused"),
    defaultRoles: roleNames.default([]).describe("Held by everybody whom the directory knows"),
    timeoutSeconds: z
      .int("expected a whole number of seconds")
      .min(1, "expected at least 1 s")
      .max(30, "expected at most 30 s")
      .default(5)
      .describe("For connecting with TLS, and for each answer"),
    recheckMinutes: minutes(1, 24 * 60, 5).describe("Roles of open sessions are looked up anew after this time"),
    graceMinutes: minutes(0, 7 * 24 * 60, 60).describe(
      "Sessions outlive a directory that does not answer for this time beyond recheckMinutes",
    ),
  })
  .meta({ id: "Directory" });

export type Directory = z.output<typeof directory>;
