import { type Family, families, type Made, type Route, type Rule } from "../adapters/iproute.ts";
import type { NftTable, TableState } from "../adapters/nft-table.ts";
import {
  assignSlots,
  highestLabelledSlot,
  mainTable,
  priorities,
  protocols,
  type Slots,
  slotMask,
  slotShift,
  tableOf,
} from "../adapters/route-numbers.ts";
import { addressFamily } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import { renderMarks } from "./marks.ts";
import type { OwnTable, RoutingIntent, TableReference } from "./render.ts";
import { closeTables, vrfRules } from "./vrf.ts";

/** What the machine has: all that the wanted tables follow from beside the configuration. */
export type RoutingState = {
  slots: Slots;
  /** Interfaces that are up; only through those can a route lead. */
  up: string[];
  /** Addresses without their length, as far as other hosts can reach them. */
  addresses: { interface: string; address: string }[];
  routes: Made<Route>[];
  rules: Made<Rule>[];
  marks: TableState;
};

export type RoutingTarget = {
  slots: Slots;
  routes: Route[];
  rules: Rule[];
  marks: NftTable | undefined;
};

const keyOf = (name: string) => `interface ${name}`;

/** Turns the wish into routes and rules for the machine as it is now: with its leases, its addresses, its interfaces. */
export function resolveRouting(intent: RoutingIntent, state: RoutingState): RoutingTarget {
  const owners = chooseOwners(intent.interfaces, state);
  const slots = assignSlots(
    state.slots,
    owners.map(({ name }) => keyOf(name)),
    1,
    highestLabelledSlot,
  );
  if (!slots)
    throw new SteelyardError(
      "apply-failed",
      `at most ${highestLabelledSlot} interfaces and uplinks have tables of their own`,
    );
  const tables = owners.map((owner) => ({ ...owner, slot: slots[keyOf(owner.name)] ?? 0 }));
  const idOf = (table: TableReference) =>
    typeof table === "number" ? table : tableOf(slots[keyOf(table.interface)] ?? 0);
  // The table of an interface that is disabled is not there.
  const present = ({ table }: { table: TableReference }) =>
    typeof table === "number" || keyOf(table.interface) in slots;
  const usable = ({ type, device }: { type: string; device?: string | undefined }) =>
    type !== "unicast" || device === undefined || state.up.includes(device);
  const routes = intent.routes
    .filter((each) => usable(each) && present(each))
    .map((route): Route => ({ ...route, table: idOf(route.table) }));
  const taken = new Set(routes.map(({ family, table, destination }) => `${family} ${table} ${destination}`));
  // What the operator says of a network in this table holds instead of ours.
  for (const owner of tables)
    for (const route of ownRoutes(owner, state))
      if (!taken.has(`${route.family} ${route.table} ${route.destination}`)) routes.push(route);
  routes.push(...closeTables(intent.vrfs, routes));
  return {
    slots,
    routes,
    rules: [
      ...families.flatMap((family) => vrfRules(intent.vrfs, state.addresses, family)),
      ...intent.rules.filter(present).map((rule): Rule => ({ ...rule, table: idOf(rule.table) })),
      ...(tables.length === 0 ? [] : families.flatMap((family) => ownRules(family, tables, state))),
    ],
    marks: renderMarks(tables, intent.vrfs),
  };
}

type Owner = OwnTable & { gateways: Partial<Record<Family, string>> };

/**
 * Interfaces that need a table: those with a gateway, once there are two of them, and those whose table is named. With a
 * single gateway every answer takes it anyhow, and the box routes without a single rule of ours.
 */
function chooseOwners(interfaces: readonly OwnTable[], { routes }: RoutingState): Owner[] {
  const candidates = interfaces.map((each) => {
    const learned = Object.fromEntries(
      each.learns.flatMap((family) => {
        const route = routes
          .filter(({ protocol }) => protocol !== protocols.routing && protocol !== protocols.uplinks)
          .find(
            (route) =>
              route.family === family &&
              route.table === mainTable &&
              route.destination === "default" &&
              route.device === each.name &&
              route.gateway !== undefined,
          );
        return route ? [[family, route.gateway]] : [];
      }),
    );
    return { ...each, gateways: { ...learned, ...each.gateways } };
  });
  const needing = candidates.filter(({ gateways, wanted }) => wanted || Object.keys(gateways).length > 0);
  return needing.length > 1 || needing.some(({ wanted }) => wanted) ? needing : [];
}

/** The networks of the interface and its gateway. */
function ownRoutes({ name, gateways, slot }: Owner & { slot: number }, { routes, up }: RoutingState): Route[] {
  if (!up.includes(name)) return [];
  const table = tableOf(slot);
  const networks = routes
    .filter(
      (route) =>
        route.table === mainTable &&
        route.device === name &&
        route.type === "unicast" &&
        route.gateway === undefined &&
        route.destination !== "default" &&
        !route.destination.startsWith("fe80:") &&
        route.protocol !== protocols.routing,
    )
    .map(({ family, type, destination, device, metric, source }): Route => {
      return { family, type, destination, device, table, metric, source };
    });
  const unique = networks.filter(
    (each, at) => networks.findIndex(({ destination }) => destination === each.destination) === at,
  );
  const defaults = families.flatMap((family): Route[] => {
    const gateway = gateways[family];
    if (gateway === undefined) return [];
    // onlink: the gateway is known to be there, also while the address of the interface is not yet.
    return [{ family, type: "unicast", destination: "default", gateway, device: name, table, metric: 0, onlink: true }];
  });
  return [...unique, ...defaults];
}

function ownRules(family: Family, tables: readonly (Owner & { slot: number })[], { addresses }: RoutingState): Rule[] {
  const rules = tables.flatMap(({ name, slot }): Rule[] => {
    const table = tableOf(slot);
    const mark = { value: slot << slotShift, mask: slotMask };
    const sources = addresses
      .filter((each) => each.interface === name && addressFamily(each.address) === family)
      .map(({ address }) => `${address}/${family === "ipv4" ? 32 : 128}`);
    return [
      { family, priority: priorities.ownMark, mark, table, suppress: 0 },
      ...sources.map((from) => ({ family, priority: priorities.ownSource, from, table, suppress: 0 })),
      { family, priority: priorities.mark, mark, table },
      ...sources.map((from) => ({ family, priority: priorities.source, from, table })),
    ];
  });
  return [{ family, priority: priorities.networks, table: mainTable, suppress: 0 }, ...rules];
}
