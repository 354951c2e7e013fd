import type { Bindings } from "./schema.ts";

/** A role as it is evaluated. */
export type RoleDefinition = { description: string; permissions: readonly string[]; bindings: Bindings };

const observe = [
  ...["farms:read", "network:read", "certificates:read", "system:read", "statistics:read", "events:read"],
  ...["jobs:read", "configuration:read"],
];

/**
 * The roles every box has. They are no part of the configuration: an update may give them the permissions of what it brings,
 * and nobody can lock everybody out by changing them.
 */
export const builtInRoles = {
  admin: {
    description: "Everything: users and their rights, secrets and updates too",
    permissions: ["*:*"],
    bindings: {},
  },
  operator: {
    description:
      "Runs the box: farms, network, certificates, system, history and rollback, shell; not users, audit log or backups",
    permissions: [
      ...["farms:*", "network:*", "certificates:*", "system:*", "configuration:*"],
      ...["statistics:read", "events:read", "jobs:*", "shell:use"],
    ],
    bindings: {},
  },
  "farm-operator": {
    description: "Runs farms and chooses among the certificates that are there; sees network and system",
    permissions: [
      ...["farms:*", "certificates:read", "network:read", "system:read"],
      ...["statistics:read", "events:read", "jobs:read", "configuration:read", "configuration:commit"],
    ],
    bindings: {},
  },
  auditor: {
    description: "Sees everything, users and the audit log too, and changes nothing",
    permissions: [...observe, "access:read", "audit:read", "audit:export", "backups:read"],
    bindings: {},
  },
  "read-only": {
    description: "Sees farms, network, system and their history, and changes nothing; not users or the audit log",
    permissions: observe,
    bindings: {},
  },
} as const satisfies Record<string, RoleDefinition>;

export type BuiltInRole = keyof typeof builtInRoles;

export function isBuiltInRole(name: string): name is BuiltInRole {
  return Object.hasOwn(builtInRoles, name);
}
