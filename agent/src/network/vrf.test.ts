import t from "tap";
import { parseLinkInfo } from "../adapters/link-info.ts";
import { makeMachine } from "../adapters/machine.ts";
import type { DefaultRoute, Link } from "../adapters/netlink.ts";
import { renderTable } from "../adapters/nft-table.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { renderFirewall } from "../firewall/render.ts";
import { renderMarks } from "../routing/marks.ts";
import { planRouting } from "../routing/plan.ts";
import { renderRouting } from "../routing/render.ts";
import type { RoutingState } from "../routing/target.ts";
import { subsystems } from "../subsystems.ts";
import { endangersNetwork } from "./endangers.ts";
import { network } from "./index.ts";
import { planNetwork } from "./plan.ts";
import { type NetworkArtefacts, renderNetwork } from "./render.ts";
import { describeVrf, gatewaysOf, vrfTables } from "./vrf-links.ts";

/** Management kept apart in a VRF, through every subsystem that has a part in it. */

const make = (parts: object) => configuration.parse({ ...emptyConfiguration(), ...parts });
const service = { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } };
const apart = {
  ipv4: { method: "static", addresses: ["192.0.2.9/24"], gateway: "192.0.2.2", defaultRoute: false },
  ipv6: { method: "static", addresses: ["2001:db8::9/64"], gateway: "fe80::1" },
};
const vrf = (settings: object = {}) => ({ kind: "vrf", vrf: { table: 10, members: ["nic1"], ...settings } });
const system = { management: { interfaces: ["nic1"] } };
const box = { system, interfaces: { nic0: service, nic1: apart, mgmt: vrf() } };

const findings = (parts: object) =>
  subsystems
    .filter(({ name }) => ["network", "routing", "dslb", "l4", "system"].includes(name))
    .flatMap(({ verify }) => verify(make(parts), new Date(0)))
    .map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

t.test("management with an address of the service network, and a gateway of its own, has no findings", async (t) => {
  t.same(findings(box), []);
});

t.test("every mistake of VRFs is found at once, each with its path", async (t) => {
  t.same(
    findings({
      system: {
        management: { interfaces: ["mgmt", "nic1"] },
        dns: { servers: ["192.0.2.53", "2001:db8:9::53#dns.example.com"] },
        ntp: { servers: ["10.9.0.1", "time.example.com"] },
      },
      interfaces: {
        nic0: { ipv4: { method: "static", addresses: ["10.1.0.5/24"] } },
        nic1: apart,
        nic2: { ipv4: { method: "static", addresses: ["192.0.2.10/24"], gateway: "192.0.2.3" } },
        mgmt: {
          ...vrf({ members: ["nic1", "nic2"], destinations: ["10.0.0.0/8", "10.9.0.1/8", "0.0.0.0/0"] }),
          ...{ mtu: 1500, enabled: false, ipv4: { method: "dhcp" } },
        },
        other: vrf({ members: ["nic1", "mgmt"], destinations: ["2001:db8:9::/48"] }),
        third: { kind: "vrf", vrf: { table: 254, destinations: ["2001:db8:9::53/128"] } },
        empty: { kind: "vrf" },
      },
      virtualAddresses: { web: { interface: "nic1", address: "192.0.2.77/24" } },
      routingTables: { partner: { id: 10 } },
      routingRules: {
        leak: { priority: 29_000, from: "10.1.0.0/24", table: "mgmt" },
        own: { priority: 29_001, interface: "nic1", table: "nic2" },
      },
      routingRoutes: {
        leak: { destination: "203.0.113.0/24", via: "192.0.2.3", interface: "nic1" },
        lost: { destination: "203.0.114.0/24", via: "192.0.2.3" },
        bare: { destination: "198.51.100.0/24", via: "192.0.2.3", table: "mgmt" },
        good: { destination: "198.51.101.0/24", via: "192.0.2.3", interface: "nic1", table: "mgmt" },
        drop: { destination: "198.51.102.0/24", type: "blackhole", table: "mgmt" },
        twice: { destination: "0.0.0.0/0", via: "192.0.2.3", interface: "nic1", table: "mgmt" },
      },
      uplinkFarms: { isp: { interfaces: ["nic2"], uplinks: { a: { interface: "nic1", gateway: "192.0.2.2" } } } },
      farms: {
        web: {
          ...{ profile: "l4xnat", virtualAddresses: ["192.0.2.9"], ports: ["80"] },
          backends: { a: { address: "10.2.0.1" } },
        },
      },
    }).filter((words) => !/warning (?:farms|uplinkFarms|routingRoutes)|is disabled/.test(words)),
    [
      "error interfaces.other.vrf.members.1: expected a member of kind ethernet, bond, vlan, bridge, dummy; mgmt is a vrf",
      "error interfaces.empty.vrf: expected the settings of a VRF",
      "error interfaces.other.vrf.members.0: expected another one: nic1 is a member of mgmt",
      "error interfaces.mgmt.enabled: expected true: to do without a VRF, delete it",
      "error interfaces.mgmt.mtu: expected none: members of a VRF have MTUs of their own",
      "error interfaces.mgmt.ipv4.method: expected none: the members of a VRF have the addresses",
      "error interfaces.mgmt.vrf.destinations.0: expected no part of a network of nic0 (10.1.0.5/24): it is reached there",
      "error interfaces.mgmt.vrf.destinations.1: expected a network: 10.0.0.0/8",
      "error interfaces.mgmt.vrf.destinations.2: expected less than everything: name the hosts or networks that the box itself asks",
      "error interfaces.third.vrf.table: 253 to 255 are the kernel's own",
      "warning interfaces.third.vrf.members: a VRF without members keeps nothing apart",
      "error interfaces.third.vrf.destinations.0: expected no part of a destination of the VRF other",
      "error interfaces.other.vrf.table: expected a number of its own: 10 is that of mgmt",
      "error virtualAddresses.web.interface: expected an interface that is not kept apart: nic1 is a member of the VRF mgmt",
      "error system.management.interfaces.0: expected the members of the VRF that are meant: nic1, nic2",
      "warning interfaces.nic2.ipv4.addresses.0: the network of 192.0.2.10/24 is also that of nic1 (192.0.2.9/24)",
      "error interfaces.nic2.ipv4.gateway: expected one gateway in the VRF mgmt; nic1 has 192.0.2.2, this one 192.0.2.3",
      "error routingTables.partner.id: 10 is the number of the VRF mgmt",
      "error routingRules.leak.table: expected another table: mgmt is a VRF, and no rule leads into it",
      "error routingRules.own.table: expected mgmt, the VRF whose table nic2 uses",
      "error routingRules.own.interface: expected an interface that is not kept apart: nic1 is a member of the VRF mgmt",
      "error routingRoutes.leak.interface: expected an interface that is not kept apart: nic1 is a member of the VRF mgmt",
      "error routingRoutes.bare.interface: expected a member of the VRF mgmt: nic1, nic2",
      "error routingRoutes.twice.metric: expected a metric of its own: the gateway of nic2 leads to 0.0.0.0/0 with the same",
      "error uplinkFarms.isp.interfaces.0: expected an interface that is not kept apart: nic2 is a member of the VRF mgmt",
      "error uplinkFarms.isp.uplinks.a.interface: expected an interface that is not kept apart: nic1 is a member of the VRF mgmt",
      "error farms.web.virtualAddresses.0: 192.0.2.9 is in the VRF mgmt, which no farm serves",
      "error farms.web.backends.a.address: 10.2.0.1 is among the destinations of the VRF mgmt: what it answers is dropped",
    ],
  );
});

t.test("servers that only a VRF leads to are warned of, until they are among its destinations", async (t) => {
  const servers = {
    ...system,
    dns: { servers: ["192.0.2.53", "10.9.0.53#dns.example.com"] },
    ntp: { servers: ["2001:db8::123", "time.example.com"] },
    proxy: { url: "http://10.9.0.80:3128" },
  };
  const isolated = { nic0: { ipv4: { method: "static", addresses: ["203.0.113.5/24"] } }, nic1: apart };
  const others = {
    directories: { corp: { servers: ["ldaps://[2001:db8::389]"], baseDn: "dc=example" } },
    auditTargets: { log: { host: "10.9.0.99" } },
  };
  const warned = (vrfSettings: object, interfaces: object = isolated) =>
    findings({ system: servers, interfaces: { ...interfaces, mgmt: vrf(vrfSettings) }, ...others })
      .filter((words) => words.includes("cannot be reached"))
      .map((words) => words.split(": ")[0]);
  t.same(warned({}), [
    "warning system.dns.servers.0",
    "warning system.dns.servers.1",
    "warning system.ntp.servers.0",
    "warning system.proxy.url",
    "warning directories.corp.servers.0",
    "warning auditTargets.log.host",
  ]);
  t.same(warned({ destinations: ["10.9.0.0/24", "2001:db8::/64", "192.0.2.53/32"] }), []);
  const gateway = { nic0: { ipv4: { method: "static", addresses: ["203.0.113.5/24"], gateway: "203.0.113.1" } } };
  t.same(
    warned({}, { nic1: apart, ...gateway }),
    ["warning system.dns.servers.0", "warning system.ntp.servers.0", "warning directories.corp.servers.0"],
    "a gateway leads to the rest",
  );
});

t.test("the rendered files of a VRF and its members", async (t) => {
  const { mgmt, nic1, bond0 } = renderNetwork(
    make({
      interfaces: {
        nic1: apart,
        bond0: { kind: "bond", bond: { members: ["nic2"] } },
        mgmt: vrf({ members: ["bond0", "nic1"] }),
      },
    }),
  );
  t.match(mgmt, { link: { kind: "vrf", attributes: { table: 10 } }, addresses: [], up: true, lower: [] });
  t.match(mgmt?.link?.netdev, /\[NetDev\]\nName=mgmt\nKind=vrf\n\n\[VRF\]\nTable=10\n$/);
  t.match(mgmt?.file, /^LinkLocalAddressing=no$/m);
  t.match(nic1, { master: "mgmt", gateways: ["192.0.2.2", "fe80::1"] }, "its gateways are those of the VRF");
  t.match(nic1?.file, /^VRF=mgmt$/m);
  t.match(nic1?.file, /\[Route\]\nGateway=192\.0\.2\.2\nTable=10\n\n\[Route\]\nGateway=fe80::1\nTable=10\n$/);
  t.match(bond0, { master: "mgmt", lower: ["nic2"] });
  const { nic3 } = renderNetwork(
    make({ interfaces: { nic3: { ipv4: { method: "dhcp", defaultRoute: false } }, mgmt: vrf({ members: ["nic3"] }) } }),
  );
  t.notMatch(nic3?.file, /RouteMetric/, "and so is one that is learned");
});

const link = (name: string, index: number, more: Partial<Link> = {}) => ({ name, index, ...more }) as Link;

/** What the kernel would have of it. */
function observed(parts: object): NetworkArtefacts {
  const artefacts = Object.entries(renderNetwork(make(parts)));
  return Object.fromEntries(
    artefacts.map(([name, artefact]) => [name, { ...artefact, seen: { present: true, carrier: true } }]),
  );
}

const steps = (before: object, after: object) =>
  planNetwork(observed(before), renderNetwork(make(after))).map(({ summary }) => summary);

t.test("a VRF comes before its members are put into it; they are let go of when it goes", async (t) => {
  const plain = { interfaces: { nic0: service, nic1: apart } };
  t.same(steps(plain, box), ["define vrf mgmt", "set up interface mgmt", "change interface nic1 (into mgmt)"]);
  t.same(steps(box, plain), ["remove vrf mgmt", "change interface nic1 (out of mgmt)"]);
  t.same(steps(box, { ...box, interfaces: { ...box.interfaces, mgmt: vrf({ destinations: ["10.0.0.0/8"] }) } }), []);
  t.same(steps(box, { ...box, interfaces: { ...box.interfaces, mgmt: vrf({ table: 11 }) } }), [
    "remove vrf mgmt to make it anew: table 10 -> 11 (its traffic stops meanwhile)",
    "define vrf mgmt",
    "set up interface mgmt",
    "change interface nic1",
  ]);
  const wanted = renderNetwork(make(box));
  const drifted = observed(box);
  t.same(planNetwork(drifted, wanted), []);
  Object.assign(drifted.nic1 ?? {}, { master: undefined, gateways: [] });
  t.same(
    planNetwork(drifted, wanted).map(({ summary }) => summary),
    ["repair interface nic1: gateway 192.0.2.2 is gone, gateway fe80::1 is gone, it is no member of mgmt"],
  );
});

t.test("the kernel's links: the table of a VRF, its members, and gateways in the table that they use", async (t) => {
  const table = Buffer.from([8, 0, 1, 0, 10, 0, 0, 0]);
  const linkinfo = Buffer.concat([Buffer.from([8, 0, 1, 0, 0x76, 0x72, 0x66, 0, 12, 0, 2, 0]), table]);
  t.same(parseLinkInfo("vrf", linkinfo)?.attributes, { table: 10 });
  const info = { attributes: { table: 10 }, references: {} };
  const [nic0, nic1, mgmt] = [link("nic0", 2), link("nic1", 3, { master: 4 }), link("mgmt", 4, { kind: "vrf", info })];
  const links = [nic0, nic1, mgmt];
  const routes: DefaultRoute[] = [
    { index: 2, family: "ipv4", gateway: "192.0.2.1" },
    { index: 3, family: "ipv4", gateway: "192.0.2.2", table: 10 },
    { index: 3, family: "ipv4", gateway: "192.0.2.3" },
  ];
  t.same(vrfTables(links), [10]);
  t.same(gatewaysOf(nic0, links, routes), ["192.0.2.1"]);
  t.same(gatewaysOf(nic1, links, routes), ["192.0.2.2"], "one that stands in main is of no use to it");
  t.same(describeVrf(mgmt, links), { table: 10, members: ["nic1"] });
  t.equal(describeVrf(nic1, links), undefined);
});

t.test("connections that are bound to a VRF are ended before it goes", async (t) => {
  const { mgmt } = renderNetwork(make(box));
  const root = t.testdir({
    run: {
      systemd: {
        network: {
          "10-steelyard-mgmt.netdev": mgmt?.link?.netdev ?? "",
          "10-steelyard-mgmt.network": mgmt?.file ?? "",
        },
      },
    },
  });
  const info = { attributes: { table: 10 }, references: {} };
  const links = [link("mgmt", 4, { kind: "vrf", up: true, info })];
  const ran: string[] = [];
  const machine = makeMachine({
    root,
    netlink: fakeNetlink({ links: async () => links }),
    run: async (argv) => {
      ran.push(argv.join(" "));
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  for (const step of await network.plan(make({}), machine)) await step.execute();
  t.same(ran, ["ss --kill --no-header --tcp dev mgmt", "ip link delete dev mgmt", "networkctl reload"]);
});

const state = (parts: Partial<RoutingState> = {}): RoutingState => ({
  slots: {},
  up: ["nic0", "nic1", "mgmt"],
  addresses: [
    { interface: "nic0", address: "192.0.2.5" },
    { interface: "nic1", address: "192.0.2.9" },
    { interface: "nic1", address: "2001:db8::9" },
  ],
  routes: [],
  rules: (["ipv4", "ipv6"] as const).flatMap((family) => [
    { family, priority: 0, table: 255, protocol: 2 },
    { family, priority: 1000, table: 0, vrf: true, protocol: 2 },
  ]),
  marks: undefined,
  ...parts,
});

const routed = (configured: Configuration) => ({ intent: renderRouting(configured) });

t.test(
  "routing: a table that nothing falls out of, the box's addresses after it, and the ways out that are named",
  async (t) => {
    const destinations = ["10.9.0.53/32", "2001:db8:9::/48"];
    const wanted = routed(make({ ...box, interfaces: { ...box.interfaces, mgmt: vrf({ destinations }) } }));
    const [add, marks, remove, ...rest] = planRouting({ state: state() }, wanted);
    t.same(rest, [], "an interface in a VRF has no table of ours beside that of the VRF");
    if (add?.kind !== "add-routing" || remove?.kind !== "remove-routing") return t.fail("no rules");
    t.same(add.lines, {
      ipv4: [
        "route add unreachable default table 10 metric 4278198272 protocol 83",
        "rule add priority 1010 from all lookup 255 protocol 83",
        "rule add priority 1500 from 192.0.2.9/32 iif lo lookup 10 protocol 83",
        "rule add priority 1510 from all to 10.9.0.53/32 iif lo lookup 10 protocol 83",
      ],
      ipv6: [
        "route add unreachable default table 10 metric 4278198272 protocol 83",
        "rule add priority 1010 from all lookup 255 protocol 83",
        "rule add priority 1500 from 2001:db8::9/128 iif lo lookup 10 protocol 83",
        "rule add priority 1510 from all to 2001:db8:9::/48 iif lo lookup 10 protocol 83",
      ],
    });
    const gone = "rule delete priority 0 from all lookup 255";
    t.same(remove.lines, { ipv4: [gone], ipv6: [gone] });
    t.equal(marks?.kind, "load-marks");

    const flushed = planRouting({ state: state({ rules: [] }) }, wanted);
    t.match(flushed, [
      { lines: { ipv4: ["rule add priority 1000 from all l3mdev protocol 2", /unreachable/, /priority 1010/] } },
      { kind: "load-marks" },
    ]);

    const moved = (["ipv4", "ipv6"] as const).map((family) => ({ family, priority: 1010, table: 255, protocol: 83 }));
    const back = planRouting({ state: state({ rules: moved }) }, routed(make({})));
    const first = "rule add priority 0 from all lookup 255 protocol 2";
    const ours = "rule delete priority 1010 from all lookup 255 protocol 83";
    t.match(back, [
      { kind: "add-routing", lines: { ipv4: [first], ipv6: [first] } },
      { kind: "remove-routing", lines: { ipv4: [ours], ipv6: [ours] } },
    ]);
    t.same(planRouting({ state: state({ rules: [] }) }, routed(make({}))), [], "what somebody else took away is his");
  },
);

t.test(
  "routing: routes of the operator in the table of a VRF, and the end of it that he has made himself",
  async (t) => {
    const routingRoutes = {
      far: { destination: "198.51.100.0/24", via: "192.0.2.3", interface: "nic1", table: "mgmt" },
      end: { destination: "0.0.0.0/0", type: "prohibit", table: "mgmt", metric: 4_278_198_272 },
    };
    const [add] = planRouting({ state: state() }, routed(make({ ...box, routingRoutes })));
    if (add?.kind !== "add-routing") return t.fail("no routes");
    t.same(add.lines.ipv4.slice(0, 3), [
      "route add prohibit default table 10 metric 4278198272 protocol 83",
      "route add unicast 198.51.100.0/24 via 192.0.2.3 dev nic1 table 10 metric 0 protocol 83",
      "rule add priority 1010 from all lookup 255 protocol 83",
    ]);
  },
);

t.test("whom the box answers through a VRF has to come by it", async (t) => {
  const table = renderMarks(
    [],
    [{ name: "mgmt", table: 10, members: ["nic1"], destinations: ["10.9.0.53/32", "2001:db8:9::/48"] }],
  );
  t.match(
    renderTable("steelyard_routing", table),
    `	chain guard {
		type filter hook prerouting priority -145; policy accept;
		iifname != { "lo", "mgmt", "nic1" } ip saddr 10.9.0.53/32 counter drop
		iifname != { "lo", "mgmt", "nic1" } ip6 saddr 2001:db8:9::/48 counter drop
	}
`,
  );
  t.equal(renderMarks([], [{ name: "mgmt", table: 10, members: ["nic1"], destinations: [] }]), undefined);
});

t.test("the firewall knows the members, and management by the interface as before", async (t) => {
  t.same(renderFirewall(make(box)).management, { interfaces: ["nic1"], isolated: ["nic1"], ports: [444] });
});

t.test(
  "a VRF under management can cut off the operator: made, changed or deleted, and with what it reaches",
  async (t) => {
    const plain = { system, interfaces: { nic0: service, nic1: apart } };
    const danger = (before: object, after: object) => endangersNetwork(make(before), make(after));
    const used = "the interface nic1 is used for management";
    t.ok(danger(plain, box).includes(used));
    t.ok(danger(box, plain).includes(used));
    t.ok(danger(box, { ...box, interfaces: { ...box.interfaces, mgmt: vrf({ table: 11 }) } }).includes(used));
    t.match(danger(box, { ...box, interfaces: { ...box.interfaces, mgmt: vrf({ destinations: ["10.0.0.0/8"] }) } }), [
      /what the box reaches through a VRF changes/,
    ]);
    const described = { ...vrf(), description: "the office", alias: "office" };
    t.same(danger(box, { ...box, interfaces: { ...box.interfaces, mgmt: described } }), []);
  },
);
