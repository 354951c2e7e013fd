import ipaddr from "ipaddr.js";
import type { Machine } from "./machine.ts";

/**
 * Routes, rules and nexthop objects as ip-route(8), ip-rule(8) and ip-nexthop(8) have them, in one spelling that can be compared. They
 * are read by netlink (netlink-routes.ts) and written in the words of `ip`.
 */

export type Family = "ipv4" | "ipv6";
export const families = ["ipv4", "ipv6"] as const;
export const routeTypes = ["unicast", "blackhole", "unreachable", "prohibit"] as const;
export type RouteType = (typeof routeTypes)[number];

export type Route = {
  family: Family;
  type: RouteType;
  /** `default` or a network with its length. */
  destination: string;
  gateway?: string | undefined;
  device?: string | undefined;
  /** Id of a nexthop object, in place of gateway and device. */
  nexthop?: number | undefined;
  table: number;
  /** 0 is the best in IPv4; in IPv6 the kernel makes 1024 of it. */
  metric: number;
  source?: string | undefined;
  /** Bytes. */
  mtu?: number | undefined;
  onlink?: boolean;
};

export type Rule = {
  family: Family;
  priority: number;
  not?: boolean;
  from?: string | undefined;
  to?: string | undefined;
  mark?: { value: number; mask: number } | undefined;
  /** Interface the packet came in by; `lo` for what the box sends. */
  interface?: string | undefined;
  table: number;
  /** The table is that of the packet's VRF; the kernel makes such a rule with the first one (vrf.rst). */
  vrf?: boolean;
  /** Routes with a prefix of at most this length do not count. */
  suppress?: number | undefined;
};

/** With who made it (rtnetlink(7), rtm_protocol). */
export type Made<Item> = Item & { protocol: number };

const timeout = 30_000;
const optionOf = { ipv4: "-4", ipv6: "-6" } as const;

/** `default`, or a network with its length, which may be left out for a single address. */
export function spellNetwork(text: string, family: Family): string {
  if (text === "default" || text === "0.0.0.0/0" || text === "::/0") return "default";
  const [address = "", length = family === "ipv4" ? "32" : "128"] = text.split("/");
  const spelled = family === "ipv4" ? address : ipaddr.IPv6.parse(address).toRFC5952String();
  return `${spelled}/${length}`;
}

/** The words that ip takes for a route, its maker left out: equal when the routes are. */
export function routeWords(route: Route): string {
  const { type, destination, gateway, device, nexthop, table, source, mtu, onlink } = route;
  return [
    ...[type, destination],
    ...(nexthop === undefined ? [] : ["nhid", nexthop]),
    ...(gateway === undefined ? [] : ["via", gateway]),
    ...(device === undefined ? [] : ["dev", device]),
    ...["table", table, "metric", metricOf(route)],
    ...(source === undefined ? [] : ["src", source]),
    ...(mtu === undefined ? [] : ["mtu", mtu]),
    ...(onlink ? ["onlink"] : []),
  ].join(" ");
}

/** What a table can hold once: a second route of this key takes the place of the first. */
export function routeKey(route: Route): string {
  return `${route.family} ${route.table} ${route.destination} ${metricOf(route)}`;
}

function metricOf({ family, metric }: Route): number {
  return family === "ipv6" && metric === 0 ? 1024 : metric;
}

export function ruleWords({ priority, not, from, to, mark, interface: device, table, vrf, suppress }: Rule): string {
  return [
    ...["priority", priority],
    ...(not ? ["not"] : []),
    ...["from", from ?? "all"],
    ...(to === undefined ? [] : ["to", to]),
    ...(mark === undefined ? [] : ["fwmark", `0x${mark.value.toString(16)}/0x${mark.mask.toString(16)}`]),
    ...(device === undefined ? [] : ["iif", device]),
    ...(vrf ? ["l3mdev"] : ["lookup", table]),
    ...(suppress === undefined ? [] : ["suppress_prefixlength", suppress]),
  ].join(" ");
}

/** A nexthop object: a gateway, or a group of them. */
export type Nexthop = {
  id: number;
  gateway?: string | undefined;
  device?: string | undefined;
  /** Members of a group with their weights. */
  group?: { id: number; weight: number }[] | undefined;
};

/** All that decides where a packet goes, but for the kernel's own table of local addresses. */
export type Routing = { routes: Made<Route>[]; rules: Made<Rule>[]; nexthops: Made<Nexthop>[] };

export function nexthopWords({ id, gateway, device, group }: Nexthop): string {
  if (group) return `id ${id} group ${group.map((each) => `${each.id},${each.weight}`).join("/")}`;
  return `id ${id} via ${gateway} dev ${device} onlink`;
}

/**
 * Carries out lines of ip-batch(8), in order, until one fails. Fails with `command-failed`: ip's words and the line. Nexthops go
 * without a family, for a group has none.
 */
export async function runBatch(machine: Machine, family: Family | undefined, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const option = family === undefined ? [] : [optionOf[family]];
  await machine.run(["ip", ...option, "-batch", "-"], { timeout, input: `${lines.join("\n")}\n` });
}

/** Removes what is there: a line that fails is no error, for a route goes by itself with its interface. */
export async function runRemovals(machine: Machine, family: Family, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const argv = ["ip", optionOf[family], "-force", "-batch", "-"] as const;
  await machine.run(argv, { timeout, input: `${lines.join("\n")}\n`, accept: [0, 1, 2] });
}
