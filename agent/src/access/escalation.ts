import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";
import { type Problem, SteelyardError } from "../errors.ts";
import { compileRole, type Grant, isPermitted, mayGrant, type Principal } from "./permissions.ts";
import { findUser, grantsOfRoles, grantsOfUser, isActive } from "./rights.ts";

/**
 * Beside the permission to change users there are rights: nobody hands on what he does not have himself, nor gets at it by way
 * of an account that has it (a new password for the administrator), and nobody locks himself out.
 */

type Access = Pick<Configuration, "users" | "groups" | "roles" | "apiKeys" | "directories" | "access">;

/** Throws `forbidden` naming each object. `before` and `after` may differ elsewhere too. */
export function requireNoEscalation(principal: Principal, before: Access, after: Access, now: Date): void {
  const problems = [...findExcess(principal, before, after), ...findLockOut(principal, before, after, now)];
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("forbidden", words, { problems });
}

/** Each changed user, group and role must be within the principal's own rights, as it was and as it shall be. */
function findExcess(principal: Principal, before: Access, after: Access): Problem[] {
  const problems: Problem[] = [];
  const check = <Item>(
    kind: Exclude<keyof Access, "access">,
    from: Record<string, Item>,
    to: Record<string, Item>,
    grants: (configuration: Access, item: Item) => Grant[],
  ) => {
    for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) {
      const [one, other] = [from[name], to[name]];
      if (one === other || isDeepStrictEqual(one, other)) continue;
      // A role bound to nothing at all has no grant; so has one that is not there.
      const held = one === undefined ? [] : grants(before, one);
      const wanted = other === undefined ? [] : grants(after, other);
      const path = `${kind}.${name}`;
      if (kind === "users" && name === principal.user && principal.ceiling === undefined) {
        // What one has already is no excess: changing the own name or password takes no more than the permission.
        if (!mayGrant(principal, wanted)) problems.push({ path, message: "nobody raises his own rights" });
      } else if (!mayGrant(principal, held)) {
        problems.push({ path, message: `expected a change by somebody with all the rights of ${name}` });
      } else if (!mayGrant(principal, wanted)) {
        problems.push({ path, message: "expected no rights beyond your own" });
      }
    }
  };
  check("users", before.users, after.users, grantsOfUser);
  check("groups", before.groups, after.groups, (configuration, group) => grantsOfRoles(configuration, group.roles));
  check("roles", before.roles, after.roles, (_configuration, role) => compileRole(role));
  // Whoever says which server is asked is whoever that server says: all that it may give, and all whose passwords it checks.
  check("directories", before.directories, after.directories, (configuration, { groupRoles, defaultRoles }) => [
    ...grantsOfRoles(configuration, [...defaultRoles, ...groupRoles.flatMap(({ roles }) => roles)]),
    ...Object.values(configuration.users)
      .filter(({ source }) => source === "directory")
      .flatMap((user) => grantsOfUser(configuration, user)),
  ]);
  check("apiKeys", before.apiKeys, after.apiKeys, (configuration, key) => {
    const owner = findUser(configuration, key.owner);
    const foreign = owner && key.owner !== principal.user ? grantsOfUser(configuration, owner) : [];
    return [...grantsOfRoles(configuration, key.roles), ...foreign];
  });
  // A factor that is asked for no more makes the accounts with those roles easier to get at.
  const eased = before.access.secondFactor.roles.filter((role) => !after.access.secondFactor.roles.includes(role));
  if (!mayGrant(principal, grantsOfRoles(before, eased))) {
    const message = `expected somebody with all the rights of ${eased.join(", ")} to ask them for no second factor`;
    problems.push({ path: "access.secondFactor.roles", message });
  }
  return problems;
}

/** Whoever could change users before can still do so: an error here would take somebody else to mend. */
function findLockOut(principal: Principal, before: Access, after: Access, now: Date): Problem[] {
  const old = findUser(before, principal.user);
  // Root has no account to lock itself out of.
  if (!old || (principal.means === "local" && principal.id === undefined)) return [];
  const path = `users.${principal.user}`;
  const user = findUser(after, principal.user);
  if (!user) return [{ path, message: "nobody deletes himself" }];
  if (isActive(old, now) && !isActive(user, now)) return [{ path, message: "nobody disables himself" }];
  if (old.passwordHash !== undefined && user.passwordHash === undefined && user.source === "local")
    return [{ path: `${path}.password`, message: "nobody takes away his own password" }];
  const could = isPermitted({ grants: grantsOfUser(before, old) }, "access:update");
  const can = isPermitted({ grants: grantsOfUser(after, user) }, "access:update");
  return could && !can ? [{ path, message: "nobody takes away his own right to change users" }] : [];
}
