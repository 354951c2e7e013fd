import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { createRtNetlink, FlagsNew, rt } from "node-netlink";
import t from "tap";
import type { Made, Nexthop, Route, Rule } from "../src/adapters/iproute.ts";
import { makeMachine } from "../src/adapters/machine.ts";
import { makeAttribute } from "../src/adapters/netlink-codec.ts";
import { withDumps } from "../src/adapters/netlink-dump.ts";
import { dumpRoutes, parseRoute } from "../src/adapters/netlink-routes.ts";
import { run } from "../src/adapters/process.ts";
import { address, enterBox, link, startPeer } from "./lab.ts";

/** What the agent reads of routes, rules and nexthop objects is what ip(8) says of the same kernel. */
const nexthops = [
  "nexthop add id 1001 via 10.77.0.2 dev near0 onlink protocol 84",
  "nexthop add id 1002 via 10.78.0.2 dev near1 protocol 84",
  "nexthop add id 1003 via fd77::2 dev near0 protocol 84",
  "nexthop add id 1004 blackhole protocol 84",
  "nexthop add id 1005 dev near1 protocol 84",
  "nexthop add id 2001 group 1001,3/1002 protocol 84",
  "nexthop add id 2002 group 1002,256 protocol 84",
];

const routes = [
  "default via 10.77.0.2 dev near0 table 100 metric 50 src 10.77.0.1",
  "192.0.2.1 via 10.9.9.9 dev near0 onlink mtu 1400 table 1001",
  "192.0.2.2 dev near1 scope link",
  "192.0.2.3 via 10.77.0.2 mtu lock 1300 advmss 1200",
  "blackhole 192.0.2.4 table 70000",
  "unreachable 192.0.2.5 metric 4000000000",
  "prohibit 192.0.2.6",
  "192.0.2.7 nhid 2001",
  "192.0.2.8 nhid 1004",
  "192.0.2.9 tos 0x10 via 10.77.0.2",
  "198.51.100.0/24 via inet6 fd77::2 dev near0",
  "203.0.113.0/24 nexthop via 10.77.0.2 dev near0 weight 3 nexthop via 10.78.0.2 dev near1",
  "203.0.114.0/24 nexthop via 10.9.9.9 dev near0 onlink nexthop via inet6 fd78::2 dev near1",
  "blackhole 2001:db8:1::/48 table 70000",
  "unreachable 2001:db8:2::/48 metric 7",
  "prohibit 2001:db8:3::1",
  "default via fd77::2 dev near0 table 100 src fd77::1 mtu 1400",
  "2001:db8:4::/48 via fe80::1 dev near1 metric 5 onlink",
  "2001:db8:5::/48 nexthop via fd77::2 dev near0 nexthop via fd78::2 dev near1 weight 2",
  "2001:db8:6::/48 nhid 1003",
  "2001:db8:7::/48 dev near1",
].map((words) => `route add proto 83 ${words}`);

const rules = [
  "not from 10.0.0.0/8 table 70000 priority 30000",
  "from 10.1.1.1 to 10.2.0.0/16 table 100 priority 30001",
  "fwmark 5 table 100 priority 30002",
  "fwmark 0x50000/0xff0000 table 100 priority 30003",
  "fwmark 0/0xf table 100 priority 30004",
  "iif lo table main suppress_prefixlength 0 priority 30005",
  "iif absent0 oif near1 tos 0x10 table 100 priority 30006",
  "from 10.3.0.0/16 blackhole priority 30007",
  "ipproto tcp dport 80-90 uidrange 0-99 table 100 priority 30008",
  "from fd77::/64 to 2001:db8:0:0:1::1 table 1001 priority 30009",
  "not from fd77::1 fwmark 0x1/0x1 table 100 priority 30010",
  "l3mdev priority 30011",
];

const types: Record<string, Route["type"]> = { 1: "unicast", 6: "blackhole", 7: "unreachable", 8: "prohibit" };
const whole = { ipv4: 32, ipv6: 128 } as const;

t.setTimeout(120_000);
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const { netlink } = makeMachine();
  const peer = await startPeer();
  t.teardown(() => peer.end());
  await batch(["link set lo up"]);
  await link("near0", peer.pid, ["10.77.0.1/24", "fd77::1/64"]);
  await address(peer.pid, ["10.77.0.2/24", "fd77::2/64"]);
  await batch([
    "link add near1 type veth peer name far1",
    "link set near1 up",
    "link set far1 up",
    "address add 10.78.0.1/24 dev near1",
    "address add fd78::1/64 dev near1 nodad",
  ]);

  await t.test("routes, rules and nexthops of every kind are read as ip shows them", async (t) => {
    await batch([...nexthops, ...routes]);
    await changeRules("add", rules);
    const read = await netlink.routing();
    const shown = await showAll();
    t.same(read.nexthops.map(plain), shown.nexthops);
    t.same(read.routes.map(plain), shown.routes);
    t.same(read.rules.map(plain), shown.rules);
    // ip and the agent could be wrong alike: what was made is there.
    const made = read.routes.filter(({ protocol }) => protocol === 83);
    t.equal(made.length, routes.length);
    const find = (wanted: string, table: number) =>
      made.find((each) => each.destination === wanted && each.table === table);
    t.match(find("default", 100), { gateway: "10.77.0.2", device: "near0", metric: 50, source: "10.77.0.1" });
    t.match(find("192.0.2.1/32", 1001), { gateway: "10.9.9.9", onlink: true, mtu: 1400 });
    t.match(find("198.51.100.0/24", 254), { gateway: "fd77::2", device: "near0" });
    t.match(find("203.0.113.0/24", 254), { gateway: "10.77.0.2", device: "near0", nexthop: undefined });
    t.match(find("2001:db8:5::/48", 254), { gateway: "fd77::2", metric: 1024 });
    t.match(find("2001:db8:1::/48", 70_000), { type: "blackhole", device: undefined });
    t.match(find("192.0.2.7/32", 254), { nexthop: 2001, gateway: undefined });
    t.match(read.nexthops.find(({ id }) => id === 2001)?.group, [
      { id: 1001, weight: 3 },
      { id: 1002, weight: 1 },
    ]);
    t.equal(read.rules.filter(({ protocol }) => protocol === 83).length, rules.length);
    t.match(
      read.rules.find(({ priority }) => priority === 30_000),
      { not: true, from: "10.0.0.0/8", table: 70_000 },
    );
    t.match(
      read.rules.find(({ priority }) => priority === 30_002),
      { mark: { value: 5, mask: 0xffffffff } },
    );
    t.match(
      read.rules.find(({ priority }) => priority === 30_011),
      { vrf: true, table: 0 },
    );
    // They decide about what comes next as well.
    await changeRules("delete", rules);
  });

  await t.test("what the kernel remembers of a destination is left out", async (t) => {
    const inside = ["nsenter", `--net=/proc/${peer.pid}/ns/net`] as const;
    await run([...inside, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]);
    await run([...inside, "ip", "route", "add", "10.88.0.0/16", "via", "10.77.0.9", "mtu", "lock", "600"]);
    await batch(["route add 10.88.0.0/16 via 10.77.0.2"]);
    await run(["ping", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1000", "10.88.0.1"], {
      accept: [0, 1, 2],
    });
    const { stdout } = await run(["ip", "route", "show", "cache"]);
    t.match(stdout, /10\.88\.0\.1 [\s\S]*mtu (lock )?600/, "it has learned a smaller MTU");
    const found = (await netlink.routing()).routes.filter(({ destination }) => destination.startsWith("10.88."));
    t.match(found, [{ destination: "10.88.0.0/16", mtu: undefined }]);
    t.equal(found.length, 1);
  });

  await t.test("what changes while it is read does no harm", async (t) => {
    // The kernel does not tell that rules change between two datagrams: these fit into one.
    let busy = true;
    const change = (async () => {
      const lines = Array.from({ length: 200 }, (_, at) => `rule add priority ${20_000 + at} table 9 protocol 85`);
      while (busy) {
        await batch(lines);
        await batch(lines.map((line) => line.replace("add", "delete")));
      }
    })();
    try {
      for (let turn = 0; turn < 50; turn++) {
        const { rules } = await netlink.routing();
        const priorities = rules.filter(({ family }) => family === "ipv4").map(({ priority }) => priority);
        const sorted = [...new Set(priorities)].sort((one, other) => one - other);
        if (!isDeepStrictEqual(priorities, sorted) || priorities.at(-1) !== 32_767)
          return t.fail(`rules are missing, twice or out of order: ${priorities.join()}`);
      }
      t.pass("fifty lists of rules, each in order and to its end");
    } finally {
      busy = false;
      await change;
    }
  });

  await t.test("a route of several hundred hops is read, and those that follow it", async (t) => {
    await addRouteOfManyHops();
    await batch(["route add 10.67.0.0/16 via 10.77.0.2 table 1"]);
    const found = (await withDumps(dumpRoutes))
      .flatMap((message) => parseRoute(message, String))
      .filter(({ family, table }) => family === "ipv4" && table === 1);
    t.match(found, [
      { destination: "10.66.0.0/16", gateway: "10.77.0.2", protocol: 84 },
      { destination: "10.67.0.0/16", gateway: "10.77.0.2" },
    ]);
    // To flush a table, ip has to see what is in it.
    for (const each of ["10.66.0.0/16", "10.67.0.0/16"]) await batch([`route delete ${each} table 1`]);
  });

  await t.test("ten thousand routes come whole", async (t) => {
    const network = (at: number) => `10.${128 + (at >> 8)}.${at & 255}.0/24`;
    await batch(Array.from({ length: 5_000 }, (_, at) => `route add ${network(at)} via 10.77.0.2 table 500 proto 84`));
    await batch(
      Array.from({ length: 5_000 }, (_, at) => {
        return `route add 2001:db8:${at.toString(16)}::/48 via fd77::2 dev near0 table 600 proto 84`;
      }),
    );
    const begin = performance.now();
    const read = await netlink.routing();
    t.comment(`read in ${Math.round(performance.now() - begin)} ms`);
    const many = read.routes.filter(({ protocol }) => protocol === 84);
    t.equal(new Set(many.map(({ family, destination }) => `${family} ${destination}`)).size, 10_000);
    // To compare ten thousand objects one by one takes tap longer than all else here.
    t.ok(isDeepStrictEqual(read.routes.map(plain), (await showAll()).routes), "they are those that ip shows");
  });
}

/** ip does not see the family of a rule by its addresses. */
async function changeRules(verb: "add" | "delete", rules: readonly string[]): Promise<void> {
  const lines = (six: boolean) =>
    rules.filter((each) => each.includes("fd77") === six).map((each) => `rule ${verb} ${each} protocol 83`);
  await batch(lines(false));
  await batch(lines(true), "-6");
}

/** More hops than ip takes, and than fit into the 4 KiB of a datagram that the kernel begins with. */
async function addRouteOfManyHops(): Promise<void> {
  const { index = 0 } = (await makeMachine().netlink.links()).find(({ name }) => name === "near0") ?? {};
  const gateway = makeAttribute(5, Uint8Array.of(10, 77, 0, 2));
  const hop = Buffer.concat([Uint8Array.of(16, 0, 0, 0, index, 0, 0, 0), gateway]);
  const hops = makeAttribute(9, Buffer.concat(Array.from({ length: 600 }, () => hop)));
  // struct rtmsg: IPv4, a network of 16 bits, table 1, which the kernel lists first, protocol 84, scope universe, unicast.
  const header = Uint8Array.of(2, 16, 0, 0, 1, 84, 0, 1, 0, 0, 0, 0);
  const message = Buffer.concat([header, makeAttribute(1, Uint8Array.of(10, 66, 0, 0)), hops]);
  const socket = createRtNetlink();
  await socket.socket.request(rt.MessageType.NEWROUTE, message, { flags: FlagsNew.CREATE, timeout: 10_000 });
  socket.socket.close();
}

async function batch(lines: readonly string[], ...family: string[]): Promise<void> {
  await run(["ip", ...family, "-batch", "-"], { input: `${lines.join("\n")}\n`, timeout: 60_000 });
}

type Json = Record<string, unknown> & { nexthops?: Json[]; metrics?: Json[]; flags?: string[]; group?: Json[] };

async function showAll() {
  const ask = async (...words: string[]): Promise<Json[]> =>
    JSON.parse((await run(["ip", "-N", "-details", "-json", ...words], { timeout: 60_000 })).stdout || "[]") as Json[];
  const [four, six] = ["ipv4", "ipv6"] as const;
  const [routes4, routes6, rules4, rules6, nexthops] = [
    await ask("-4", "route", "show", "table", "all"),
    await ask("-6", "route", "show", "table", "all"),
    await ask("-4", "rule", "show"),
    await ask("-6", "rule", "show"),
    await ask("nexthop", "show"),
  ];
  return {
    routes: [...routes4.flatMap((each) => toRoute(four, each)), ...routes6.flatMap((each) => toRoute(six, each))].map(
      plain,
    ),
    rules: [...rules4.map((each) => toRule(four, each)), ...rules6.map((each) => toRule(six, each))].map(plain),
    nexthops: nexthops.map(toNexthop).map(plain),
  };
}

/** Keys without a value are no difference. */
function plain<Item>(item: Item): Item {
  return JSON.parse(JSON.stringify(item)) as Item;
}

function numberOf(value: unknown): number | undefined {
  return value === undefined ? undefined : Number(value);
}

function network(family: Route["family"], text: string, length?: unknown): string {
  return text.includes("/") ? text : `${text}/${length ?? whole[family]}`;
}

function toRoute(family: Route["family"], json: Json): Made<Route>[] {
  const type = types[String(json.type)];
  if (type === undefined) return [];
  const hop = json.nexthops?.[0] ?? json;
  const object = json.nhid !== undefined;
  const gateway = (hop.gateway ?? (hop.via as Json | undefined)?.host) as string | undefined;
  const onlink = [...(json.flags ?? []), ...(hop.flags ?? [])].includes("onlink");
  return [
    {
      family,
      type,
      destination: json.dst === "default" ? "default" : network(family, String(json.dst)),
      ...(object
        ? { nexthop: Number(json.nhid) }
        : { gateway, device: type === "unicast" ? String(hop.dev) : undefined }),
      table: Number(json.table),
      metric: Number(json.metric ?? 0),
      source: json.prefsrc as string | undefined,
      mtu: numberOf(json.metrics?.find(({ mtu }) => mtu !== undefined)?.mtu),
      ...(onlink && !object ? { onlink } : {}),
      protocol: Number(json.protocol),
    },
  ];
}

function toRule(family: Rule["family"], json: Json): Made<Rule> {
  const side = (text: unknown, length: unknown) =>
    text === undefined || text === "all" ? undefined : network(family, String(text), length);
  return {
    family,
    priority: Number(json.priority),
    ...("not" in json ? { not: true } : {}),
    from: side(json.src, json.srclen),
    to: side(json.dst, json.dstlen),
    mark:
      json.fwmark === undefined ? undefined : { value: Number(json.fwmark), mask: Number(json.fwmask ?? 0xffffffff) },
    interface: json.iif as string | undefined,
    table: Number(json.table ?? 0),
    ...("l3mdev" in json ? { vrf: true } : {}),
    suppress: numberOf(json.suppress_prefixlen),
    protocol: Number(json.protocol),
  };
}

function toNexthop(json: Json): Made<Nexthop> {
  return {
    id: Number(json.id),
    gateway: json.gateway as string | undefined,
    device: json.dev as string | undefined,
    group: json.group?.map(({ id, weight }) => ({ id: Number(id), weight: Number(weight ?? 1) })),
    protocol: Number(json.protocol),
  };
}
