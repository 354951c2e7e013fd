import type { Configuration } from "../configuration/schema.ts";

/** The login of the operator; the image has the account, with the password locked. */
export const administrator = "admin";

export type AccessArtefacts = {
  /** The password field of shadow(5): a crypt(3) hash, or `!` for no login by password. */
  password: string;
  /** The day the account ends, as in shadow(5). The image brings it ended, so that nobody logs in before the first boot. */
  expiry: string;
  /** The file of authorized_keys that sshd reads for the account; empty without keys. */
  authorizedKeys: string;
};

/** What the box's own login knows of the administrator. */
export function renderAccess({ users }: Pick<Configuration, "users">): AccessArtefacts {
  const admin = users[administrator];
  const keys = admin?.sshKeys ?? [];
  return { password: admin?.passwordHash ?? "!", expiry: "", authorizedKeys: keys.map((key) => `${key}\n`).join("") };
}
