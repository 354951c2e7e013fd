import type { Configuration } from "../configuration/schema.ts";
import type { Account } from "./login.ts";
import { everything, type Grant, isGranted, type Principal } from "./permissions.ts";
import { findUser, grantsOfRoles, isActive, rolesOf, stampOf } from "./rights.ts";

/** Who a caller is by the configuration of now: rights are looked up at every request, never kept. */

/** What everybody who is logged in may do: see and end own sessions, change the own password, keep own keys. */
const ownAffairs: readonly Grant[] = [{ resource: "self", verb: "*" }];

/**
 * The stamp of accounts that a directory knows and the configuration does not. It is that of a user object of theirs without
 * roles, so that one made to keep a second factor ends no session.
 */
export const directoryStamp = stampOf({ roles: [], groups: [], source: "directory" });

/** The names of the roles an account holds now; undefined when it lets nobody in any more. */
export function currentRoles(configuration: Configuration, account: Account, now: Date): string[] | undefined {
  if (account.directory && !isAsked(configuration, account.directory.name)) return undefined;
  const user = findUser(configuration, account.user);
  if (!user) return account.stamp === directoryStamp ? [...(account.roles ?? [])] : undefined;
  if (account.stamp !== stampOf(user) || !isActive(user, now)) return undefined;
  return [...new Set([...rolesOf(configuration, user), ...(account.roles ?? [])])];
}

function isAsked({ directories }: Configuration, name: string): boolean {
  return Object.hasOwn(directories, name) && directories[name]?.enabled === true;
}

/** The principal of a session's account; undefined when the account is not what it was. */
export function principalOf(
  configuration: Configuration,
  account: Account,
  now: Date,
  about: Pick<Principal, "source" | "means" | "id">,
): Principal | undefined {
  const roles = currentRoles(configuration, account, now);
  return (
    roles && { ...about, user: account.user, roles, grants: [...grantsOfRoles(configuration, roles), ...ownAffairs] }
  );
}

/** The local socket of root: whoever is root could change the box anyway. */
export const localAdministrator: Principal = { user: "admin", source: "local", means: "local", grants: everything };

/** A user on the socket of its own; undefined when it may not use the shell. */
export function principalOnSocket(configuration: Configuration, name: string, now: Date): Principal | undefined {
  const user = findUser(configuration, name);
  if (!user) return undefined;
  const account: Account = { user: name, source: user.source, stamp: stampOf(user) };
  const principal = principalOf(configuration, account, now, { source: "local", means: "local", id: "socket" });
  return principal && isGranted(principal.grants, "shell:use") ? principal : undefined;
}
