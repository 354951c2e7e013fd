import { type Made, type Route, type Rule, routeWords, ruleWords } from "../adapters/iproute.ts";
import type { Machine } from "../adapters/machine.ts";
import { observeTable } from "../adapters/nft-table.ts";
import { mainTable, protocols, tableOf } from "../adapters/route-numbers.ts";
import { readSlots } from "../adapters/route-slots.ts";
import { splitPrefixed } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { listVrfs } from "../configuration/vrf.ts";
import { marksTable } from "./marks.ts";
import type { RoutingState } from "./target.ts";

export async function observeRouting(machine: Machine): Promise<RoutingState> {
  const [slots, links, addresses, { routes, rules }, marks] = await Promise.all([
    readSlots(machine),
    machine.netlink.links(),
    machine.netlink.addresses(),
    machine.netlink.routing(),
    observeTable(machine, marksTable),
  ]);
  const nameOf = new Map(links.map(({ index, name }) => [index, name]));
  return {
    slots,
    up: links.filter(({ up }) => up).map(({ name }) => name),
    addresses: addresses
      .filter(({ scope }) => scope === "global")
      .map(({ index, address }) => ({ interface: nameOf.get(index) ?? "", address: splitPrefixed(address).address })),
    routes,
    rules,
    marks,
  };
}

/** Who made a route or rule: the agent, the kernel with its addresses, a lease or advertisement, or somebody else. */
export type Origin = "steelyard" | "kernel" | "lease" | "static" | "unmanaged";

export type RouteStatus = {
  family: "ipv4" | "ipv6";
  type: string;
  destination: string;
  via: string | undefined;
  interface: string | undefined;
  /** Its name; the number of one that has none. */
  table: string;
  metric: number;
  source: string | undefined;
  origin: Origin;
  text: string;
};

export type RuleStatus = {
  family: "ipv4" | "ipv6";
  priority: number;
  table: string;
  origin: Origin;
  text: string;
};

/** linux/rtnetlink.h: RTPROT_UNSPEC, REDIRECT, KERNEL, BOOT, STATIC, RA, DHCP. networkd makes the gateways of interfaces as static. */
const origins: Record<number, Origin> = {
  1: "kernel",
  2: "kernel",
  4: "static",
  9: "lease",
  16: "lease",
  [protocols.routing]: "steelyard",
  [protocols.uplinks]: "steelyard",
};

/** Every route of the kernel with its maker, those of its own table of local addresses left out. */
export async function readRoutes(machine: Machine, configuration: Configuration): Promise<RouteStatus[]> {
  const [{ routes }, nameTable] = await Promise.all([
    machine.netlink.routing(),
    makeTableNames(machine, configuration),
  ]);
  const gateways = new Set(
    Object.values(configuration.interfaces).flatMap(({ ipv4, ipv6 }) => [ipv4.gateway, ipv6.gateway]),
  );
  const originOf = (route: Made<Route>): Origin => {
    const origin = origins[route.protocol] ?? "unmanaged";
    // Of static routes, networkd makes the gateways of interfaces and nothing else.
    if (origin !== "static") return origin;
    return route.destination === "default" && gateways.has(route.gateway) ? "steelyard" : "unmanaged";
  };
  return routes.map((route) => ({
    family: route.family,
    type: route.type,
    destination: route.destination,
    via: route.gateway,
    interface: route.device,
    table: nameTable(route.table),
    metric: route.metric,
    source: route.source,
    origin: originOf(route),
    text: routeWords(route),
  }));
}

export async function readRules(machine: Machine, configuration: Configuration): Promise<RuleStatus[]> {
  const [{ rules }, nameTable] = await Promise.all([machine.netlink.routing(), makeTableNames(machine, configuration)]);
  const originOf = ({ protocol }: Made<Rule>) => origins[protocol] ?? "unmanaged";
  return rules.map((rule) => ({
    family: rule.family,
    priority: rule.priority,
    table: rule.vrf ? "that of the VRF" : nameTable(rule.table),
    origin: originOf(rule) === "static" ? "unmanaged" : originOf(rule),
    text: ruleWords(rule),
  }));
}

async function makeTableNames(
  machine: Machine,
  { routingTables, interfaces }: Configuration,
): Promise<(id: number) => string> {
  const slots = await readSlots(machine);
  const names = new Map([
    [mainTable, "main"],
    [253, "default"],
    [255, "local"],
    ...Object.entries(routingTables).map(([name, { id }]) => [id, name] as const),
    ...listVrfs(interfaces).map(({ name, table }) => [table, name] as const),
    ...Object.entries(slots).map(([key, slot]) => [tableOf(slot), key.replace(/^interface /, "")] as const),
  ]);
  return (id) => names.get(id) ?? String(id);
}
