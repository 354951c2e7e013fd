import { Flags, MessageType } from "node-netlink";
import t from "tap";
import { nexthopWords, routeWords, ruleWords } from "./iproute.ts";
import { makeAttribute } from "./netlink-codec.ts";
import { makeCollector } from "./netlink-dump.ts";
import { parseNexthop, parseRoute, parseRule } from "./netlink-routes.ts";

/** Messages as linux/rtnetlink.h, fib_rules.h and nexthop.h lay them out; what a kernel sends is in the namespace test. */

type Value = Buffer | number | string;
type Attributes = Record<number, Value>;

const nameOf = (index: number) => ({ 1: "lo", 2: "eth0" })[index] ?? `if${index}`;

function encode(attributes: Attributes): Buffer {
  return Buffer.concat(Object.entries(attributes).map(([type, value]) => makeAttribute(Number(type), bytesOf(value))));
}

/** Numbers of 32 bits, addresses and names. */
function bytesOf(value: Value): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === "number") return Buffer.from(Int32Array.of(value).buffer);
  if (/^\d+\.\d+\.\d+\.\d+$/.test(value)) return Buffer.from(value.split(".").map(Number));
  return value.startsWith("hex:") ? Buffer.from(value.slice(4), "hex") : Buffer.from(`${value}\0`);
}

const [four, six] = [2, 10];
type RouteHeader = { family?: number; length?: number; table?: number; type?: number; flags?: number };

function routeMessage({ family = four, length = 0, table = 254, type = 1, flags = 0 }: RouteHeader, more: Attributes) {
  const header = Buffer.from([family, length, 0, 0, table, 83, 0, type, 0, 0, 0, 0]);
  header.writeUInt32LE(flags, 8);
  return Buffer.concat([header, encode(more)]);
}

const route = (header: RouteHeader, more: Attributes) =>
  parseRoute(routeMessage(header, more), nameOf).map((each) => {
    return `${each.family} ${routeWords(each)} protocol ${each.protocol}`;
  });
const documentation = (host: string) => `hex:20010db8${host.padStart(24, "0")}`;

t.test("routes are read in one spelling: destinations, tables, metrics, gateways", async (t) => {
  t.same(route({ length: 32 }, { 1: "10.1.1.1", 4: 2 }), [
    "ipv4 unicast 10.1.1.1/32 dev eth0 table 254 metric 0 protocol 83",
  ]);
  t.same(route({ flags: 0x4 | 0x10 }, { 5: "10.0.0.1", 4: 2, 7: "10.0.0.9", 8: encode({ 2: 1400 }), 15: 254 }), [
    "ipv4 unicast default via 10.0.0.1 dev eth0 table 254 metric 0 src 10.0.0.9 mtu 1400 onlink protocol 83",
  ]);
  // The byte of the header is RT_TABLE_COMPAT then.
  t.same(route({ table: 252, length: 8 }, { 1: "10.0.0.0", 4: 9, 6: 4_000_000_000 | 0, 15: 1005 }), [
    "ipv4 unicast 10.0.0.0/8 dev if9 table 1005 metric 4000000000 protocol 83",
  ]);
  t.same(route({ family: six, length: 32 }, { 1: documentation(""), 5: documentation("1"), 4: 2, 6: 1024 }), [
    "ipv6 unicast 2001:db8::/32 via 2001:db8::1 dev eth0 table 254 metric 1024 protocol 83",
  ]);
  const via = Buffer.concat([Buffer.from([six, 0]), bytesOf(documentation("2"))]);
  t.same(route({}, { 18: via, 4: 2 }), [
    "ipv4 unicast default via 2001:db8::2 dev eth0 table 254 metric 0 protocol 83",
  ]);
});

t.test("what drops packets, what is reached through an object, and the first of several hops", async (t) => {
  // In IPv6 such a route stands on lo, with an error in RTA_CACHEINFO.
  const dropping = (type: number) =>
    route({ family: six, length: 32, type }, { 1: documentation(""), 4: 1, 6: 1024 }).join();
  t.match([6, 7, 8].map(dropping), [
    /^ipv6 blackhole 2001:db8::\/32 table/,
    /unreachable 2001:db8/,
    /prohibit 2001:db8/,
  ]);
  t.notMatch([6, 7, 8].map(dropping).join(), /lo/);
  t.same(route({ flags: 4 }, { 5: "10.0.0.1", 4: 2, 30: 1002 }), [
    "ipv4 unicast default nhid 1002 table 254 metric 0 protocol 83",
  ]);
  const hop = (flags: number, index: number, more: Attributes) => {
    const inner = encode(more);
    const header = Buffer.from([0, 0, flags, 0, index, 0, 0, 0]);
    header.writeUInt16LE(header.length + inner.length);
    return Buffer.concat([header, inner]);
  };
  const hops = Buffer.concat([hop(4, 2, { 5: "10.0.0.1" }), hop(0, 7, { 5: "10.7.0.1" })]);
  t.same(route({}, { 9: hops }), ["ipv4 unicast default via 10.0.0.1 dev eth0 table 254 metric 0 onlink protocol 83"]);
});

t.test("addresses of the box and what the kernel remembers of a destination are no routes", async (t) => {
  for (const type of [2, 3, 4, 5]) t.same(route({ type, length: 32 }, { 1: "10.1.1.1", 4: 2 }), []);
  t.same(route({ flags: 0x200, length: 32 }, { 1: "10.1.1.1", 5: "10.0.0.1", 4: 2, 8: encode({ 2: 600 }) }), []);
  t.same(
    route({ family: 128 }, { 4: 2 }),
    [],
    "nor are those of multicast, which a kernel adds that was asked for all",
  );
});

t.test("rules are read in one spelling", async (t) => {
  type Header = { from?: number; to?: number; table?: number; flags?: number };
  const rule = ({ from = 0, to = 0, table = 0, flags = 0 }: Header, more: Attributes) => {
    const header = Buffer.from([four, to, from, 0, table, 0, 0, 1, flags, 0, 0, 0]);
    return parseRule(Buffer.concat([header, encode(more)])).map((each) => `${ruleWords(each)} by ${each.protocol}`);
  };
  const suppressNothing = { 14: -1 };
  t.same(rule({ table: 254 }, { ...suppressNothing, 6: 32766, 15: 254, 21: Buffer.from([2]) }), [
    "priority 32766 from all lookup 254 by 2",
  ]);
  t.same(rule({ table: 255 }, {}), ["priority 0 from all lookup 255 by 0"], "the kernel's first one");
  t.same(
    rule(
      { from: 8, to: 32, table: 252, flags: 2 },
      { 1: "10.1.1.1", 2: "10.0.0.0", 3: "lo", 6: 5, 10: 5, 14: 0, 15: 1007, 16: 0xff },
    ),
    ["priority 5 not from 10.0.0.0/8 to 10.1.1.1/32 fwmark 0x5/0xff iif lo lookup 1007 suppress_prefixlength 0 by 0"],
  );
  t.same(rule({ table: 7 }, { 6: 5, 10: 5 }), ["priority 5 from all fwmark 0x5/0xffffffff lookup 7 by 0"]);
  t.same(rule({ table: 7 }, { 6: 5, 16: 0x0f }), ["priority 5 from all fwmark 0x0/0xf lookup 7 by 0"]);
  const vrf = { ...suppressNothing, 6: 1000, 19: Buffer.from([1]), 21: Buffer.from([2]) };
  t.same(rule({}, vrf), ["priority 1000 from all l3mdev by 2"], "the kernel's own, made with the first VRF");
});

t.test("nexthops are read, and groups of them with weights, which the kernel counts from 0", async (t) => {
  const nexthop = (more: Attributes) =>
    parseNexthop(Buffer.concat([Buffer.from([four, 0, 84, 0, 4, 0, 0, 0]), encode(more)]), nameOf);
  const single = nexthop({ 1: 1001, 5: 2, 6: "10.0.0.1" });
  t.equal(nexthopWords(single), "id 1001 via 10.0.0.1 dev eth0 onlink");
  t.equal(single.protocol, 84);
  const member = (id: number, ...weight: number[]) =>
    Buffer.concat([bytesOf(id), Buffer.from([...weight, 0, 0, 0]).subarray(0, 4)]);
  const group = Buffer.concat([member(1001, 0), member(1002, 255), member(1003, 0xe7, 0x03)]);
  t.equal(
    nexthopWords(nexthop({ 1: 2001, 2: group, 3: Buffer.from([0, 0]) })),
    "id 2001 group 1001,1/1002,256/1003,1000",
  );
});

t.test(
  "a dump is whole, is asked again when something changed meanwhile, or fails with the kernel's word",
  async (t) => {
    const [seq, port] = [7, 1];
    const message = (type: number, data: Buffer, flags = 0) => ({ type, flags: flags | Flags.MULTI, seq, port, data });
    const done = (errno = 0, flags = 0) => message(MessageType.DONE, bytesOf(errno), flags);
    const [one, two] = [Buffer.from("one"), Buffer.from("two")];
    const whole = makeCollector(seq);
    t.equal(whole([message(24, one), { ...message(24, two), seq: 6 }]), undefined, "the end is in a datagram to come");
    t.same(whole([message(24, two), done()]), [one, two]);
    t.same(makeCollector(seq)([done()]), []);
    t.equal(makeCollector(seq)([message(24, one, Flags.DUMP_INTR), done()]), "interrupted");
    t.equal(makeCollector(seq)([message(24, one), done(0, Flags.DUMP_INTR)]), "interrupted");
    t.throws(() => makeCollector(seq)([done(-90)]), /EMSGSIZE/, "a message that fits no datagram");
    t.throws(() => makeCollector(seq)([message(MessageType.ERROR, bytesOf(-1))]), /EPERM/);
  },
);
