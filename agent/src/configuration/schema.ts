import { z } from "zod";
import { auditTarget } from "../access/audit/export/schema.ts";
import { directory } from "../access/directory/schema.ts";
import { accessSettings, apiKey, group, role, user, userName } from "../access/schema.ts";
import { backups } from "../backup/schema.ts";
import { certificate } from "../certificates/schema.ts";
import { uplinkFarm } from "../dslb/schema.ts";
import { l4Farm } from "../lslb/l4/schema.ts";
import { networkInterface, virtualAddress } from "../network/schema.ts";
import { routingRoute, routingRule, routingTable } from "../routing/schema.ts";
import { system } from "../system/schema.ts";
import { interfaceName, objectName } from "./fields.ts";

export { schemaVersion } from "./migrations/index.ts";

/** Any farm; more profiles join the union as their subsystems come. */
export const farm = z.discriminatedUnion("profile", [l4Farm], "expected a profile: l4xnat");

/** Everything the operator wants, in one value. Immutable: a change makes a new one that shares what stayed. */
export const configuration = z.strictObject({
  system: system,
  interfaces: z.record(interfaceName, networkInterface),
  virtualAddresses: z.record(objectName, virtualAddress),
  routingTables: z.record(objectName, routingTable).default({}),
  routingRules: z.record(objectName, routingRule).default({}),
  routingRoutes: z.record(objectName, routingRoute).default({}),
  uplinkFarms: z.record(objectName, uplinkFarm).default({}),
  farms: z.record(objectName, farm),
  certificates: z.record(objectName, certificate).default({}),
  access: accessSettings.default(accessSettings.parse({})),
  users: z.record(userName, user),
  groups: z.record(objectName, group).default({}),
  roles: z.record(objectName, role).default({}),
  apiKeys: z.record(objectName, apiKey).default({}),
  backups: backups.default(backups.parse({})),
  directories: z.record(objectName, directory).default({}),
  auditTargets: z.record(objectName, auditTarget).default({}),
});

export type Farm = z.output<typeof farm>;
export type Configuration = z.output<typeof configuration>;

export type Collection = {
  directory: string;
  name: z.ZodType<string>;
  object: z.ZodType;
  secrets: readonly string[];
  /** The first half of the permissions that reading and changing it take. */
  resource: string;
  /** For kinds that a role can be bound to: the name of the object counts, or that in a field of it. */
  boundBy?: string;
  /** Others of the same kind that the object takes for its own: changing that takes the right to update those. `*`: any. */
  takes?(object: never): readonly string[];
};

/**
 * Where each kind of object stands in a generation: a directory with one file per object.
 * `secret` files are 0600, and their secret fields never leave by the API, a diff or a log.
 */
export const collections = {
  interfaces: {
    directory: "network/interfaces",
    name: interfaceName,
    object: networkInterface,
    secrets: [],
    resource: "network",
    boundBy: "name",
    // A card that joins a bond, a bridge or a VRF is no longer what it was, and a VLAN is on the wire of its parent.
    takes: ({ bond, bridge, vrf, vlan }: z.output<typeof networkInterface>) => [
      ...(bond?.members ?? []),
      ...(bond?.memberPattern === undefined ? [] : ["*"]),
      ...(bridge?.members ?? []),
      ...(vrf?.members ?? []),
      ...(vlan === undefined ? [] : [vlan.parent]),
    ],
  },
  virtualAddresses: {
    directory: "network/virtual-addresses",
    name: objectName,
    object: virtualAddress,
    secrets: [],
    resource: "network",
    boundBy: "interface",
  },
  routingTables: {
    directory: "network/routing/tables",
    name: objectName,
    object: routingTable,
    secrets: [],
    resource: "network",
  },
  routingRules: {
    directory: "network/routing/rules",
    name: objectName,
    object: routingRule,
    secrets: [],
    resource: "network",
  },
  routingRoutes: {
    directory: "network/routing/routes",
    name: objectName,
    object: routingRoute,
    secrets: [],
    resource: "network",
  },
  uplinkFarms: {
    directory: "network/uplinks",
    name: objectName,
    object: uplinkFarm,
    secrets: [],
    resource: "network",
  },
  farms: { directory: "farms", name: objectName, object: farm, secrets: [], resource: "farms", boundBy: "name" },
  certificates: {
    directory: "certificates",
    name: objectName,
    object: certificate,
    secrets: ["key"],
    resource: "certificates",
    boundBy: "name",
  },
  users: {
    directory: "access/users",
    name: userName,
    object: user,
    secrets: ["passwordHash", "totp"],
    resource: "access",
  },
  groups: { directory: "access/groups", name: objectName, object: group, secrets: [], resource: "access" },
  roles: { directory: "access/roles", name: objectName, object: role, secrets: [], resource: "access" },
  apiKeys: { directory: "access/api-keys", name: objectName, object: apiKey, secrets: ["hash"], resource: "access" },
  directories: {
    directory: "access/directories",
    name: objectName,
    object: directory,
    secrets: ["bindPassword"],
    resource: "access",
  },
  auditTargets: {
    directory: "access/audit-targets",
    name: objectName,
    object: auditTarget,
    secrets: [],
    resource: "audit",
  },
} as const satisfies Record<string, Collection>;

/** Objects of which there is exactly one; a file each at the top of a generation. */
export const singletons = {
  system: { object: system, secrets: [], resource: "system" },
  access: { object: accessSettings, secrets: [], resource: "access" },
  backups: { object: backups, secrets: [], resource: "backups" },
} as const satisfies Record<string, { object: z.ZodType; secrets: readonly string[]; resource: string }>;

export type SingletonName = keyof typeof singletons;

export type CollectionName = keyof typeof collections;

/** What a box without any configuration starts from. */
export function emptyConfiguration(): Configuration {
  return {
    system: system.parse({}),
    interfaces: {},
    virtualAddresses: {},
    routingTables: {},
    routingRules: {},
    routingRoutes: {},
    uplinkFarms: {},
    farms: {},
    certificates: {},
    access: accessSettings.parse({}),
    users: {},
    groups: {},
    roles: {},
    apiKeys: {},
    backups: backups.parse({}),
    directories: {},
    auditTargets: {},
  };
}
