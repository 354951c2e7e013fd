import { readdirSync } from "node:fs";
import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { makeMachine } from "../adapters/machine.ts";
import type { Link, LinkAddress } from "../adapters/netlink.ts";
import { formatAddress, parseAttributes, parseLinkKind } from "../adapters/netlink-codec.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { explainUnusable, isWithin, overlaps } from "./addresses.ts";
import { network } from "./index.ts";
import { makeAnnouncements, makeProbe, parseMac, readClaim } from "./neighbours/packets.ts";
import { planNetwork } from "./plan.ts";
import { type NetworkArtefacts, renderNetwork } from "./render.ts";
import { readInterfaceStatus, readLinks } from "./status.ts";
import { verifyNetwork } from "./verify.ts";

type Input = { interfaces?: unknown; virtualAddresses?: unknown };

function make(parts: Input): Configuration {
  return configuration.parse({ ...emptyConfiguration(), ...parts });
}

const nic0 = { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } };
const nic1 = { ipv4: { method: "static", addresses: ["198.51.100.5/24"] } };
const web = { interface: "nic0", address: "192.0.2.10/24" };

/** A machine whose kernel is a few arrays, and whose networkctl does what `networkd` says. */
function setUp(
  t: Test,
  options: { links?: string[]; networkd?: (kernel: Kernel, argv: readonly string[]) => void } = {},
) {
  const kernel: Kernel = {
    links: (options.links ?? ["nic0", "nic1"]).map((name, at) => makeLink(name, at + 2)),
    addresses: [],
    routes: [],
  };
  const netlink = fakeNetlink({
    links: async () => [makeLink("lo", 1, { loopback: true, mac: "00:00:00:00:00:00" }), ...kernel.links],
    addresses: async () => kernel.addresses,
    defaultRoutes: async () => kernel.routes,
  });
  const ran: string[] = [];
  const warnings: string[] = [];
  let time = Date.parse("2026-01-02T03:04:05Z");
  const machine = makeMachine({
    root: t.testdir(),
    netlink,
    readCardStates: async () => new Map(),
    readLinkModes: async () => new Map([[2, { speed: 10_000, duplex: "full" as const }]]),
    log: { info: () => {}, warn: (text) => warnings.push(text), error: () => {} },
    // Time flies: a wait that does not come to its end comes to its limit.
    now: () => {
      time += 5_000;
      return new Date(time);
    },
    run: async (argv) => {
      ran.push(argv.join(" "));
      options.networkd?.(kernel, argv);
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  const files = async () => {
    const directory = machine.path("/run/systemd/network");
    const names = await fs.readdir(directory).catch(() => []);
    return names.sort();
  };
  return { machine, kernel, ran, warnings, files };
}

type Kernel = {
  links: Link[];
  addresses: LinkAddress[];
  routes: { index: number; family: "ipv4" | "ipv6"; gateway: string }[];
};

const counters = {
  ...{ receivedBytes: 1234, receivedPackets: 0, receivedErrors: 0, receivedDropped: 0 },
  ...{ sentBytes: 0, sentPackets: 0, sentErrors: 0, sentDropped: 0 },
};

function makeLink(name: string, index: number, more: Partial<Link> = {}): Link {
  const mac = `02:00:00:00:00:0${index}`;
  const common = { permanentMac: undefined, kind: undefined, mtu: 1500, up: true, carrier: true, counters };
  return {
    ...{ index, name, alternativeNames: [], mac, ...common, minMtu: undefined, maxMtu: undefined },
    ...{ loopback: false, ethernet: true, master: undefined, ...more },
  };
}

const onLink = (index: number, address: string, more: Partial<LinkAddress> = {}): LinkAddress => ({
  index,
  address,
  scope: "global",
  tentative: false,
  dadFailed: false,
  permanent: true,
  ...more,
});

t.test("a good configuration has no findings", async (t) => {
  const good = make({
    interfaces: {
      nic0: { ...nic0, ipv6: { method: "static", addresses: ["2001:db8::5/64"], gateway: "fe80::1" } },
      nic1,
      nic2: { ipv4: { method: "static", addresses: ["203.0.113.0/31"] } },
    },
    virtualAddresses: { web, far: { interface: "nic1", address: "203.0.113.99/32" } },
  });
  t.same(verifyNetwork(good), []);
});

t.test("every mistake is found at once, each with its path", async (t) => {
  const bad = make({
    interfaces: {
      lo: {},
      nic0: {
        ipv4: { method: "static", addresses: [], gateway: "192.0.2.1" },
        ipv6: {
          method: "static",
          addresses: ["2001:db8::/64", "2001:db8::5/64", "192.0.2.9/24"],
          gateway: "2001:db8::5",
        },
      },
      nic1: { ipv4: { method: "dhcp", addresses: ["192.0.2.1/24"] }, ipv6: { method: "none", gateway: "2001:db8::1" } },
      nic2: { ipv4: { method: "dhcp", gateway: "192.0.2.1" }, ipv6: { method: "automatic", gateway: "fe80::1" } },
      nic3: {
        ipv4: {
          method: "static",
          addresses: ["10.0.0.0/24", "10.0.1.255/24", "127.0.0.1/8", "224.0.0.1/24", "10.9.9.9/0"],
          gateway: "2001:db8::1",
        },
      },
    },
    virtualAddresses: {
      lost: { interface: "nic9", address: "192.0.2.77/24" },
      cast: { interface: "nic0", address: "ff02::1/64" },
    },
  });
  const found = verifyNetwork(bad).filter(({ severity }) => severity === "error");
  t.matchOnlyStrict(
    found.map(({ path, message }) => `${path}: ${message}`),
    [
      "interfaces.lo: expected a network card: lo belongs to the system",
      "interfaces.nic0.ipv4.addresses: expected at least one address, for the method is static",
      "interfaces.nic0.ipv4.gateway: expected an address within a network of this interface, or nothing can reach it",
      "interfaces.nic0.ipv6.addresses.0: expected the address of a host, but this is the network of /64 itself",
      "interfaces.nic0.ipv6.addresses.2: expected an IPv6 address",
      "interfaces.nic0.ipv6.gateway: expected another address than the interface's own",
      "interfaces.nic1.ipv4.addresses: expected no address, for the method is dhcp, not static",
      "interfaces.nic1.ipv6.gateway: expected no gateway, for the interface has no address of this family",
      "interfaces.nic2.ipv4.gateway: expected no gateway: dhcp brings its own",
      "interfaces.nic2.ipv6.gateway: expected no gateway: automatic brings its own",
      "interfaces.nic3.ipv4.addresses.0: expected the address of a host, but this is the network of /24 itself",
      "interfaces.nic3.ipv4.addresses.1: expected the address of a host, but this is the broadcast address of /24",
      "interfaces.nic3.ipv4.addresses.2: expected an address a host can have (unicast, not loopback)",
      "interfaces.nic3.ipv4.addresses.3: expected an address a host can have (unicast, not loopback)",
      "interfaces.nic3.ipv4.addresses.4: expected a prefix length of at least 1",
      "interfaces.nic3.ipv4.gateway: expected an IPv4 address",
      "virtualAddresses.lost.interface: expected a configured interface: lo, nic0, nic1, nic2, nic3",
      "virtualAddresses.cast.address: expected an address a host can have (unicast, not loopback)",
      "interfaces.nic2.ipv4.gateway: expected one default gateway; nic0 has 192.0.2.1, this one 192.0.2.1",
      "interfaces.nic3.ipv4.gateway: expected one default gateway; nic0 has 192.0.2.1, this one 2001:db8::1",
      "interfaces.nic1.ipv6.gateway: expected one default gateway; nic0 has 2001:db8::5, this one 2001:db8::1",
      "interfaces.nic2.ipv6.gateway: expected one default gateway; nic0 has 2001:db8::5, this one fe80::1",
    ],
  );
});

t.test("what one interface says may not fit another", async (t) => {
  const findings = (parts: Input) =>
    verifyNetwork(make(parts)).map(({ severity, path, message }) => `${severity} ${path}: ${message}`);
  t.same(
    findings({
      interfaces: { nic0, nic1 },
      virtualAddresses: { web, again: { interface: "nic1", address: "192.0.2.10/32" } },
    }),
    [
      "error virtualAddresses.again.address: expected an address of its own; 192.0.2.10 is that of virtualAddresses.web.address",
    ],
  );
  t.same(findings({ interfaces: { nic0, nic1 }, virtualAddresses: { own: { ...web, address: "192.0.2.5/32" } } }), [
    "error virtualAddresses.own.address: expected an address of its own; 192.0.2.5 is that of interfaces.nic0.ipv4.addresses.0",
  ]);
  t.same(findings({ interfaces: { nic0, nic1: { ipv4: { method: "static", addresses: ["192.0.2.6/25"] } } } }), [
    "warning interfaces.nic1.ipv4.addresses.0: the network of 192.0.2.6/25 is also that of nic0 (192.0.2.5/24)",
  ]);
  t.same(findings({ interfaces: { nic0, nic1: { ipv4: { method: "dhcp" } } } }), [
    "warning interfaces.nic1.ipv4.method: nic1 may learn a default gateway beside that of nic0; the one of lower metric is used",
  ]);
  t.same(findings({ interfaces: { nic0: { ...nic0, enabled: false }, nic1 }, virtualAddresses: { web } }), [
    "warning virtualAddresses.web.interface: nic0 is disabled, so the address is not up",
  ]);
});

t.test("arithmetic on addresses", async (t) => {
  t.ok(isWithin("192.0.2.1", "192.0.2.5/24"));
  t.notOk(isWithin("192.0.3.1", "192.0.2.5/24"));
  t.ok(isWithin("2001:db8::1", "2001:db8::5/64"));
  t.notOk(isWithin("192.0.2.1", "2001:db8::5/64"));
  t.ok(overlaps("10.0.0.1/8", "10.9.9.9/24"));
  t.notOk(overlaps("10.0.0.1/9", "10.200.0.1/24"));
  t.equal(explainUnusable("192.0.2.0/32"), undefined, "a /32 has no network address");
  t.equal(explainUnusable("2001:db8::/127"), undefined);
});

t.test("the rendered files", async (t) => {
  const artefacts = renderNetwork(
    make({
      interfaces: {
        nic0: { ...nic0, mtu: 9000, ipv6: { method: "static", addresses: ["2001:db8::5/64"], gateway: "fe80::1" } },
        nic1: { ipv4: { method: "dhcp" }, ipv6: { method: "automatic" } },
        nic2: { enabled: false, ipv4: { method: "static", addresses: ["203.0.113.5/24"] } },
      },
      virtualAddresses: {
        web,
        six: { interface: "nic0", address: "2001:DB8:0::10/64" },
        off: { ...web, address: "192.0.2.11/24", enabled: false },
        elsewhere: { interface: "nic1", address: "198.51.100.10/32" },
      },
    }),
  );
  for (const [name, { file, ...rest }] of Object.entries(artefacts)) {
    t.matchSnapshot(file, name);
    t.matchSnapshot(rest, `${name}: what the kernel must have`);
  }
});

t.test("cards hear LLDP by themselves, announce the box when they are told to, or neither", async (t) => {
  const bond0 = { kind: "bond", bond: { members: ["nic1"] } };
  const files = (lldp: "receive" | "both" | "off") => {
    const configuration = make({ interfaces: { nic0, bond0 } });
    return renderNetwork({ ...configuration, system: { ...configuration.system, lldp } });
  };
  for (const artefact of Object.values(files("receive"))) t.notMatch(artefact.file, /LLDP/);
  t.match(files("both").nic0?.file, /^EmitLLDP=nearest-bridge$/m);
  t.match(files("both").nic1?.file, /^EmitLLDP=nearest-bridge$/m, "members tell by themselves");
  t.notMatch(files("both").bond0?.file, /LLDP/);
  t.match(files("off").nic0?.file, /^LLDP=no$/m);
});

t.test("the plan", async (t) => {
  const wanted = renderNetwork(make({ interfaces: { nic0, nic1 }, virtualAddresses: { web } }));
  const plan = (now: NetworkArtefacts, then = wanted) => planNetwork(now, then);
  const with1 = (change: Partial<NetworkArtefacts[string]>) =>
    ({ ...wanted, nic0: { ...wanted.nic0, ...change } }) as NetworkArtefacts;
  t.same(plan(wanted), [], "nothing to do when all is as wanted");
  t.same(
    plan(with1({ addresses: ["192.0.2.5/24", "192.0.2.10/24", "192.0.2.99/24"] })),
    [],
    "a stranger's address is left alone",
  );
  t.match(plan({}), [
    { kind: "configure-interface", summary: "set up interface nic0 (+192.0.2.5/24 +192.0.2.10/24)" },
    { kind: "configure-interface", summary: "set up interface nic1 (+198.51.100.5/24)" },
  ]);
  t.match(plan(with1({ addresses: ["192.0.2.5/24"] })), [
    { kind: "repair-interface", summary: "repair interface nic0: 192.0.2.10/24 is gone", announce: ["192.0.2.10/24"] },
  ]);
  t.match(plan(with1({ gateways: [], up: false })), [
    { summary: "repair interface nic0: gateway 192.0.2.1 is gone, it is not up" },
  ]);
  t.same(plan(with1({ gateways: [], seen: { present: true, carrier: false } })), [], "no gateway without carrier");
  t.same(plan(with1({ addresses: [], seen: { present: false, carrier: false } })), [], "a card that is away waits");
  t.match(plan(wanted, renderNetwork(make({ interfaces: { nic0 } }))), [
    {
      kind: "release-interface",
      summary: "release interface nic1",
      expect: { absent: ["198.51.100.5/24"], up: false },
    },
    { kind: "configure-interface", summary: "change interface nic0 (-192.0.2.10/24)" },
  ]);
  const moved = renderNetwork(
    make({ interfaces: { nic0, nic1 }, virtualAddresses: { web: { ...web, interface: "nic1" } } }),
  );
  t.same(
    plan(moved, wanted).map(({ summary }) => summary),
    ["change interface nic1 (-192.0.2.10/24)", "change interface nic0 (+192.0.2.10/24)"],
    "an address leaves one interface before it comes to the other",
  );
});

t.test("applying writes, waits for the kernel and tells the neighbours", async (t) => {
  const { machine, kernel, ran, files } = setUp(t, {
    networkd: ({ addresses, routes, links }, argv) => {
      const configured = readdirSync(machine.path("/run/systemd/network")).length > 0;
      if (argv[0] === "ip") (links[0] as Link).up = false;
      if (argv[1] !== "reload") return;
      addresses.length = 0;
      if (!configured) return;
      addresses.push(onLink(2, "192.0.2.5/24"), onLink(2, "192.0.2.10/24"));
      routes.push({ index: 2, family: "ipv4", gateway: "192.0.2.1" });
    },
  });
  const wanted = make({ interfaces: { nic0 }, virtualAddresses: { web } });
  await network.check(wanted, machine);
  for (const step of await network.plan(wanted, machine)) await step.execute();
  t.same(await files(), ["10-steelyard-nic0.network"]);
  const { mode } = await fs.stat(machine.path("/run/systemd/network"));
  t.equal(mode & 0o777, 0o755, "networkd has a user of its own and must get in");
  t.same(ran.slice(0, 2), ["networkctl reload", "socat -u -b 60 - INTERFACE:nic0"]);
  // Neighbours are told again a second later, whatever happens meanwhile.
  const commands = () => ran.filter((each) => !each.startsWith("socat"));
  t.same(await network.plan(wanted, machine), [], "and then there is nothing to do");

  kernel.addresses.splice(1);
  ran.length = 0;
  const [repair] = await network.plan(wanted, machine);
  t.equal(repair?.summary, "repair interface nic0: 192.0.2.10/24 is gone");
  await t.rejects(async () => repair?.execute(), { message: "nic0: 192.0.2.10/24 is not there after 30 s" });
  t.same(commands(), ["networkctl reconfigure nic0"]);

  ran.length = 0;
  const [release] = await network.plan(make({}), machine);
  await release?.execute();
  t.same(commands(), ["networkctl reload", "ip link set dev nic0 down"]);
  t.same(await files(), []);
  t.same(await network.plan(make({}), machine), []);
});

t.test("a link that shall have no link-local address any more can be given one again while it is up", async (t) => {
  const { machine, ran } = setUp(t);
  const apply = async (settings: object) => {
    ran.length = 0;
    for (const step of await network.plan(make({ interfaces: { nic0: settings } }), machine)) await step.execute();
    return ran;
  };
  t.same(await apply({ ipv6: { method: "slaac" } }), ["networkctl reload"]);
  t.same(await apply({}), ["networkctl reload", "ip link set dev nic0 addrgenmode none"]);
  t.same(await apply({ mtu: 1500 }), ["networkctl reload"]);
});

t.test("an address that another host has fails at once", async (t) => {
  const { machine } = setUp(t, {
    networkd: ({ addresses }) => {
      addresses.push(onLink(2, "192.0.2.5/24"), onLink(2, "2001:db8::10/64", { tentative: true, dadFailed: true }));
    },
  });
  const wanted = make({
    interfaces: { nic0 },
    virtualAddresses: { six: { interface: "nic0", address: "2001:db8::10/64" } },
  });
  const [step] = await network.plan(wanted, machine);
  await t.rejects(async () => step?.execute(), {
    code: "address-taken",
    problems: [{ path: "virtualAddresses.six.address", message: "another host has 2001:db8::10" }],
  });
});

t.test("a card that is not there", async (t) => {
  const { machine, warnings, files } = setUp(t, { links: ["nic1"] });
  const wanted = make({ interfaces: { nic0 } });
  await t.rejects(network.check(wanted, machine), {
    code: "invalid-configuration",
    problems: [{ path: "interfaces.nic0", message: "expected an interface of this appliance: nic1" }],
  });
  const [step] = await network.plan(wanted, machine);
  await step?.execute();
  t.same(warnings, ["interface nic0 is not in this machine; its settings wait for it"], "at boot its settings wait");
  t.same(await files(), ["10-steelyard-nic0.network"]);
  await network.check(wanted, machine);
  t.same(await network.plan(wanted, machine), [], "and it keeps nobody from changing the rest");
});

t.test("what the machine reports", async (t) => {
  const { machine, kernel } = setUp(t, { links: ["nic10", "nic2"] });
  const card = machine.path("/sys/devices/pci0000:00/0000:00:03.0/virtio2");
  const link = machine.path("/sys/class/net/nic10");
  await fs.mkdir(machine.path("/sys/class/net/nic10/queues/rx-0"), { recursive: true });
  await fs.mkdir(machine.path("/sys/bus/virtio/drivers/virtio_net"), { recursive: true });
  await fs.mkdir(card, { recursive: true });
  await fs.symlink(card, `${link}/device`);
  await fs.symlink(machine.path("/sys/bus/virtio/drivers/virtio_net"), `${card}/driver`);
  kernel.addresses.push(onLink(2, "192.0.2.5/24"));
  kernel.routes.push({ index: 2, family: "ipv4", gateway: "192.0.2.1" });
  (kernel.links[1] as Link).kind = "bond";
  (kernel.links[1] as Link).carrier = false;

  t.match(await readLinks(machine), [
    { name: "nic2", driver: "bond", state: "no-carrier", speed: undefined, addresses: [] },
    {
      name: "nic10",
      mac: "02:00:00:00:00:02",
      driver: "virtio_net",
      bus: "0000:00:03.0",
      profiles: ["metal", "virt"],
      queues: { receive: 1, send: 0 },
      speed: 10_000,
      duplex: "full",
      state: "up",
    },
  ]);
  t.match(await readInterfaceStatus(machine, "nic10"), {
    addresses: ["192.0.2.5/24"],
    gateways: ["192.0.2.1"],
    counters: { receivedBytes: 1234, sentBytes: 0 },
  });
  await t.rejects(readInterfaceStatus(machine, "nic7"), { code: "not-found" });
});

t.test("raw attributes of netlink", async (t) => {
  // IFLA_INFO_KIND "veth" and a nested IFLA_INFO_DATA with its flag set, as a kernel sends them.
  const info = Buffer.from("0900010076657468000000000800028004000100", "hex");
  t.equal(parseLinkKind(info), "veth");
  t.same([...parseAttributes(info).keys()], [1, 2]);
  t.equal(parseLinkKind(undefined), undefined);
  t.same([...parseAttributes(Buffer.from("ffff0100aa", "hex")).keys()], [], "a length past the end is not believed");
  t.same([...parseAttributes(Buffer.from("0000010000", "hex")).keys()], []);
  t.equal(formatAddress(Buffer.from([192, 0, 2, 1])), "192.0.2.1");
  t.equal(formatAddress(Buffer.from("20010db8000000000000000000000001", "hex")), "2001:db8::1");
});

t.test("frames that ask for an address and that announce it", async (t) => {
  const mac = parseMac("02:00:00:00:00:02");
  const hex = (frame: Buffer | undefined) => frame?.toString("hex");
  t.equal(
    hex(makeProbe(mac, "192.0.2.10")),
    `ffffffffffff0200000000020806${"0001080006040001"}020000000002${"00000000"}${"000000000000"}c000020a${"00".repeat(18)}`,
    "an ARP probe has no sender",
  );
  t.equal(
    hex(makeProbe(mac, "2001:db8::10")),
    `3333ff00001002000000000286dd6000000000183aff${"00".repeat(16)}ff0200000000000000000001ff000010${"87004ccf00000000"}20010db8000000000000000000000010`,
    "nor has a solicitation; the checksum is that of RFC 4443, reckoned by hand",
  );
  const [request, reply] = makeAnnouncements(mac, "192.0.2.10");
  t.same(
    [request, reply].map((frame) => frame && readClaim(frame)),
    [
      { address: "192.0.2.10", mac: "02:00:00:00:00:02" },
      { address: "192.0.2.10", mac: "02:00:00:00:00:02" },
    ],
  );
  const [advertisement = Buffer.alloc(0)] = makeAnnouncements(mac, "2001:db8::10");
  t.equal(advertisement[58], 0xa0, "router, override, not solicited");
  t.same(readClaim(advertisement), { address: "2001:db8::10", mac: "02:00:00:00:00:02" });
  t.equal(readClaim(advertisement.subarray(0, 77)), undefined, "cut off");
  for (const address of ["192.0.2.10", "2001:db8::10"])
    t.equal(readClaim(makeProbe(mac, address)), undefined, "who asks claims nothing");
});
