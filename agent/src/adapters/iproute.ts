import ipaddr from "ipaddr.js";
import { SteelyardError } from "../errors.ts";
import type { Machine } from "./machine.ts";
import { mainTable } from "./route-numbers.ts";

/** Routes and rules as ip-route(8) and ip-rule(8) have them, in one spelling that can be compared. */

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
/** Numbers of tables, types and protocols, not the names that files of the box may give them. */
const flags = ["-N", "-details", "-json"] as const;
const optionOf = { ipv4: "-4", ipv6: "-6" } as const;

// biome-ignore lint/suspicious/noExplicitAny: ip's JSON has no types; every access below is guarded
type Json = any;

/** What lists of one family say, by one process: to start one costs more than what it has to say. */
async function list(machine: Machine, family: Family, lists: readonly string[]): Promise<Json[][]> {
  const argv = ["ip", ...flags, optionOf[family], "-batch", "-"] as const;
  const { stdout } = await machine.run(argv, { timeout, question: true, input: `${lists.join("\n")}\n` });
  const found = stdout.split("\n").filter((line) => line.trim() !== "");
  if (found.length !== lists.length)
    throw new SteelyardError(
      "command-failed",
      `${argv.join(" ")}: ${found.length} answers to ${lists.length} questions`,
    );
  return found.map((line) => JSON.parse(line));
}

/** Every route of every table but those of the kernel's own table of local addresses, and every rule. */
export async function listRouting(machine: Machine): Promise<{ routes: Made<Route>[]; rules: Made<Rule>[] }> {
  const found = await Promise.all(
    families.map(async (family) => {
      const [routes = [], rules = []] = await list(machine, family, ["route show table all", "rule show"]);
      return {
        routes: routes.flatMap((each) => readRoute(family, each)),
        rules: rules.flatMap((each) => readRule(family, each)),
      };
    }),
  );
  return { routes: found.flatMap(({ routes }) => routes), rules: found.flatMap(({ rules }) => rules) };
}

export async function listRoutes(machine: Machine): Promise<Made<Route>[]> {
  return (await listRouting(machine)).routes;
}

export async function listRules(machine: Machine): Promise<Made<Rule>[]> {
  return (await listRouting(machine)).rules;
}

/** RTN_UNICAST and those that drop (linux/rtnetlink.h), as `-N` shows them. */
const typeNumbers: Record<string, RouteType> = { 1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit" };

/** A route of ip's JSON; none for local, broadcast and multicast ones. */
export function readRoute(family: Family, json: Json): Made<Route>[] {
  const type = typeNumbers[json.type ?? "1"];
  if (type === undefined) return [];
  const table = Number(json.table ?? mainTable);
  // Several hops in one route are made by hand only: the first stands for all where such a route is shown.
  const hop = json.nexthops?.[0] ?? json;
  const mtu = json.metrics?.find((each: Json) => each.mtu !== undefined)?.mtu;
  const onlink = [...(json.flags ?? []), ...(hop.flags ?? [])].includes("onlink");
  return [
    {
      family,
      type,
      destination: spellNetwork(json.dst ?? "default", family),
      // Reached through an object, the kernel shows where that leads as well.
      ...(json.nhid === undefined
        ? { gateway: hop.gateway ?? hop.via?.host, device: type === "unicast" ? hop.dev : undefined }
        : { nexthop: Number(json.nhid) }),
      table,
      metric: Number(json.metric ?? 0),
      source: json.prefsrc,
      mtu: mtu === undefined ? undefined : Number(mtu),
      ...(onlink && json.nhid === undefined ? { onlink } : {}),
      protocol: Number(json.protocol ?? 0),
    },
  ];
}

export function readRule(family: Family, json: Json): Made<Rule>[] {
  const network = (address: string | undefined, length: unknown) =>
    address === undefined || address === "all"
      ? undefined
      : spellNetwork(length === undefined ? address : `${address}/${length}`, family);
  return [
    {
      family,
      priority: Number(json.priority),
      ...("not" in json ? { not: true } : {}),
      from: network(json.src, json.srclen),
      to: network(json.dst, json.dstlen),
      mark:
        json.fwmark === undefined ? undefined : { value: Number(json.fwmark), mask: Number(json.fwmask ?? 0xffffffff) },
      interface: json.iif,
      table: Number(json.table ?? 0),
      ...("l3mdev" in json ? { vrf: true } : {}),
      suppress: json.suppress_prefixlen === undefined ? undefined : Number(json.suppress_prefixlen),
      protocol: Number(json.protocol ?? 0),
    },
  ];
}

/** `default`, or a network with its length: ip leaves out that of a single address. */
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

export type Nexthop = {
  id: number;
  gateway?: string | undefined;
  device?: string | undefined;
  /** Members of a group with their weights. */
  group?: { id: number; weight: number }[] | undefined;
};

/** Nexthop objects (ip-nexthop(8)): gateways and groups of them. */
export async function listNexthops(machine: Machine): Promise<Made<Nexthop>[]> {
  const { stdout } = await machine.run(["ip", ...flags, "nexthop", "show"], { timeout });
  const found: Json[] = stdout.trim() === "" ? [] : JSON.parse(stdout);
  return found.map((json) => ({
    id: Number(json.id),
    gateway: json.gateway,
    device: json.dev,
    group: json.group?.map((each: Json) => ({ id: Number(each.id), weight: Number(each.weight ?? 1) })),
    protocol: Number(json.protocol ?? 0),
  }));
}

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
