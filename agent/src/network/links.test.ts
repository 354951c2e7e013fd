import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { parseBondMember, parseLacpPartner, parseLinkInfo } from "../adapters/link-info.ts";
import { makeMachine } from "../adapters/machine.ts";
import type { Link, LinkAddress } from "../adapters/netlink.ts";
import { parseLinkKind } from "../adapters/netlink-codec.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { configuration, emptyConfiguration } from "../configuration/schema.ts";
import type { SteelyardError } from "../errors.ts";
import { describeBond } from "./bond-status.ts";
import { endangersNetwork } from "./endangers.ts";
import { network } from "./index.ts";
import { type Card, resolveMembers } from "./members.ts";
import { planNetwork } from "./plan.ts";
import { type NetworkArtefacts, renderNetwork } from "./render.ts";
import { verifyNetwork } from "./verify.ts";

/** Bonds, VLANs, bridges and dummies. Cards and addresses: network.test.ts. */

type Input = { interfaces?: unknown; virtualAddresses?: unknown; system?: unknown };

const make = (parts: Input) => configuration.parse({ ...emptyConfiguration(), ...parts });
const fixed = (address: string) => ({ ipv4: { method: "static", addresses: [address] } });
const findings = (parts: Input) =>
  verifyNetwork(make(parts)).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

const lacp = {
  mode: "802.3ad",
  members: ["nic0", "nic1"],
  lacpRate: "fast",
  transmitHashPolicy: "layer3+4",
  minLinks: 1,
};
const everything = {
  bond0: { kind: "bond", bond: lacp, mtu: 9000, ...fixed("192.0.2.5/24") },
  vlan10: { kind: "vlan", vlan: { parent: "bond0", id: 10 }, ...fixed("198.51.100.5/24") },
  "bond0.20": { kind: "vlan", vlan: { parent: "bond0", id: 20 }, mtu: 1500 },
  br0: { kind: "bridge", bridge: { members: ["bond0.20", "nic2"], stp: true } },
  dummy0: { kind: "dummy", ...fixed("203.0.113.5/32") },
};

t.test("interfaces of every kind that stand on each other have no findings", async (t) => {
  t.same(findings({ interfaces: everything }), []);
  const old = make({ interfaces: { nic0: fixed("192.0.2.5/24") } });
  t.match(old.interfaces.nic0, { kind: "ethernet", alias: "" }, "what was written before there were kinds is a card");
});

t.test("every mistake of links is found at once, each with its path", async (t) => {
  t.same(
    findings({
      system: { management: { interfaces: ["nic0"] } },
      interfaces: {
        nic0: fixed("192.0.2.5/24"),
        nic1: { mtu: 9000, enabled: false },
        bond0: { kind: "bond", bond: { mode: "802.3ad", members: ["nic0", "nic1", "nic1"], minLinks: 4 } },
        bond1: { kind: "bond", bond: { mode: "802.3ad", members: [] } },
        bond2: { kind: "bond", bond: { mode: "802.3ad", members: ["nic1", "vlan10"], monitor: "arp" } },
        bond3: {
          kind: "bond",
          bond: { members: ["nic5"], primary: "nic6", mii: { interval: 100, upDelay: 150 }, lacpRate: "fast" },
        },
        bond4: {
          kind: "bond",
          bond: { mode: "balance-rr", members: ["nic7", "nic8"], monitor: "arp", arp: { targets: ["2001:db8::1"] } },
        },
        vlan10: { kind: "vlan", vlan: { parent: "nic0", id: 10 } },
        vlan11: { kind: "vlan", vlan: { parent: "nic9", id: 11 }, mtu: 9000 },
        vlan12: { kind: "vlan", vlan: { parent: "nic9", id: 11 } },
        vlan13: { kind: "vlan", vlan: { parent: "vlan14", id: 1 } },
        vlan14: { kind: "vlan", vlan: { parent: "vlan13", id: 1 } },
        br0: { kind: "bridge", bridge: { members: ["br1", "lo"] }, mtu: 4000 },
        br1: { kind: "bridge", bridge: { members: [] }, vlan: { parent: "nic0", id: 3 } },
        nic4: { kind: "dummy", ipv4: { method: "dhcp" } },
        bonding_masters: { kind: "bond" },
      },
      virtualAddresses: { web: { interface: "nic1", address: "192.0.2.10/24" } },
    }),
    [
      "error interfaces.nic0.ipv4.method: expected none: nic0 is a member of bond0, which has the addresses",
      "warning interfaces.bond0.bond.members.1: nic1 is disabled, so it carries nothing",
      "error interfaces.nic1.mtu: expected no MTU, or that of bond0 (1500)",
      "warning interfaces.bond0.bond.members.2: nic1 is disabled, so it carries nothing",
      "error interfaces.nic1.mtu: expected no MTU, or that of bond0 (1500)",
      "error interfaces.bond0.bond.minLinks: expected at most 3, the number of its members",
      "error interfaces.bond1.bond.members: expected members or a memberPattern",
      "warning interfaces.bond2.bond.members.0: nic1 is disabled, so it carries nothing",
      "error interfaces.nic1.mtu: expected no MTU, or that of bond2 (1500)",
      "error interfaces.bond2.bond.members.1: expected a member of kind ethernet, dummy; vlan10 is a vlan",
      "error interfaces.bond2.bond.monitor: expected mii: 802.3ad has no ARP monitoring",
      "error interfaces.bond2.bond.arp.targets: expected at least one address to ask",
      "error interfaces.bond3.bond.primary: expected a member: nic5",
      "warning interfaces.bond3.bond.members: a bond of one member has nothing to fall back on",
      "error interfaces.bond3.bond.mii.upDelay: expected a multiple of the interval (100 ms)",
      "warning interfaces.bond3.bond.lacpRate: has no effect: active-backup does not know it",
      "error interfaces.bond4.bond.arp.targets.0: expected an IPv4 address",
      "error interfaces.vlan10.vlan.parent: expected bond0, of which nic0 is a member",
      "error interfaces.vlan11.mtu: expected at most the MTU of nic9 (1500)",
      "error interfaces.vlan13.vlan.parent: expected no loop: the interface would stand on itself",
      "error interfaces.vlan14.vlan.parent: expected no loop: the interface would stand on itself",
      "error interfaces.br0.bridge.members.0: expected a member of kind ethernet, bond, vlan, dummy; br1 is a bridge",
      "error interfaces.br0.bridge.members.1: expected a network card: lo belongs to the system",
      "error interfaces.br0.mtu: expected at most the MTU of its member br1 (1500)",
      "error interfaces.br1.vlan: expected no settings of a VLAN: the kind is bridge",
      "error interfaces.nic4: expected another name, such as dummy0: a network card may have this one",
      "error interfaces.nic4.ipv4.method: expected none or static: a dummy has no network to learn from",
      "error interfaces.bonding_masters: expected another name: this one is reserved",
      "error interfaces.bonding_masters.bond: expected the settings of a bond",
      "error interfaces.bond0.bond.members.2: expected each member once; nic1 is named twice",
      "error interfaces.bond2.bond.members.0: expected another one: nic1 is a member of bond0",
      "error interfaces.vlan12.vlan.id: expected another VLAN: 11 of nic9 is vlan11",
      "error virtualAddresses.web.interface: expected bond0, of which nic1 is a member",
      "error system.management.interfaces.0: expected bond0, of which nic0 is a member",
      "warning virtualAddresses.web.interface: nic1 is disabled, so the address is not up",
    ],
  );
});

t.test("the rendered files of links", async (t) => {
  const modes = {
    "balance-rr": { monitor: "arp", arp: { targets: ["192.0.2.1", "192.0.2.2"], validate: "all", allTargets: true } },
    "active-backup": { primary: "nic1", primaryReselect: "better", failOverMac: "active", gratuitousCount: 3 },
    "balance-xor": { transmitHashPolicy: "layer2+3", mii: { interval: 50, upDelay: 200, downDelay: 100 } },
    broadcast: {},
    "802.3ad": lacp,
    "balance-tlb": { primary: "nic0" },
    "balance-alb": {},
  };
  for (const [mode, settings] of Object.entries(modes)) {
    const bond = { members: ["nic0", "nic1"], ...settings, mode };
    const { bond0, nic1 } = renderNetwork(make({ interfaces: { bond0: { kind: "bond", bond } } }));
    t.matchSnapshot(bond0?.link, mode);
    t.matchSnapshot(nic1?.file, `${mode}: a member`);
  }
  const artefacts = renderNetwork(make({ interfaces: everything }));
  for (const [name, { file, link, ...rest }] of Object.entries(artefacts)) {
    t.matchSnapshot(file, `${name}.network`);
    t.matchSnapshot(link?.netdev, `${name}.netdev`);
    t.matchSnapshot({ ...rest, attributes: link?.attributes }, `${name}: what the kernel must have`);
  }
  const methods = ["slaac", "dhcp"].map((method) => ({ ipv4: { method: "dhcp" }, ipv6: { method } }));
  const { nic0, nic1 } = renderNetwork(make({ interfaces: { nic0: methods[0], nic1: methods[1] } }));
  t.matchSnapshot(nic0?.file, "IPv6 by router advertisement alone");
  t.matchSnapshot(nic1?.file, "IPv6 by DHCPv6 alone");
  const provider = { kind: "vlan", vlan: { parent: "nic0", id: 7, protocol: "802.1ad" } };
  t.matchSnapshot(renderNetwork(make({ interfaces: { vlan7: provider } })).vlan7?.link, "a provider's tag");
});

/** What a machine that was brought to the configuration reports. */
const observed = (parts: Input): NetworkArtefacts =>
  Object.fromEntries(
    Object.entries(renderNetwork(make(parts))).map(([name, artefact]) => [
      name,
      { ...artefact, seen: { present: true, carrier: true } },
    ]),
  );
const summaries = (now: NetworkArtefacts, wanted: Input) =>
  planNetwork(now, renderNetwork(make(wanted))).map(({ summary }) => summary);

t.test("links come from the ground up and go from the top down", async (t) => {
  t.same(summaries(observed({ interfaces: everything }), { interfaces: everything }), [], "nothing to do");
  t.same(summaries({}, { interfaces: everything }), [
    "define bond bond0",
    "define vlan vlan10",
    "define vlan bond0.20",
    "define bridge br0",
    "define dummy dummy0",
    "set up interface nic0 (into bond0)",
    "set up interface nic1 (into bond0)",
    "set up interface bond0 (+192.0.2.5/24)",
    "set up interface vlan10 (+198.51.100.5/24)",
    "set up interface bond0.20 (into br0)",
    "set up interface nic2 (into br0)",
    "set up interface br0",
    "set up interface dummy0 (+203.0.113.5/32)",
  ]);
  t.same(summaries(observed({ interfaces: everything }), {}), [
    "remove dummy dummy0",
    "remove bridge br0",
    "remove vlan bond0.20",
    "remove vlan vlan10",
    "remove bond bond0",
    "release interface nic2",
    "release interface nic1",
    "release interface nic0",
  ]);
});

t.test("what a working link takes is changed; for the rest it is made anew, with the VLANs on it", async (t) => {
  const now = observed({ interfaces: everything });
  const change = (more: object) => ({
    interfaces: { ...everything, bond0: { ...everything.bond0, bond: { ...lacp, ...more } } },
  });
  t.same(summaries(now, change({ transmitHashPolicy: "layer2", mii: { interval: 50 } })), [
    "change bond bond0",
    "change interface bond0 (miiInterval 100 -> 50 transmitHashPolicy layer3+4 -> layer2)",
  ]);
  t.same(summaries(now, change({ lacpRate: "slow" })), [
    "remove vlan bond0.20 to make it anew: what it stands on is made anew (its traffic stops meanwhile)",
    "remove vlan vlan10 to make it anew: what it stands on is made anew (its traffic stops meanwhile)",
    "remove bond bond0 to make it anew: lacpRate fast -> slow (its traffic stops meanwhile)",
    "define bond bond0",
    "define vlan vlan10",
    "define vlan bond0.20",
    "change interface nic0 (into bond0 again)",
    "change interface nic1 (into bond0 again)",
    "set up interface bond0 (+192.0.2.5/24)",
    "set up interface vlan10 (+198.51.100.5/24)",
    "set up interface bond0.20 (into br0)",
  ]);
  const retagged = { ...everything, vlan10: { ...everything.vlan10, vlan: { parent: "bond0", id: 11 } } };
  t.same(summaries(now, { interfaces: retagged }), [
    "remove vlan vlan10 to make it anew: id 10 -> 11 (its traffic stops meanwhile)",
    "define vlan vlan10",
    "change interface bond0 (with vlan10 again)",
    "set up interface vlan10 (+198.51.100.5/24)",
  ]);
  const moved = { bond0: { kind: "bond", bond: { members: ["nic0", "nic1"] }, ...fixed("192.0.2.5/24") } };
  t.same(
    summaries(observed({ interfaces: { nic0: fixed("192.0.2.5/24") } }), { interfaces: moved }),
    [
      "define bond bond0",
      "change interface nic0 (-192.0.2.5/24 into bond0)",
      "set up interface nic1 (into bond0)",
      "set up interface bond0 (+192.0.2.5/24)",
    ],
    "an address leaves the card before it comes to the bond",
  );
});

t.test("drift of links is a plan", async (t) => {
  const wanted = { interfaces: everything };
  const drifted = (name: string, change: (artefact: NetworkArtefacts[string]) => object) => {
    const now = observed(wanted);
    const artefact = now[name] as NetworkArtefacts[string];
    return summaries({ ...now, [name]: { ...artefact, ...change(artefact) } }, wanted);
  };
  t.same(
    drifted("nic1", () => ({ master: undefined })),
    ["repair interface nic1: it is no member of bond0"],
  );
  t.same(
    drifted("dummy0", () => ({ master: "br9" })),
    ["repair interface dummy0: it belongs to br9"],
  );
  t.same(
    drifted("bond0", () => ({ mtu: 1500 })),
    ["repair interface bond0: its MTU is 1500"],
  );
  t.same(
    drifted("dummy0", () => ({ alias: "odd" })),
    ["repair interface dummy0: its alias is odd"],
  );
  const set = (attributes: object) => (artefact: NetworkArtefacts[string]) => ({
    link: { ...artefact.link, attributes: { ...artefact.link?.attributes, ...attributes } },
  });
  t.same(drifted("bond0", set({ miiInterval: 0 })), ["repair interface bond0: miiInterval 0 -> 100"]);
  t.match(drifted("bond0", set({ mode: "broadcast" })).at(2), /^remove bond bond0 .* mode broadcast -> 802.3ad/);
  t.same(
    drifted("vlan10", () => ({ seen: { present: false, carrier: false }, up: false })),
    [
      "remove vlan vlan10 to make it anew: it is gone (its traffic stops meanwhile)",
      "define vlan vlan10",
      "change interface bond0 (with vlan10 again)",
      "set up interface vlan10 (+198.51.100.5/24)",
    ],
  );
  const away = { seen: { present: false, carrier: false } };
  const onCard = { interfaces: { vlan5: { kind: "vlan", vlan: { parent: "nic9", id: 5 } } } };
  const now = observed(onCard);
  const waiting = Object.fromEntries(Object.entries(now).map(([name, each]) => [name, { ...each, ...away }]));
  t.same(summaries(waiting, onCard), [], "a VLAN on a card that is away waits for it");
  const prefers = { interfaces: { bond0: { kind: "bond", bond: { members: ["nic0", "nic1"], primary: "nic1" } } } };
  const half = observed(prefers);
  const bond0 = half.bond0 as NetworkArtefacts[string];
  const without = { ...bond0, link: { ...bond0.link, attributes: { ...bond0.link?.attributes, primary: "" } } };
  t.same(
    summaries({ ...half, bond0: without as typeof bond0, nic1: { ...(half.nic1 as typeof bond0), ...away } }, prefers),
    [],
    "and a bond cannot prefer one",
  );
});

t.test("what management stands on can cut off the operator", async (t) => {
  const system = { management: { interfaces: ["vlan10"] } };
  const before = make({ system, interfaces: everything });
  const judge = (interfaces: object) => endangersNetwork(before, make({ system, interfaces }));
  t.same(judge(everything), []);
  t.same(judge({ ...everything, dummy0: { kind: "dummy" } }), [], "other interfaces do not");
  const words = "the interface vlan10, which stands on bond0, is used for management";
  t.same(judge({ ...everything, bond0: { ...everything.bond0, bond: { ...lacp, members: ["nic0", "nic3"] } } }), [
    words,
  ]);
  t.same(judge({ ...everything, vlan10: { ...everything.vlan10, alias: "office" } }), [], "words do not");
  t.match(judge({ ...everything, nic0: { mtu: 9000, enabled: false } }), [/vlan10, which stands on nic0/]);
});

/** A machine whose networkd makes of links what `networkctl` calls for. */
function setUp(t: Test, react: (argv: readonly string[], links: Link[]) => void) {
  const common = {
    ...{ permanentMac: undefined, mtu: 1500, up: true, carrier: true, loopback: false, master: undefined },
    ...{ alternativeNames: [], minMtu: undefined, maxMtu: undefined, counters: {} as Link["counters"] },
  };
  const card = (name: string, index: number): Link => ({
    ...common,
    index,
    name,
    mac: undefined,
    kind: undefined,
    ethernet: true,
  });
  const links = [card("nic0", 2), card("nic1", 3)];
  const addresses: LinkAddress[] = [];
  const ran: string[] = [];
  let time = Date.parse("2026-01-02T03:04:05Z");
  const machine = makeMachine({
    root: t.testdir(),
    netlink: fakeNetlink({ links: async () => links, addresses: async () => addresses }),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    now: () => {
      time += 5_000;
      return new Date(time);
    },
    run: async (argv) => {
      ran.push(argv.join(" "));
      react(argv, links);
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  return { machine, links, ran, card };
}

t.test("applying makes links by networkd, changes what it does not, and removes them", async (t) => {
  const attributes = {
    ...{ mode: "active-backup", miiInterval: 100, upDelay: 0, downDelay: 0, arpInterval: 0, arpTargets: [] },
    ...{ primaryReselect: "always", failOverMac: "none", gratuitousCount: 1 },
  };
  const { machine, links, ran, card } = setUp(t, (argv, links) => {
    const [, verb, ...rest] = argv;
    const bond = links.find(({ name }) => name === "bond0");
    if (argv[0] === "ip" && rest[0] === "set" && bond?.info) bond.info.attributes.gratuitousCount = Number(argv.at(-1));
    if (argv[0] === "ip" && rest[0] === "delete") links.splice(links.indexOf(bond as Link), 1);
    if (argv[0] === "ip" && argv.at(-1) === "down") (links.find(({ name }) => name === argv[4]) as Link).up = false;
    if (verb !== "reload") return;
    const defined = existsSync(machine.path("/run/systemd/network/10-steelyard-bond0.netdev"));
    if (defined && !bond) {
      const info = { attributes: { ...attributes }, references: {} };
      links.push({ ...card("bond0", 9), kind: "bond", info });
    }
    for (const name of ["nic0", "nic1"]) {
      const configured = existsSync(machine.path(`/run/systemd/network/10-steelyard-${name}.network`));
      (links.find((each) => each.name === name) as Link).master = defined && configured ? 9 : undefined;
    }
  });
  const wanted = (bond: object) =>
    make({ interfaces: { bond0: { kind: "bond", bond: { members: ["nic0", "nic1"], ...bond } } } });
  const bring = async (parts: ReturnType<typeof make>) => {
    await network.check(parts, machine);
    ran.length = 0;
    for (const step of await network.plan(parts, machine)) await step.execute();
    t.same(await network.plan(parts, machine), [], "and then there is nothing to do");
    return ran;
  };
  t.same(await bring(wanted({})), ["networkctl reload", "networkctl reload", "networkctl reload", "networkctl reload"]);
  t.same(await bring(wanted({ gratuitousCount: 5 })), [
    "networkctl reload",
    "networkctl reload",
    "ip link set dev bond0 type bond num_grat_arp 5",
  ]);
  (links.find(({ name }) => name === "nic1") as Link).master = undefined;
  t.match(await network.plan(wanted({ gratuitousCount: 5 }), machine), [
    { summary: "repair interface nic1: it is no member of bond0" },
  ]);
  t.same((await bring(make({}))).slice(0, 2), ["ip link delete dev bond0", "networkctl reload"]);
  t.same(await fs.readdir(machine.path("/run/systemd/network")), []);
});

t.test("a link takes the name of no other, and stands on what is there", async (t) => {
  const { machine, links, card } = setUp(t, () => {});
  links.push({ ...card("bond7", 7), kind: "bond" });
  const problems = (interfaces: object) =>
    Promise.resolve(network.check(make({ interfaces }), machine)).then(
      () => [],
      (error: SteelyardError) => error.problems,
    );
  t.same(await problems({ bond7: { kind: "bond", bond: { members: ["nic0", "nic1"] } } }), [
    { path: "interfaces.bond7", message: "expected another name: the appliance has an interface of this name" },
  ]);
  const message = "expected an interface of this appliance: nic0, nic1, bond7";
  t.same(await problems({ bond0: { kind: "bond", bond: { members: ["nic0", "nic8"] } } }), [
    { path: "interfaces.bond0.bond.members.1", message },
  ]);
  t.same(await problems({ vlan5: { kind: "vlan", vlan: { parent: "nic8", id: 5 } } }), [
    { path: "interfaces.vlan5.vlan.parent", message },
  ]);
});

t.test("bond members by pattern are the cards of this machine that fit, and one bond's alone", async (t) => {
  const card = (name: string, more: Partial<Card> = {}): Card => ({
    ...{
      name,
      driver: "ixgbe",
      bus: `0000:3b:00.${name.at(-1)}`,
      mac: `00:1b:21:00:00:0${name.at(-1)}`,
      speed: 10_000,
    },
    ...{ master: undefined, ...more },
  });
  const cards = [
    card("nic0", { driver: "igb", bus: "0000:01:00.0", speed: 1_000 }),
    card("nic1"),
    card("nic2", { speed: undefined, master: "bond0" }),
    card("nic3", { speed: undefined }),
  ];
  const bond0 = (memberPattern: object, more: object = {}) => ({ kind: "bond", bond: { memberPattern, ...more } });
  const resolve = (interfaces: object, parts: Input = {}) => {
    const { configuration, findings } = resolveMembers(make({ ...parts, interfaces }), cards);
    return { members: configuration.interfaces.bond0?.bond?.members, words: findings.map(({ message }) => message) };
  };
  t.same(resolve({ bond0: bond0({ driver: "ixgbe" }) }), { members: ["nic1", "nic2", "nic3"], words: [] });
  t.same(resolve({ bond0: bond0({ name: "nic?", bus: "0000:01:*" }) }), { members: ["nic0"], words: [] });
  t.same(resolve({ bond0: bond0({ macPrefix: "00:1B:21:00:00:03" }, { members: ["nic0"] }) }).members, [
    "nic0",
    "nic3",
  ]);
  t.same(
    resolve({ bond0: bond0({ speed: 10_000 }) }).members,
    ["nic1", "nic2"],
    "a member whose cable is out stays one",
  );
  t.match(resolve({ bond0: bond0({ driver: "mlx5_core" }) }).words, [/fits a card of this appliance: nic0 igb/]);
  const other = { kind: "bond", bond: { members: ["nic1", "nic9"] } };
  t.match(resolve({ bond1: other, bond0: bond0({ name: "nic1" }) }).words, [
    /ambiguous: nic1 fits, and is a member of bond1/,
  ]);
  t.match(resolve({ bond0: bond0({ name: "nic1" }), bond1: bond0({ driver: "ixgbe" }) }).words, [/nic1 .* of bond0/]);
  t.match(resolve({ bond0: bond0({ name: "nic0" }), nic0: fixed("192.0.2.5/24") }).words, [
    /nic0 fits, and is used by itself/,
  ]);
  const system = { management: { interfaces: ["nic1"] } };
  t.match(resolve({ bond0: bond0({ name: "nic1" }) }, { system }).words, [/used by itself/]);

  const { machine } = setUp(t, () => {});
  const wanted = (pattern: object) => make({ interfaces: { bond0: bond0(pattern) } });
  t.match(await network.plan(wanted({ name: "nic*" }), machine), [
    { kind: "define-link" },
    { summary: "set up interface nic0 (into bond0)" },
    { summary: "set up interface nic1 (into bond0)" },
    {},
  ]);
  await t.rejects(network.check(wanted({ name: "ens*" }), machine), { code: "invalid-configuration" });
  t.match(await network.plan(wanted({ name: "ens*" }), machine), [{}, {}], "at boot the bond is made all the same");
});

t.test("the status of a bond names its members, the active one and the partner", async (t) => {
  const { links, card } = setUp(t, () => {});
  const bondMember = { state: "active", mii: "up", failures: 2, aggregator: 1 } as const;
  const members = [card("nic2", 4), card("nic3", 5)].map((each) => ({ ...each, master: 9, bondMember }));
  const info = { attributes: { mode: "802.3ad" }, references: { active: 4 } };
  const bond: Link = {
    ...card("bond0", 9),
    kind: "bond",
    info,
    lacpPartner: { aggregator: 1, ports: 2, mac: "02:00:00:00:00:01" },
  };
  const member = { state: "active", link: "up", failures: 2, aggregator: 1 };
  t.same(describeBond(bond, [...links, ...members, bond]), {
    mode: "802.3ad",
    active: "nic2",
    members: [
      { name: "nic2", ...member },
      { name: "nic3", ...member },
    ],
    partner: { mac: "02:00:00:00:00:01", ports: 2 },
  });
  t.equal(describeBond(links[0] as Link, links), undefined);
});

t.test("what netlink says of bonds, VLANs and bridges", async (t) => {
  const attribute = (type: number, value: Buffer) => {
    const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
    padded.writeUInt16LE(4 + value.length, 0);
    padded.writeUInt16LE(type, 2);
    value.copy(padded, 4);
    return padded;
  };
  const nest = (type: number, ...parts: Buffer[]) => attribute(type | 0x8000, Buffer.concat(parts));
  const byte = (type: number, value: number) => attribute(type, Buffer.from([value]));
  const long = (type: number, value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return attribute(type, bytes);
  };
  const short = (type: number, value: number) => attribute(type, Buffer.from([value & 0xff, value >> 8]));
  const kind = (word: string) => attribute(1, Buffer.from(`${word}\0`));
  const targets = nest(8, attribute(0, Buffer.from([192, 0, 2, 1])), attribute(1, Buffer.from([192, 0, 2, 2])));
  const partner = nest(23, short(1, 1), short(2, 2), attribute(5, Buffer.from("525400000001", "hex")));
  const bond = Buffer.concat([
    kind("bond"),
    nest(2, byte(1, 4), long(2, 3), long(3, 100), targets, long(11, 4), byte(14, 1), byte(21, 1), partner),
  ]);
  t.same(parseLinkInfo(parseLinkKind(bond), bond), {
    attributes: {
      mode: "802.3ad",
      miiInterval: 100,
      arpTargets: ["192.0.2.1", "192.0.2.2"],
      transmitHashPolicy: "layer3+4",
      lacpRate: "fast",
    },
    references: { active: 3, primary: 4 },
  });
  t.same(parseLacpPartner(bond), { aggregator: 1, ports: 2, mac: "52:54:00:00:00:01" });
  const vlan = Buffer.concat([kind("vlan"), nest(2, short(1, 100), attribute(5, Buffer.from([0x88, 0xa8])))]);
  t.same(parseLinkInfo("vlan", vlan)?.attributes, { id: 100, protocol: "802.1ad" });
  t.same(parseLinkInfo("bridge", Buffer.concat([kind("bridge"), nest(2, long(5, 1))]))?.attributes, { stp: true });
  t.equal(parseLinkInfo("veth", kind("veth")), undefined);
  const member = Buffer.concat([
    attribute(4, Buffer.from("bond\0")),
    nest(5, byte(1, 1), byte(2, 2), long(3, 7), short(6, 1)),
  ]);
  t.same(parseBondMember(member), { state: "backup", mii: "down", failures: 7, aggregator: 1 });
  t.equal(parseBondMember(attribute(4, Buffer.from("bridge\0"))), undefined);
});
