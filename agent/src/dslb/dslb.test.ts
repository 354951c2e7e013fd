import t from "tap";
import { renderTable } from "../adapters/nft-table.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { startHealth } from "../health/verdict.ts";
import { judgeUplinks, type Memory } from "./document.ts";
import { endangersUplinks } from "./endangers.ts";
import { placeFarms, planUplinks, type UplinksState } from "./plan.ts";
import { renderUplinks } from "./render.ts";
import { renderRules } from "./rules.ts";
import { verifyUplinks } from "./verify.ts";

const interfaces = {
  nic0: { ipv4: { method: "static", addresses: ["10.50.0.1/24"] } },
  nic1: { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } },
  nic2: {
    ipv4: { method: "static", addresses: ["198.51.100.5/24"] },
    ipv6: { method: "static", addresses: ["2001:db8:2::5/64"] },
  },
  nic3: { enabled: false },
};
const uplinks = {
  cable: { interface: "nic2", gateway: "198.51.100.1" },
  fibre: { interface: "nic1", gateway: "192.0.2.1", weight: 3 },
  six: {
    ...{ interface: "nic2", gateway: "2001:db8:2::1", translation: "prefix" },
    prefix: { inside: "fd50::/64", outside: "2001:db8:50::/64" },
  },
};
const probes = { far: { type: "tcp", address: "203.0.113.1", port: 443 } };
const isp = { interfaces: ["nic0"], probes, uplinks };
const web = { profile: "l4xnat", virtualAddresses: ["192.0.2.5"], ports: ["80"] };

function make(parts: object): Configuration {
  return configuration.parse({ ...emptyConfiguration(), interfaces, farms: { web }, ...parts });
}

const state = (parts: Partial<UplinksState> = {}): UplinksState => ({
  slots: { "interface nic1": 1, "interface nic2": 2 },
  memory: {},
  up: ["nic0", "nic1", "nic2"],
  lit: ["nic0", "nic1", "nic2"],
  nexthops: [],
  routes: [],
  rules: [],
  tables: {},
  ...parts,
});

const dead = { health: startHealth(0, "down"), waiting: false, failures: [] };

t.test("every problem of uplinks is named", async (t) => {
  const problems = (uplinkFarms: object) =>
    verifyUplinks(make({ uplinkFarms })).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
  t.same(problems({ isp }), []);
  t.same(problems({ isp: { uplinks: {} } }), [
    "warning uplinkFarms.isp.interfaces: no interface inside is named and the box does not use the uplinks: nobody does",
    "warning uplinkFarms.isp.uplinks: there is no uplink",
  ]);
  t.same(
    problems({
      isp: {
        ...{ interfaces: ["nic0", "nic1", "nic9"], sources: ["10.50.0.7/24"], interval: 1, timeout: 1 },
        probes: { gateway: { type: "icmp", address: "192.0.2.1" }, six: { type: "icmp", address: "2001:db8::1" } },
        uplinks: {
          far: { interface: "nic1", gateway: "203.0.113.1" },
          own: { interface: "nic1", gateway: "192.0.2.5" },
          none: { interface: "nic3", gateway: "192.0.2.7" },
          four: { ...uplinks.six, interface: "nic1", gateway: "192.0.2.1", prefix: undefined },
          odd: { ...uplinks.cable, prefix: { inside: "fd50::/64", outside: "10.0.0.0/8" } },
        },
        ties: [
          { uplink: "nowhere", source: "10.50.0.7/24" },
          { uplink: "odd", source: "fd50::/64" },
          { uplink: "odd" },
          { uplink: "odd", farm: "shop", source: "10.50.0.0/24" },
        ],
      },
    }),
    [
      "error uplinkFarms.isp.interfaces.1: nic1 is an uplink's: it cannot be inside as well",
      "error uplinkFarms.isp.interfaces.2: expected a configured interface: nic0, nic1, nic2, nic3",
      "error uplinkFarms.isp.sources.0: expected a network: 10.50.0.0/24",
      "error uplinkFarms.isp.timeout: expected less than the interval of 1 s",
      "error uplinkFarms.isp.uplinks.far.gateway: expected an address within a network of nic1",
      "error uplinkFarms.isp.uplinks.own.gateway: expected another address than the interface's own",
      "warning uplinkFarms.isp.uplinks.none.interface: nic3 is disabled",
      "error uplinkFarms.isp.uplinks.none.gateway: nic3 has no IPv4 address",
      "error uplinkFarms.isp.uplinks.four.translation: expected masquerade or none: a prefix is translated in IPv6 only",
      "error uplinkFarms.isp.uplinks.four.prefix: expected the prefixes inside and outside",
      "error uplinkFarms.isp.uplinks.odd.prefix: expected none, for the translation is masquerade",
      "error uplinkFarms.isp.uplinks.odd.prefix.outside: expected an IPv6 network",
      "error uplinkFarms.isp.uplinks.odd.prefix.outside: expected a network of the same length as fd50::/64",
      "warning uplinkFarms.isp.probes.gateway.address: 192.0.2.1 is the gateway of four itself: it may answer while nothing beyond it does",
      "error uplinkFarms.isp.probes.six.address: expected the family of an uplink: none serves IPv6",
      "error uplinkFarms.isp.ties.0.uplink: expected an uplink of this farm: far, own, none, four, odd",
      "error uplinkFarms.isp.ties.0.source: expected a network: 10.50.0.0/24",
      "error uplinkFarms.isp.ties.1.source: expected the family of odd, IPv4",
      "error uplinkFarms.isp.ties.2: expected a source, a destination or a farm",
      "error uplinkFarms.isp.ties.3.farm: expected a farm alone: its answers go to whoever asked",
      "error uplinkFarms.isp.ties.3.farm: expected a farm: web",
    ],
  );
  t.same(problems({ isp: { ...isp, box: true }, other: { ...isp, box: true } }), [
    "error uplinkFarms.other.interfaces.0: nic0 is inside for farm isp",
    "error uplinkFarms.other.box: the box uses the uplinks of farm isp",
    "error uplinkFarms.other.uplinks.cable.gateway: 198.51.100.1 on nic2 is the uplink isp/cable",
    "error uplinkFarms.other.uplinks.fibre.gateway: 192.0.2.1 on nic1 is the uplink isp/fibre",
    "error uplinkFarms.other.uplinks.six.gateway: 2001:db8:2::1 on nic2 is the uplink isp/six",
  ]);
});

t.test("what an uplink is worth: link, probes, return, priority; and all of them when none is left", async (t) => {
  const judge = (settings: object, memory: Memory = {}, lit = ["nic1", "nic2"]) => {
    const [farm] = renderUplinks(make({ uplinkFarms: { isp: { ...isp, ...settings } } }));
    return farm && Object.fromEntries(judgeUplinks(farm, memory, lit));
  };
  t.same(judge({}), { cable: "used", fibre: "used", six: "used" });
  t.same(judge({}, { "isp/fibre": dead }), { cable: "used", fibre: "dead", six: "used" });
  t.same(judge({}, {}, ["nic2"]), { cable: "used", fibre: "no-link", six: "used" });
  t.same(judge({}, { "isp/fibre": { ...dead, health: startHealth(0), waiting: true } }), {
    cable: "used",
    fibre: "waiting",
    six: "used",
  });
  t.same(
    judge({}, { "isp/fibre": dead, "isp/cable": dead }),
    { cable: "used", fibre: "used", six: "used" },
    "none is left",
  );
  t.same(judge({}, { "isp/fibre": dead }, ["nic1"]), { cable: "no-link", fibre: "used", six: "no-link" });
  const priority = { algorithm: "priority", uplinks: { ...uplinks, cable: { ...uplinks.cable, priority: 2 } } };
  t.same(judge(priority), { cable: "standby", fibre: "used", six: "used" });
  t.same(judge(priority, { "isp/fibre": dead }), { cable: "used", fibre: "dead", six: "used" });
});

const farms = (settings: object = {}) => renderUplinks(make({ uplinkFarms: { isp: { ...isp, ...settings } } }));

t.test("the plan: gateways, groups and tables before the rules, which go first", async (t) => {
  const steps = planUplinks({ state: state() }, { farms: farms() });
  t.same(
    steps.map(({ kind }) => kind),
    ["remember-slots", "set-ways", "load-table", "load-table"],
  );
  const ways = steps.find((step) => step.kind === "set-ways");
  t.same(ways?.kind === "set-ways" && ways.lines.ipv4, [
    "nexthop replace id 1003 via 198.51.100.1 dev nic2 onlink protocol 84",
    "route replace unicast default nhid 1003 table 1003 metric 0 protocol 84",
    "rule add priority 31600 from all fwmark 0x30000/0xff0000 lookup 1003 protocol 84",
    "nexthop replace id 1004 via 192.0.2.1 dev nic1 onlink protocol 84",
    "route replace unicast default nhid 1004 table 1004 metric 0 protocol 84",
    "rule add priority 31600 from all fwmark 0x40000/0xff0000 lookup 1004 protocol 84",
    "nexthop replace id 2064 group 1003,1/1004,3 protocol 84",
    "route replace unicast default nhid 2064 table 1064 metric 0 protocol 84",
    "rule add priority 31600 from all fwmark 0x400000/0xff0000 lookup 1064 protocol 84",
  ]);
  const slots = {
    "interface nic1": 1,
    "uplink isp/cable": 3,
    "uplink isp/fibre": 4,
    "uplink isp/six": 5,
    "farm isp": 64,
  };
  const group = {
    id: 2064,
    group: [
      { id: 1003, weight: 1 },
      { id: 1004, weight: 3 },
    ],
    protocol: 84,
  };
  const running = state({
    slots,
    nexthops: [{ id: 1003, gateway: "198.51.100.1", device: "nic2", protocol: 84 }, group],
  });
  const verdict = planUplinks({ state: { ...running, memory: { "isp/fibre": dead } } }, { farms: farms() });
  t.match(verdict.at(-1), { kind: "cut-connections", summary: "cut the connections of uplink isp/fibre", label: 68 });
  t.match(JSON.stringify(verdict), /nexthop replace id 2064 group 1003,1 protocol 84/);
  t.notMatch(JSON.stringify(verdict), /nexthop replace id 1003/);
  const maintained = planUplinks(
    { state: running },
    { farms: farms({ uplinks: { ...uplinks, fibre: { ...uplinks.fibre, state: "maintenance" } } }) },
  );
  t.notOk(
    maintained.some(({ kind }) => kind === "cut-connections"),
    "maintenance cuts nothing",
  );
  const gone = planUplinks({ state: running }, { farms: [] });
  t.same(
    gone.map(({ kind }) => kind),
    ["remember-slots", "remove-ways", "cut-connections", "cut-connections", "cut-connections"],
  );
  t.match(JSON.stringify(gone), /nexthop delete id 2064","nexthop delete id 1003/, "groups before their members");
});

t.test("the rules: which connection takes which uplink", async (t) => {
  const ties = [
    { source: "10.50.0.16/28", uplink: "cable" },
    { destination: "203.0.113.0/24", uplink: "fibre", otherwise: "drop" },
    { farm: "web", uplink: "cable" },
  ];
  const { placed } = placeFarms(
    farms({ ties, sources: ["10.50.0.0/24"], box: true }),
    state({ memory: { "isp/fibre": dead } }),
  );
  const text = renderTable("steelyard_uplinks", renderRules(placed)).replace(/version_\w+/, "version_");
  t.equal(
    text,
    `table inet steelyard_uplinks
delete table inet steelyard_uplinks
table inet steelyard_uplinks {
	chain version_ {
	}

	chain keep {
		ct label 67 meta mark set meta mark & 0xfe00ffff | 0x01030000 return
		ct label 68 meta mark set meta mark & 0xfe00ffff | 0x01040000 return
		ct label 69 meta mark set meta mark & 0xfe00ffff | 0x01050000 return
	}

	chain answer {
		ct original ip daddr { 192.0.2.5 } meta mark set meta mark & 0xfe00ffff | 0x00030000 return
	}

	chain choose_64 {
		iif != lo meta nfproto ipv4 ip saddr != { 10.50.0.0/24 } return
		meta nfproto ipv6 return
		meta nfproto ipv4 ip saddr 10.50.0.16/28 meta mark set meta mark & 0xfe00ffff | 0x01030000 return
		meta nfproto ipv4 ip daddr 203.0.113.0/24 counter drop
		meta nfproto ipv4 meta mark set meta mark & 0xfe00ffff | 0x01400000 return
		meta nfproto ipv6 meta mark set meta mark & 0xfe00ffff | 0x01400000 return
	}

	chain prerouting {
		type filter hook prerouting priority -139; policy accept;
		ct direction reply jump answer
		ct direction original jump keep
		iifname { "nic0" } ct direction original ct state new meta mark & 0x00ff0000 == 0 fib daddr type unicast jump choose_64
	}

	chain output {
		type route hook output priority -139; policy accept;
		ct direction reply jump answer
		meta nfproto ipv4 ct direction original tcp sport 9048-9063 fib daddr type unicast meta mark set meta mark & 0xfe00ffff | 0x00030000 return
		meta nfproto ipv4 ct direction original udp sport 9048-9063 fib daddr type unicast meta mark set meta mark & 0xfe00ffff | 0x00030000 return
		meta nfproto ipv4 ct direction original tcp sport 9064-9079 fib daddr type unicast meta mark set meta mark & 0xfe00ffff | 0x00040000 return
		meta nfproto ipv4 ct direction original udp sport 9064-9079 fib daddr type unicast meta mark set meta mark & 0xfe00ffff | 0x00040000 return
		meta nfproto ipv6 ct direction original tcp sport 9080-9095 fib daddr type unicast meta mark set meta mark & 0xfe00ffff | 0x00050000 return
		meta nfproto ipv6 ct direction original udp sport 9080-9095 fib daddr type unicast meta mark set meta mark & 0xfe00ffff | 0x00050000 return
		ct direction original jump keep
		ct direction original ct state new meta mark & 0x00ff0000 == 0 fib daddr type unicast jump choose_64
	}

	chain forward {
		type filter hook forward priority -1; policy accept;
		meta mark & 0x01000000 == 0x01000000 oifname != { "nic1", "nic2" } meta mark set meta mark & 0xfe00ffff
		iifname { "nic0" } oifname { "nic1", "nic2" } ct state invalid meta l4proto tcp reject with tcp reset
	}

	chain postrouting {
		type filter hook postrouting priority 80; policy accept;
		meta mark & 0x01000000 == 0x01000000 meta nfproto ipv4 oifname "nic2" ct direction original ct state new ct label set 67 return
		meta mark & 0x01000000 == 0x01000000 meta nfproto ipv4 oifname "nic1" ct direction original ct state new ct label set 68 return
		meta mark & 0x01000000 == 0x01000000 meta nfproto ipv6 oifname "nic2" ct direction original ct state new ct label set 69 return
	}

	chain translate {
		type nat hook postrouting priority 90; policy accept;
		ct label 67 masquerade
		ct label 68 masquerade
		ct label 69 ip6 saddr fd50::/64 snat ip6 prefix to 2001:db8:50::/64
		ct label 69 masquerade
	}
}
`,
  );
});

t.test("uplinks on an interface for management can cut it off", async (t) => {
  const before = make({ system: { management: { interfaces: ["nic1"] } }, uplinkFarms: { isp } });
  const after = (settings: object) => make({ system: before.system, uplinkFarms: { isp: { ...isp, ...settings } } });
  t.same(endangersUplinks(before, after({ interfaces: [] })), []);
  t.same(
    endangersUplinks(before, after({ uplinks: { ...uplinks, fibre: { ...uplinks.fibre, weight: 1 } } })).length,
    1,
  );
  t.same(endangersUplinks(before, after({ box: true })).length, 1);
});
