import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";
import { verifyAuditTargets } from "./audit/export/verify.ts";
import { verifyDirectories } from "./directory/verify.ts";
import { isAdministrator } from "./rights.ts";
import { isBuiltInRole } from "./roles.ts";

type Access = Pick<
  Configuration,
  "users" | "groups" | "roles" | "apiKeys" | "access" | "directories" | "auditTargets" | "certificates"
>;

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });

/** Users, groups and roles fit each other, and somebody can manage the box. */
export function verifyAccess(configuration: Access): Finding[] {
  const { users, groups, roles } = configuration;
  return [
    ...Object.keys(roles).flatMap((name) =>
      isBuiltInRole(name) ? error(`roles.${name}`, "expected another name: this role is built in") : [],
    ),
    ...Object.entries(groups).flatMap(([name, group]) => verifyRoles(configuration, `groups.${name}`, group.roles)),
    ...Object.entries(users).flatMap(([name, user]) => [
      ...verifyRoles(configuration, `users.${name}`, user.roles),
      ...user.groups.flatMap((group, at) =>
        Object.hasOwn(groups, group) ? [] : error(`users.${name}.groups.${at}`, `there is no group ${group}`),
      ),
      ...(user.source === "directory" && user.passwordHash !== undefined
        ? [error(`users.${name}.passwordHash`, "expected none: the directory checks the password of this user")]
        : []),
    ]),
    ...Object.entries(configuration.apiKeys).flatMap(([id, key]) => [
      ...verifyRoles(configuration, `apiKeys.${id}`, key.roles),
      ...(Object.hasOwn(users, key.owner) ? [] : [error(`apiKeys.${id}.owner`, `there is no user ${key.owner}`)]),
    ]),
    ...verifyDirectories(configuration),
    ...verifyAuditTargets(configuration),
    ...Object.entries(configuration.directories).flatMap(([name, { groupRoles, defaultRoles }]) => [
      ...groupRoles.flatMap((each, at) =>
        verifyRoles(configuration, `directories.${name}.groupRoles.${at}`, each.roles),
      ),
      ...verifyRoles(configuration, `directories.${name}`, defaultRoles, "defaultRoles"),
    ]),
    ...verifySessions(configuration),
    ...verifyRoles(configuration, "access.secondFactor", configuration.access.secondFactor.roles),
    ...verifyAdministrator(configuration),
  ];
}

function verifyRoles({ roles }: Access, path: string, names: readonly string[], field = "roles"): Finding[] {
  return names.flatMap((name, at) =>
    isBuiltInRole(name) || Object.hasOwn(roles, name)
      ? []
      : error(`${path}.${field}.${at}`, `there is no role ${name}`),
  );
}

function verifySessions({ access: { sessions } }: Access): Finding[] {
  if (sessions.idleMinutes <= sessions.absoluteMinutes) return [];
  return [error("access.sessions.idleMinutes", "expected no more than absoluteMinutes")];
}

/** A directory may be out of reach, and a date may pass: one administrator must depend on neither. */
function verifyAdministrator(configuration: Access): Finding[] {
  const found = Object.values(configuration.users).some(
    (user) =>
      user.source === "local" &&
      !user.disabled &&
      user.expires === undefined &&
      (user.passwordHash !== undefined || user.sshKeys.length > 0) &&
      isAdministrator(configuration, user),
  );
  if (found) return [];
  const message =
    "expected at least one local user with the role admin, enabled, without an expiry date, with a password or an SSH key, or nobody could manage the box";
  return [error("users", message)];
}
