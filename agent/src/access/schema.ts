import { z } from "zod";
import { description, objectName, prefixedAddress } from "../configuration/fields.ts";

/** Names that accounts of the system have: a user of the same name would be one person to the API and another to the kernel. */
const reservedNames = new Set(
  (
    "root daemon bin sys sync games man lp mail news uucp proxy backup list irc gnats nobody messagebus sshd polkitd tcpdump haproxy gdnsd " +
    "ntp ntpsec chrony snmp frr bird keepalived conntrackd steelyard adm tty disk sudo shadow utmp video staff users nogroup wheel"
  ).split(" "),
);

/** Name of a user: the same alphabet as a Linux login, since users with a shell have one. */
export const userName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,31}$/, "expected 1 to 32 of a-z, 0-9, - and _, beginning with a letter")
  .refine(
    (name) => !reservedNames.has(name) && !name.startsWith("systemd-") && !name.startsWith("steelyard-"),
    "expected a name that is not one of the system's own",
  )
  .meta({ examples: ["anna"] });

/** A crypt(3) hash of the kind `$7$` (scrypt, RFC 7914): the API and the console's login check the same one. */
export const passwordHash = z
  .string()
  .regex(/^\$7\$[./0-9A-Za-z]{11}[./0-9A-Za-z]{8,64}\$[./0-9A-Za-z]{43}$/, "expected a crypt(3) scrypt hash ($7$…)");

/** A password as it is sent; how good it is says password-policy.ts. */
export const newPassword = z.string("expected a password").max(1024, "expected at most 1024 characters");

/** An OpenSSH public key on one line, as in authorized_keys, without options. */
export const sshPublicKey = z.string().regex(
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a comment must not move the cursor of whoever reads it
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+={0,3}(?: [^\u0000-\u0008\u000a-\u001f\u007f-\u009f]*)?$/,
  "expected an OpenSSH public key on one line, like ssh-ed25519 AAAA… name",
);

/** `farms:update`; either half may be `*`. */
export const permissionPattern = z
  .string()
  .regex(/^(?:\*|[a-z][a-z-]{0,31}):(?:\*|[a-z][a-z-]{0,31})$/, "expected resource:verb, like farms:update or farms:*")
  .meta({ examples: ["farms:update"] });

/** The name of an object, or a pattern of names: `*` stands for any characters. */
const namePattern = z
  .string()
  .regex(/^[a-zA-Z0-9_.*-]{1,63}$/, "expected the name of an object, in which * stands for any characters");
const namePatterns = z.array(namePattern).max(256, "expected at most 256 names");

/** The kinds of object a role can be bound to. */
export const bindings = z
  .strictObject({
    farms: namePatterns.optional().describe("Names of farms; * stands for any characters"),
    interfaces: namePatterns.optional().describe("Names of interfaces; * stands for any characters"),
    certificates: namePatterns.optional().describe("Names of certificates; * stands for any characters"),
  })
  .meta({ id: "Bindings", examples: [{ farms: ["web", "shop-*"] }] });

export type Bindings = z.output<typeof bindings>;

const roleNames = z.array(objectName).max(64, "expected at most 64 roles");

/** What whoever holds it may do. */
export const role = z
  .strictObject({
    description: description.default("").describe("For people"),
    permissions: z
      .array(permissionPattern)
      .max(256, "expected at most 256 permissions")
      .default([])
      .describe("Each resource:verb; either half may be *"),
    bindings: bindings
      .default({})
      .describe(
        "Only these objects, by kind; a kind left out is not bound. In a bound role the resource * stands for the bound kinds",
      ),
  })
  .meta({ id: "Role" });

export const group = z
  .strictObject({
    description: description.default("").describe("For people"),
    roles: roleNames.default([]).describe("Held by every member"),
  })
  .meta({ id: "Group" });

/** The second factor of a user (RFC 6238): hidden as a whole. */
const totp = z.strictObject({
  secret: z
    .string()
    .regex(/^[A-Z2-7]{16,128}$/, "expected a secret in base 32")
    .describe("Shared with an authenticator app"),
  recoveryCodes: z
    .array(z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256"))
    .max(10, "expected at most 10 codes")
    .default([])
    .describe("SHA-256 of each code that is left"),
});

/** An operator's account. */
export const user = z
  .strictObject({
    fullName: description.default("").describe("Shown to people"),
    description: description.default("").describe("For people"),
    source: z
      .enum(["local", "directory"], "expected local or directory")
      .default("local")
      .describe("Who checks the password: this box, or a directory such as LDAP"),
    passwordHash: passwordHash.optional().describe("Left out: no login by password"),
    totp: totp.optional().describe("Second factor; set up by the user"),
    groups: z.array(objectName).max(64, "expected at most 64 groups").default([]).describe("Their roles are held too"),
    roles: roleNames.default([]).describe("In addition to those of the groups"),
    sshKeys: z
      .array(sshPublicKey)
      .max(32, "expected at most 32 keys")
      .default([])
      .describe("For the shell of the box; needs the permission shell:use"),
    disabled: z.boolean().default(false).describe("true: lets nobody in, and ends what is open"),
    expires: z.iso
      .date("expected a date, like 2027-01-31")
      .optional()
      .describe("From the beginning of this day (UTC) on, the account lets nobody in"),
  })
  .meta({ id: "User" });

/** A key for a program, which acts in the name of its owner. */
export const apiKey = z
  .strictObject({
    description: description.default("").describe("For people"),
    owner: userName.describe("In whose name it acts; a key never does more than its owner may do now"),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/, "expected a SHA-256 in hexadecimal")
      .describe("Of the key; it is 256 random bits, so a fast hash is no weakness"),
    roles: roleNames.min(1, "expected at least one role").describe("What it may do"),
    networks: z
      .array(prefixedAddress)
      .max(64, "expected at most 64 networks")
      .default([])
      .describe("Only from these networks, such as 192.0.2.0/24; none: from anywhere"),
    created: z.iso.datetime("expected a time").describe("When it was made"),
    expires: z.iso.datetime("expected a time, like 2027-01-31T00:00:00Z").optional().describe("When it ends"),
  })
  .meta({ id: "ApiKey" });

const minutes = (least: number, most: number, unset: number) =>
  z
    .int("expected a whole number of minutes")
    .min(least, `expected at least ${least} minutes`)
    .max(most, `expected at most ${most} minutes`)
    .default(unset);

/** How long a login lasts. */
export const accessSettings = z
  .strictObject({
    sessions: z
      .strictObject({
        idleMinutes: minutes(1, 24 * 60, 30).describe("A session ends after this time without a request"),
        absoluteMinutes: minutes(5, 30 * 24 * 60, 12 * 60).describe("A session ends after this time at the latest"),
      })
      .prefault({})
      .describe("Limits of every session, those that are open too"),
    secondFactor: z
      .strictObject({ roles: roleNames.default([]).describe("Whoever holds one of these needs a second factor") })
      .prefault({})
      .describe("Of whom a second factor is required; others may have one"),
  })
  .meta({ id: "AccessSettings" });

export type User = z.output<typeof user>;
export type Group = z.output<typeof group>;
export type Role = z.output<typeof role>;
export type ApiKey = z.output<typeof apiKey>;
export type AccessSettings = z.output<typeof accessSettings>;
