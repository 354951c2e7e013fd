import { rt } from "node-netlink";
import type { Family, Made, Nexthop, Route, RouteType, Routing, Rule } from "./iproute.ts";
import { formatAddress, makeAttribute, parseAttributes, readText } from "./netlink-codec.ts";
import { type Dump, withDumps } from "./netlink-dump.ts";

/**
 * Routes, rules and nexthop objects by rtnetlink(7), in the agent's own process: to start `ip` costs more than what it has to say. Attributes are read
 * here and not by node-netlink, which knows nothing within metrics, hops and groups. Numbers are those of linux/rtnetlink.h, fib_rules.h and nexthop.h.
 */

/** AF_INET, AF_INET6. */
export const families: ReadonlyMap<number, Family> = new Map([
  [2, "ipv4"],
  [10, "ipv6"],
]);
/** Bytes of struct rtmsg and fib_rule_hdr, nhmsg, ifinfomsg. */
const headers = { route: 12, rule: 12, nexthop: 8, link: 16 } as const;

/** Without those of local, broadcast and multicast addresses, which the kernel makes for itself. Fails with `command-failed`. */
export async function readRouting(): Promise<Routing> {
  return await withDumps(async (dump) => {
    const nexthops = await dump("nexthops", rt.MessageType.GETNEXTHOP, Buffer.alloc(headers.nexthop));
    const rules = await dumpFamilies(dump, "rules", rt.MessageType.GETRULE);
    const routes = await dumpRoutes(dump);
    const nameOf = await readNames(dump);
    return {
      rules: rules.flatMap(parseRule),
      nexthops: nexthops.map((message) => parseNexthop(message, nameOf)),
      routes: routes.flatMap((message) => parseRoute(message, nameOf)),
    };
  });
}

/** RTM_NEWROUTE of both families. */
export async function dumpRoutes(dump: Dump): Promise<Buffer[]> {
  return await dumpFamilies(dump, "routes", rt.MessageType.GETROUTE);
}

async function dumpFamilies(dump: Dump, what: string, type: number): Promise<Buffer[]> {
  const found = [];
  for (const number of families.keys()) {
    // struct rtmsg and struct fib_rule_hdr are of one length, and begin with the family.
    const request = Buffer.alloc(headers.route);
    request.writeUInt8(number);
    found.push(await dump(what, type, request));
  }
  return found.flat();
}

export type NameOf = (index: number) => string;

/** IFLA_IFNAME, IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS. */
const [linkName, extended, withoutCounters] = [3, 29, 8];

/** Names of links by index; one that has gone meanwhile is called as ip(8) would, by its index. */
async function readNames(dump: Dump): Promise<NameOf> {
  const wanted = makeAttribute(extended, Uint32Array.of(withoutCounters));
  const messages = await dump("links", rt.MessageType.GETLINK, Buffer.concat([Buffer.alloc(headers.link), wanted]));
  const names = new Map(
    messages.map((message) => {
      const name = parseAttributes(message.subarray(headers.link)).get(linkName);
      return [message.readInt32LE(4), name && readText(name)];
    }),
  );
  return (index) => names.get(index) ?? `if${index}`;
}

const routeTypes = new Map<number | undefined, RouteType>([
  [1, "unicast"],
  [6, "blackhole"],
  [7, "unreachable"],
  [8, "prohibit"],
]);
/** RTM_F_CLONED: what the kernel remembers of a destination, such as its path MTU. */
const cloned = 0x200;
const onlinkFlag = 4;
const routeAttribute = { destination: 1, device: 4, gateway: 5, metric: 6, source: 7, metrics: 8, hops: 9 } as const;
const laterAttribute = { table: 15, via: 18, nexthop: 30 } as const;
/** RTAX_MTU within RTA_METRICS. */
const metricMtu = 2;

/** A route of RTM_NEWROUTE; none for local, broadcast and multicast ones, and for those that are remembered only. */
export function parseRoute(message: Buffer, nameOf: NameOf): Made<Route>[] {
  const [familyNumber = 0, length, , , table, protocol, , typeNumber] = message;
  const flags = message.readUInt32LE(8);
  const [family, type] = [families.get(familyNumber), routeTypes.get(typeNumber)];
  if (!family || !type || flags & cloned) return [];
  const attributes = parseAttributes(message.subarray(headers.route));
  const nexthop = readNumber(attributes.get(laterAttribute.nexthop));
  // Several hops in one route are made by hand only: the first stands for all where such a route is shown.
  const hop = readFirstHop(attributes.get(routeAttribute.hops)) ?? {
    device: readNumber(attributes.get(routeAttribute.device)),
    flags: 0,
    attributes,
  };
  const onlink = ((flags | hop.flags) & onlinkFlag) !== 0;
  // Of an object, the kernel shows where it leads as well. What drops packets in IPv6 stands on lo, which says nothing.
  const device = type === "unicast" && hop.device !== undefined ? nameOf(hop.device) : undefined;
  return [
    {
      family,
      type,
      destination: readNetwork(attributes.get(routeAttribute.destination), length) ?? "default",
      ...(nexthop === undefined ? { gateway: readGateway(hop.attributes), device } : { nexthop }),
      // One byte of the header is not enough for all tables.
      table: readNumber(attributes.get(laterAttribute.table)) ?? table ?? 0,
      metric: readNumber(attributes.get(routeAttribute.metric)) ?? 0,
      source: readAddress(attributes.get(routeAttribute.source)),
      mtu: readNumber(parseAttributes(attributes.get(routeAttribute.metrics) ?? Buffer.alloc(0)).get(metricMtu)),
      ...(onlink && nexthop === undefined ? { onlink } : {}),
      protocol: protocol ?? 0,
    },
  ];
}

type Attributes = Map<number, Buffer>;

/** The first struct rtnexthop of RTA_MULTIPATH: length, flags, weight less one, index of the link; then attributes of its own. */
function readFirstHop(hops: Buffer | undefined) {
  if (!hops || hops.length < 8) return undefined;
  const attributes = parseAttributes(hops.subarray(8, hops.readUInt16LE(0)));
  return { device: hops.readInt32LE(4), flags: hops.readUInt8(2), attributes };
}

function readGateway(attributes: Attributes): string | undefined {
  // RTA_VIA, of another family than the route: two bytes of family before the address.
  return (
    readAddress(attributes.get(routeAttribute.gateway)) ?? readAddress(attributes.get(laterAttribute.via)?.subarray(2))
  );
}

const invert = 2;
const ruleAttribute = { destination: 1, source: 2, interface: 3, priority: 6, mark: 10, suppress: 14 } as const;
const laterRuleAttribute = { table: 15, mask: 16, vrf: 19, protocol: 21 } as const;

export function parseRule(message: Buffer): Made<Rule>[] {
  const [familyNumber = 0, toLength, fromLength, , table] = message;
  const family = families.get(familyNumber);
  if (!family) return [];
  const attributes = parseAttributes(message.subarray(headers.rule));
  const incoming = attributes.get(ruleAttribute.interface);
  const [mark, mask] = [ruleAttribute.mark, laterRuleAttribute.mask].map((type) => readNumber(attributes.get(type)));
  return [
    {
      family,
      priority: readNumber(attributes.get(ruleAttribute.priority)) ?? 0,
      ...(message.readUInt32LE(8) & invert ? { not: true } : {}),
      from: readNetwork(attributes.get(ruleAttribute.source), fromLength),
      to: readNetwork(attributes.get(ruleAttribute.destination), toLength),
      // The kernel leaves out a mark of 0, and never the mask of one.
      mark: mark === undefined && mask === undefined ? undefined : { value: mark ?? 0, mask: mask ?? 0xffffffff },
      interface: incoming && readText(incoming),
      table: readNumber(attributes.get(laterRuleAttribute.table)) ?? table ?? 0,
      ...(attributes.get(laterRuleAttribute.vrf)?.[0] ? { vrf: true } : {}),
      suppress: readSuppressed(attributes.get(ruleAttribute.suppress)),
      protocol: attributes.get(laterRuleAttribute.protocol)?.[0] ?? 0,
    },
  ];
}

/** -1 for a rule without it. */
function readSuppressed(bytes: Buffer | undefined): number | undefined {
  const length = bytes?.readInt32LE() ?? -1;
  return length < 0 ? undefined : length;
}

const nexthopAttribute = { id: 1, group: 2, device: 5, gateway: 6 } as const;

export function parseNexthop(message: Buffer, nameOf: NameOf): Made<Nexthop> {
  const attributes = parseAttributes(message.subarray(headers.nexthop));
  const device = readNumber(attributes.get(nexthopAttribute.device));
  const group = attributes.get(nexthopAttribute.group);
  return {
    id: readNumber(attributes.get(nexthopAttribute.id)) ?? 0,
    gateway: readAddress(attributes.get(nexthopAttribute.gateway)),
    device: device === undefined ? undefined : nameOf(device),
    group: group && readGroup(group),
    protocol: message[2] ?? 0,
  };
}

/** Of struct nexthop_grp: id, weight less one, and since Linux 6.12 the upper byte of that, which was 0 before. */
function readGroup(bytes: Buffer): { id: number; weight: number }[] {
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, at) => ({
    id: bytes.readUInt32LE(at * 8),
    weight: bytes.readUInt16LE(at * 8 + 4) + 1,
  }));
}

function readNumber(bytes: Buffer | undefined): number | undefined {
  return bytes?.readUInt32LE();
}

function readAddress(bytes: Buffer | undefined): string | undefined {
  return bytes && formatAddress(bytes);
}

/** As spellNetwork spells it; undefined for one of no length. */
function readNetwork(bytes: Buffer | undefined, length: number | undefined): string | undefined {
  return bytes && length ? `${formatAddress(bytes)}/${length}` : undefined;
}
