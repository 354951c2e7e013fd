import type { Configuration } from "../../configuration/schema.ts";
import { findUser } from "../rights.ts";

/**
 * An old configuration that shall come back, without the recovery codes that have been used or renewed since: a code is good
 * once, whatever is rolled back. Pure.
 */
export function withoutUsedCodes(current: Configuration, old: Configuration): Configuration {
  const users = Object.entries(old.users).map(([name, user]) => {
    const now = findUser(current, name)?.totp;
    if (!user.totp || now?.secret !== user.totp.secret) return [name, user] as const;
    const recoveryCodes = user.totp.recoveryCodes.filter((code) => now.recoveryCodes.includes(code));
    return [name, { ...user, totp: { ...user.totp, recoveryCodes } }] as const;
  });
  return { ...old, users: Object.fromEntries(users) };
}
