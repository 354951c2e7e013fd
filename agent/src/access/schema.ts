import { z } from "zod";
import { description } from "../configuration/fields.ts";

/** Name of a user: the same alphabet as a Linux login, since `admin` is one. */
export const userName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,31}$/, "expected 1 to 32 of a-z, 0-9, - and _, beginning with a letter");

/** A crypt(3) hash of the kind `$7$` (scrypt, RFC 7914): the API and the console's login check the same one. */
export const passwordHash = z
  .string()
  .regex(/^\$7\$[./0-9A-Za-z]{11}[./0-9A-Za-z]{8,64}\$[./0-9A-Za-z]{43}$/, "expected a crypt(3) scrypt hash ($7$…)");

/** An OpenSSH public key on one line, as in authorized_keys, without options. */
export const sshPublicKey = z
  .string()
  .regex(
    /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+={0,3}(?: [^\r\n]*)?$/,
    "expected an OpenSSH public key on one line, like ssh-ed25519 AAAA… name",
  );

/** An operator's account. For now there is one, `admin`. */
export const user = z
  .strictObject({
    description: description.default(""),
    passwordHash: passwordHash.optional().describe("Left out: no login by password"),
    sshKeys: z.array(sshPublicKey).max(32, "expected at most 32 keys").default([]),
  })
  .meta({ id: "User" });

export type User = z.output<typeof user>;
