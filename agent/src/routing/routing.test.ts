import t from "tap";
import { renderTable, stateOf } from "../adapters/nft-table.ts";
import { assignSlots } from "../adapters/route-numbers.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { endangersRouting } from "./endangers.ts";
import { renderMarks } from "./marks.ts";
import { planRouting } from "./plan.ts";
import { renderRouting } from "./render.ts";
import type { RoutingState } from "./target.ts";
import { verifyRouting } from "./verify.ts";

const interfaces = {
  eth0: { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } },
  eth1: {
    ipv4: { method: "static", addresses: ["198.51.100.5/24"], gateway: "198.51.100.1", defaultRoute: false },
    ipv6: { method: "static", addresses: ["2001:db8:1::5/64"] },
  },
  eth2: { ipv4: { method: "dhcp" } },
  eth3: { enabled: false },
};

function make(parts: object): Configuration {
  return configuration.parse({ ...emptyConfiguration(), interfaces, ...parts });
}

const problems = (parts: object) =>
  verifyRouting(make(parts)).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

t.test("every problem of tables, rules and routes is named", async (t) => {
  t.same(problems({}), []);
  t.same(problems({ routingTables: { main: { id: 5 }, a: { id: 254 }, b: { id: 5 }, eth1: { id: 7 } } }), [
    "error routingTables.main: expected another name: main is the kernel's own table",
    "error routingTables.a.id: 253 to 255 are the kernel's own",
    "error routingTables.b.id: 5 is the number of table main",
    "error routingTables.eth1: expected another name: that of an interface means its own table",
  ]);
  t.same(
    problems({
      routingRules: {
        host: { priority: 29_000, from: "192.0.2.5/24", to: "2001:db8::/32", table: "nowhere" },
        twin: { priority: 29_000, interface: "eth9", table: "eth1" },
        never: { priority: 29_001, mark: { value: 0x100, mask: 0xff } },
        reserved: { priority: 29_002, mark: { value: 0x10000, mask: 0xff0000 } },
        nothing: { priority: 29_003, not: true },
        all: { priority: 29_004, table: "eth3" },
      },
    }),
    [
      "error routingRules.host.from: expected a network: 192.0.2.0/24",
      "error routingRules.host.table: expected a table: main, eth0, eth1, eth2, eth3",
      "error routingRules.host.to: expected a network of the same family as from",
      "error routingRules.twin.interface: expected a configured interface: eth0, eth1, eth2, eth3",
      "error routingRules.never.mark.value: expected no bits outside of the mask, or no packet fits",
      "warning routingRules.reserved.mark.mask: bits 16 to 24 are set by the box itself, for tables of interfaces and uplinks",
      "error routingRules.nothing.not: expected something that does not fit: from, to, mark or interface",
      "warning routingRules.all.table: eth3 is disabled: its table is not there",
      "warning routingRules.all: the rule holds for every packet",
      "error routingRules.twin.priority: expected a priority of its own: 29000 is that of host",
    ],
  );
  t.same(
    problems({
      routingRoutes: {
        host: { destination: "2001:db8::1/32", via: "192.0.2.9" },
        nowhere: { destination: "203.0.113.0/24" },
        drop: { destination: "203.0.113.0/24", type: "blackhole", interface: "eth0", metric: 1 },
        self: { destination: "203.0.113.0/24", via: "192.0.2.5", metric: 2 },
        far: { destination: "203.0.113.0/24", via: "10.0.0.1", interface: "eth0", metric: 3 },
        maybe: { destination: "203.0.113.0/24", via: "10.0.0.1", interface: "eth2", metric: 4 },
        onlink: { destination: "203.0.113.0/24", via: "10.0.0.1", onlink: true, metric: 5 },
        local: { destination: "2001:db8::/32", via: "fe80::1" },
        small: { destination: "2001:db8::/48", interface: "eth1", mtu: 600 },
        source: { destination: "203.0.113.0/24", interface: "eth1", source: "192.0.2.77", metric: 6 },
        default: { destination: "0.0.0.0/0", via: "198.51.100.1" },
        own: { destination: "0.0.0.0/0", via: "198.51.100.1", table: "eth0" },
      },
    }),
    [
      "error routingRoutes.host.destination: expected a network: 2001:db8::/32",
      "error routingRoutes.host.via: expected an address of the same family as the destination",
      "error routingRoutes.nowhere.via: expected a router or an interface, or both",
      "error routingRoutes.drop.interface: expected none, for a blackhole route leads nowhere",
      "error routingRoutes.self.via: expected the address of a router: 192.0.2.5 is the box's own",
      "error routingRoutes.far.via: eth0 does not have a network with 10.0.0.1: nothing can reach it (onlink says that it can)",
      "warning routingRoutes.maybe.via: eth2 does not have a network with 10.0.0.1, unless one is learned",
      "error routingRoutes.onlink.onlink: expected a router and its interface beside it",
      "error routingRoutes.local.via: expected an interface beside a link-local router",
      "error routingRoutes.small.mtu: expected at least 1280 bytes, which IPv6 needs (RFC 8200)",
      "error routingRoutes.source.source: expected an address of the box: 192.0.2.77 is none",
      "error routingRoutes.default.metric: expected a metric of its own: the gateway of eth0 leads to 0.0.0.0/0 with the same",
    ],
  );
});

const state = (parts: Partial<RoutingState> = {}): RoutingState => ({
  slots: {},
  up: ["eth0", "eth1", "eth2"],
  addresses: [
    { interface: "eth0", address: "192.0.2.5" },
    { interface: "eth1", address: "198.51.100.5" },
    { interface: "eth1", address: "198.51.100.10" },
  ],
  routes: [
    {
      family: "ipv4",
      type: "unicast",
      destination: "198.51.100.0/24",
      device: "eth1",
      table: 254,
      metric: 0,
      source: "198.51.100.5",
      protocol: 2,
    },
  ],
  rules: [],
  marks: undefined,
  ...parts,
});

const wanted = (parts: object = {}) => ({ intent: renderRouting(make(parts)) });

t.test("the plan: routes before the rules that lead to them, and one table for each gateway", async (t) => {
  const steps = planRouting({ state: state() }, wanted());
  t.same(
    steps.map(({ kind }) => kind),
    ["remember-slots", "add-routing", "load-marks"],
  );
  const [, add] = steps;
  if (add?.kind !== "add-routing") return t.fail("no routes");
  t.same(add.lines.ipv4, [
    "route add unicast default via 192.0.2.1 dev eth0 table 1001 metric 0 onlink protocol 83",
    "route add unicast 198.51.100.0/24 dev eth1 table 1002 metric 0 src 198.51.100.5 protocol 83",
    "route add unicast default via 198.51.100.1 dev eth1 table 1002 metric 0 onlink protocol 83",
    "rule add priority 31500 from all lookup 254 suppress_prefixlength 0 protocol 83",
    "rule add priority 31000 from all fwmark 0x10000/0xff0000 lookup 1001 suppress_prefixlength 0 protocol 83",
    "rule add priority 31010 from 192.0.2.5/32 lookup 1001 suppress_prefixlength 0 protocol 83",
    "rule add priority 32000 from all fwmark 0x10000/0xff0000 lookup 1001 protocol 83",
    "rule add priority 32010 from 192.0.2.5/32 lookup 1001 protocol 83",
    "rule add priority 31000 from all fwmark 0x20000/0xff0000 lookup 1002 suppress_prefixlength 0 protocol 83",
    "rule add priority 31010 from 198.51.100.5/32 lookup 1002 suppress_prefixlength 0 protocol 83",
    "rule add priority 31010 from 198.51.100.10/32 lookup 1002 suppress_prefixlength 0 protocol 83",
    "rule add priority 32000 from all fwmark 0x20000/0xff0000 lookup 1002 protocol 83",
    "rule add priority 32010 from 198.51.100.5/32 lookup 1002 protocol 83",
    "rule add priority 32010 from 198.51.100.10/32 lookup 1002 protocol 83",
  ]);
  t.equal(add.summary, "add route unicast default via 192.0.2.1 dev eth0 table 1001 metric 0 onlink and 18 more");
});

t.test("a learned gateway makes a table; a link that is down and one gateway alone make none", async (t) => {
  const lease = {
    family: "ipv4",
    type: "unicast",
    destination: "default",
    gateway: "10.0.0.1",
    device: "eth2",
    table: 254,
    metric: 1024,
    protocol: 16,
  } as const;
  const slotsOf = (parts: Partial<RoutingState>, configured: object = {}) => {
    const [step] = planRouting({ state: state(parts) }, wanted(configured));
    return step?.kind === "remember-slots" ? Object.keys(step.slots) : undefined;
  };
  t.same(slotsOf({ routes: [lease] }), ["interface eth0", "interface eth1", "interface eth2"]);
  const single = { interfaces: { eth0: interfaces.eth0 } };
  t.same(slotsOf({}, single), undefined);
  t.same(
    slotsOf({}, { ...single, routingRoutes: { d: { destination: "0.0.0.0/0", via: "192.0.2.9", table: "eth0" } } }),
    ["interface eth0"],
  );
  const [, add] = planRouting({ state: state({ up: ["eth0"] }) }, wanted());
  t.notMatch(JSON.stringify(add), /dev eth1/);
});

t.test("slots are kept while they are used, and not given away at once", async (t) => {
  t.same(assignSlots({}, ["a", "b"], 1, 63), { a: 1, b: 2 });
  t.same(assignSlots({ a: 1, b: 2, "uplink x/y": 3 }, ["b", "c"], 1, 63), { b: 2, c: 4 });
  t.equal(assignSlots({ a: 1 }, ["b", "c"], 1, 2), undefined);
});

t.test("the rules for answers", async (t) => {
  const table = renderMarks([
    { name: "eth0", slot: 1 },
    { name: "eth1", slot: 2 },
  ]);
  t.equal(
    renderTable("steelyard_routing", table),
    `table inet steelyard_routing
delete table inet steelyard_routing
table inet steelyard_routing {
	chain version_${stateOf(table)?.version} {
	}

	chain answer {
		ct label 1 meta mark set meta mark & 0xfe00ffff | 0x00010000 return
		ct label 2 meta mark set meta mark & 0xfe00ffff | 0x00020000 return
	}

	chain arrival {
		iifname "eth0" ct label set 1 return
		iifname "eth1" ct label set 2 return
	}

	chain prerouting {
		type filter hook prerouting priority -140; policy accept;
		meta mark set meta mark & 0xfe00ffff
		ct direction reply jump answer
		ct direction original ct state new jump arrival
	}

	chain output {
		type route hook output priority -140; policy accept;
		ct direction reply jump answer
	}

	chain postrouting {
		type filter hook postrouting priority 90; policy accept;
		meta mark set meta mark & 0xfe00ffff
	}
}
`,
  );
  t.equal(renderTable("x", undefined), "table inet x\ndelete table inet x\n");
  t.not(stateOf(table)?.version, stateOf(renderMarks([{ name: "eth0", slot: 1 }]))?.version);
});

t.test("a change of rules or routes can cut off management; words about them cannot", async (t) => {
  const before = make({
    system: { management: { interfaces: ["eth0"] } },
    routingRoutes: { r: { destination: "10.0.0.0/8", via: "192.0.2.9" } },
  });
  const change = (edit: (draft: Configuration) => void) => {
    const after = structuredClone(before);
    edit(after);
    return endangersRouting(before, after);
  };
  t.same(
    change(({ routingRoutes }) => Object.assign(routingRoutes.r ?? {}, { description: "to the offices" })),
    [],
  );
  t.match(
    change(({ routingRoutes }) => Object.assign(routingRoutes.r ?? {}, { metric: 7 })),
    [/routes change/],
  );
  t.match(
    change((draft) => {
      draft.routingRules = make({ routingRules: { r: { priority: 29_000, from: "10.0.0.0/8" } } }).routingRules;
    }),
    [/routing rules change/],
  );
});
