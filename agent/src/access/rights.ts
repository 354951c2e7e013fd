import { createHash } from "node:crypto";
import type { Configuration } from "../configuration/schema.ts";
import { compileRole, everything, type Grant, grantsCover } from "./permissions.ts";
import { builtInRoles, isBuiltInRole } from "./roles.ts";
import type { User } from "./schema.ts";

/** What users may do, worked out from a configuration: pure. */

type Access = Pick<Configuration, "users" | "groups" | "roles">;

export function findUser({ users }: Pick<Configuration, "users">, name: string): User | undefined {
  return Object.hasOwn(users, name) ? users[name] : undefined;
}

/** The names of the roles that a user holds, by itself or through a group. */
export function rolesOf({ groups }: Pick<Configuration, "groups">, user: Pick<User, "roles" | "groups">): string[] {
  const ofGroups = user.groups.flatMap((name) => (Object.hasOwn(groups, name) ? (groups[name]?.roles ?? []) : []));
  return [...new Set([...user.roles, ...ofGroups])];
}

/** What roles allow together. A role that does not exist allows nothing. */
export function grantsOfRoles({ roles }: Pick<Configuration, "roles">, names: readonly string[]): Grant[] {
  return names.flatMap((name) => {
    if (isBuiltInRole(name)) return compileRole(builtInRoles[name]);
    const role = Object.hasOwn(roles, name) ? roles[name] : undefined;
    return role ? compileRole(role) : [];
  });
}

export function grantsOfUser(configuration: Access, user: Pick<User, "roles" | "groups">): Grant[] {
  return grantsOfRoles(configuration, rolesOf(configuration, user));
}

/** True when the account may be used at this time. */
export function isActive({ disabled, expires }: Pick<User, "disabled" | "expires">, now: Date): boolean {
  return !disabled && (expires === undefined || now.getTime() < Date.parse(expires));
}

/** True for a user that may do everything, on every object. */
export function isAdministrator(configuration: Access, user: Pick<User, "roles" | "groups">): boolean {
  return grantsCover(grantsOfUser(configuration, user), everything);
}

/**
 * Changes with what a session of the user stands on: its password, roles, groups and source. A session keeps the stamp it was
 * opened with and ends when it is another.
 */
export function stampOf(
  user: Pick<User, "roles" | "groups" | "source"> & { passwordHash?: string | undefined },
): string {
  const { passwordHash, roles, groups, source } = user;
  const text = JSON.stringify([passwordHash ?? null, [...roles].sort(), [...groups].sort(), source]);
  return createHash("sha256").update(text).digest("base64url");
}
