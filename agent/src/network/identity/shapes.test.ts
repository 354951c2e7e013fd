import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import t, { type Test } from "tap";
import { makeMachine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import { listAttributes, makeAttribute } from "../../adapters/netlink-codec.ts";
import { linkOfMessage } from "../../adapters/netlink-link.ts";
import { fakeNetlink } from "../../adapters/testing.ts";
import { readLinks } from "../status.ts";
import { nameCards } from "./apply.ts";

/**
 * Machines as they come: sysfs as the kernel lays it out (devices by their way through the buses, /sys/class/net as links into
 * it), what udev keeps of each link, and the kernel's list of links, in its own bytes: the message of a real card, with what is otherwise
 * about each of these put in its place.
 *
 * Written by hand, and checked against what people publish of theirs: `udevadm info` of on-board and USB cards in bug reports and installation
 * guides, listings of `virtfn*` and `physfn` in guides to SR-IOV (ixgbe: every second function from 10.0), `ethtool -i` of igb in
 * tickets, `lspci` of boards with a PEX 8747 switch, whose every downstream port has a bus of its own.
 */

type Port = {
  /** The kernel's name, and the device below /sys/devices. */
  name: string;
  device: string;
  driver: string;
  mac: string;
  /** As udev's hwdb has it; pci unless told. */
  on?: "usb";
  /** Attributes of the device (`index` of SMBIOS, `sriov_totalvfs`), and of the link (`dev_port`). */
  attributes?: Record<string, string>;
  port?: number;
  path: string;
  /** Device of the card this is a virtual function of, and which one. */
  physical?: [string, number];
  link?: Partial<Link>;
};

const counters = {
  ...{ receivedBytes: 0, receivedPackets: 0, receivedErrors: 0, receivedDropped: 0 },
  ...{ sentBytes: 0, sentPackets: 0, sentErrors: 0, sentDropped: 0 },
};

function makeLink(index: number, name: string, mac: string | undefined, more: Partial<Link> = {}): Link {
  return {
    ...{ index, name, mac, permanentMac: mac, alternativeNames: [], kind: undefined, mtu: 1500, counters },
    ...{ minMtu: 68, maxMtu: 9216, up: false, carrier: false, loopback: false, ethernet: true, master: undefined },
    ...more,
  };
}

const captured: Record<"card" | "member" | "peer" | "bridge", string> = JSON.parse(
  readFileSync(new URL("fixtures/links.json", import.meta.url), "utf8"),
);

/** linux/if_link.h: IFLA_*, and in IFLA_LINKINFO the kind. */
const types = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  info: 18,
  minMtu: 50,
  maxMtu: 51,
  properties: 52,
  permanent: 54,
};
const infoKind = 1;

/** RTM_NEWLINK of this link: a struct ifinfomsg (rtnetlink(7)) and attributes, those of the captured card where nothing else is known. */
function messageOf(link: Link): Buffer {
  const card = Buffer.from(captured.card, "hex");
  const header = Buffer.from(card.subarray(0, 16));
  header.writeUInt16LE(link.ethernet ? 1 : 772, 2);
  header.writeInt32LE(link.index, 4);
  header.writeUInt32LE((link.up ? 0x1 : 0) | (link.loopback ? 0x8 : 0) | (link.carrier ? 0x10000 : 0), 8);
  const number = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
  const text = (value: string) => Buffer.from(`${value}\0`, "latin1");
  const bytes = (mac: string) => Buffer.from(mac.replaceAll(":", ""), "hex");
  const own: [number, Buffer | undefined][] = [
    [types.name, text(link.name)],
    [types.address, link.mac === undefined ? undefined : bytes(link.mac)],
    [types.permanent, link.permanentMac === undefined ? undefined : bytes(link.permanentMac)],
    [types.mtu, number(link.mtu)],
    [types.minMtu, number(link.minMtu ?? 0)],
    [types.maxMtu, number(link.maxMtu ?? 0)],
    [types.master, link.master === undefined ? undefined : number(link.master)],
    [types.info, link.kind === undefined ? undefined : makeAttribute(infoKind, text(link.kind))],
    [types.properties, undefined],
  ];
  const replaced = own.map(([type]) => type);
  const kept = listAttributes(card.subarray(16)).filter(({ type }) => !replaced.includes(type));
  const given = own.flatMap(([type, value]) => (value === undefined ? [] : [{ type, value }]));
  return Buffer.concat([header, ...[...kept, ...given].map(({ type, value }) => makeAttribute(type, value))]);
}

t.test("links are read as a kernel sent them: a card, and a link with other names in a bridge", async (t) => {
  const read = (message: string) => linkOfMessage(Buffer.from(message, "hex"));
  const card = read(captured.card);
  t.match(card, {
    ...{ index: 4, name: "eth0", mac: "02:fc:00:00:00:01", kind: undefined, mtu: 1400, minMtu: 68, maxMtu: 65535 },
    ...{ up: true, carrier: true, loopback: false, ethernet: true, master: undefined, alternativeNames: [] },
  });
  t.ok((card?.counters.receivedBytes ?? 0) > 0);
  t.match(read(captured.member), {
    ...{ name: "nic0", mac: "02:00:5e:10:00:01", kind: "veth", mtu: 9000, alias: "to the servers" },
    alternativeNames: ["enp3s0f0", "enp3s0f0np0"],
    master: read(captured.bridge)?.index,
  });
  t.match(read(captured.peer), { name: "far0", mtu: 1500, kind: "veth", alternativeNames: [], alias: undefined });
  t.match(read(captured.bridge), { name: "br0", kind: "bridge", info: { attributes: { stp: false } } });
  const { counters, ...same } = card as Link;
  t.match(linkOfMessage(messageOf({ ...same, counters })), same, "and what is written here is what the kernel writes");
});

/** `ethtool -i` of an I350 of a board. */
const ethtool = (bus: string) => `driver: igb
version: 6.12.57+deb13-amd64
firmware-version: 1.63, 0x800009fa
expansion-rom-version: 
bus-info: ${bus}
supports-statistics: yes
supports-test: yes
supports-eeprom-access: yes
supports-register-dump: yes
supports-priv-flags: yes
`;

async function build(t: Test, ports: readonly Port[], others: readonly Link[] = []) {
  const loopback = makeLink(1, "lo", "00:00:00:00:00:00", { loopback: true, ethernet: false, permanentMac: undefined });
  const links = [loopback, ...ports.map(({ name, mac, link }, at) => makeLink(at + 2, name, mac, link)), ...others];
  const errors: string[] = [];
  const machine = makeMachine({
    root: t.testdir(),
    netlink: fakeNetlink({
      links: async () => links.flatMap((link) => linkOfMessage(messageOf(link)) ?? []),
    }),
    readCardStates: async () => new Map(),
    readLinkModes: async () => new Map(),
    log: { info: () => {}, warn: () => {}, error: (text) => errors.push(text) },
    run: async (argv) => {
      if (argv[0] === "ip") await rename(argv[4] ?? "", argv[6] ?? "");
      const stdout = argv[0] === "ethtool" ? ethtool(argv.at(-1) ?? "") : "";
      return { code: 0, stdout, stderr: "" };
    },
  });
  const [classes, devices] = [machine.path("/sys/class/net"), machine.path("/sys/devices")];
  const symlink = async (target: string, path: string) => {
    await fs.mkdir(dirname(path), { recursive: true });
    await fs.symlink(relative(dirname(path), target), path);
  };
  async function rename(from: string, to: string): Promise<void> {
    const link = links.find((each) => each.name === from);
    if (!link || links.some((each) => each.name === to)) throw new Error(`ip: ${from} cannot be ${to}`);
    link.name = to;
    const target = join(classes, await fs.readlink(join(classes, from)));
    await fs.rename(target, join(dirname(target), to));
    await fs.unlink(join(classes, from));
    await symlink(join(dirname(target), to), join(classes, to));
  }
  await fs.mkdir(classes, { recursive: true });
  await fs.mkdir(machine.path("/run/udev/data"), { recursive: true });
  for (const [at, { name, device, driver, attributes = {}, port = 0, path, physical, on = "pci" }] of ports.entries()) {
    const directory = join(devices, device);
    const link = join(directory, "net", name);
    for (const queue of ["rx-0", "rx-1", "tx-0", "tx-1"])
      await fs.mkdir(join(link, "queues", queue), { recursive: true });
    await fs.writeFile(join(link, "dev_port"), `${port}\n`);
    await symlink(directory, join(link, "device"));
    await symlink(link, join(classes, name));
    await fs.mkdir(machine.path(`/sys/bus/drivers/${driver}`), { recursive: true });
    await symlink(machine.path(`/sys/bus/drivers/${driver}`), join(directory, "driver")).catch(() => undefined);
    for (const [file, text] of Object.entries(attributes)) await fs.writeFile(join(directory, file), `${text}\n`);
    if (physical) {
      await symlink(join(devices, physical[0]), join(directory, "physfn"));
      await symlink(directory, join(devices, physical[0], `virtfn${physical[1]}`));
    }
    await fs.writeFile(
      machine.path(`/run/udev/data/n${at + 2}`),
      `I:4711\nE:ID_NET_DRIVER=${driver}\nE:ID_BUS=${on}\nE:ID_PATH=${path}\nE:ID_PATH_TAG=${path.replace(/[:.]/g, "_")}\nE:ID_NET_NAME=${name}\nG:systemd\nV:1\n`,
    );
  }
  return { machine, links, errors };
}

/** [name, bus, driver] of each, as the inventory has them. */
async function list(machine: Parameters<typeof readLinks>[0]): Promise<(string | undefined)[][]> {
  return (await readLinks(machine)).map(({ name, bus, driver }) => [name, bus, driver]);
}

const mac = (number: number, vendor = "3c:ec:ef:00") =>
  `${vendor}:${(number >> 8).toString(16).padStart(2, "0")}:${(number & 255).toString(16).padStart(2, "0")}`;

const pci = (way: string, name: string, driver: string, number: number, more: Partial<Port> = {}): Port => ({
  ...{ name, device: way, driver, mac: mac(number) },
  path: `pci-${way.split("/").at(-1)}`,
  ...more,
});

const onboard = [
  pci("pci0000:00/0000:00:1c.4/0000:02:00.0", "eth4", "igb", 1, { attributes: { index: "1", label: "Onboard LAN 1" } }),
  pci("pci0000:00/0000:00:1c.4/0000:02:00.1", "eth5", "igb", 2, { attributes: { index: "2", label: "Onboard LAN 2" } }),
];
/** Bus 01 comes before the board's own, as the slot next to the processor often does. */
const quad = [0, 1, 2, 3].map((port) =>
  pci(`pci0000:00/0000:00:01.0/0000:01:00.${port}`, `eth${port}`, "i40e", 16 + port),
);

t.test("two ports on the board and a card with four", async (t) => {
  const { machine, errors } = await build(t, [...quad, ...onboard]);
  await nameCards(machine, []);
  t.same(await list(machine), [
    ["nic0", "0000:02:00.0", "igb"],
    ["nic1", "0000:02:00.1", "igb"],
    ...[0, 1, 2, 3].map((port) => [`nic${port + 2}`, `0000:01:00.${port}`, "i40e"]),
  ]);
  t.match((await readLinks(machine))[0], {
    firmware: "1.63, 0x800009fa",
    profiles: ["metal"],
    queues: { receive: 2, send: 2 },
    binding: { by: "mac", path: "pci-0000:02:00.0" },
  });
  t.same(errors, []);
});

t.test("a card with virtual functions", async (t) => {
  const way = "pci0000:00/0000:00:02.0/0000:03:00.0";
  const unknown = { permanentMac: undefined };
  const functions = [1, 0].map((number) =>
    pci(`pci0000:00/0000:00:02.0/0000:03:10.${number * 2}`, `eth${number + 1}`, "ixgbevf", 40 + number, {
      ...{ physical: [way, number] as [string, number], link: unknown },
    }),
  );
  const card = pci(way, "eth0", "ixgbe", 32, { attributes: { sriov_totalvfs: "63", sriov_numvfs: "2" } });
  const { machine } = await build(t, [...functions, card]);
  await nameCards(machine, []);
  t.match(await readLinks(machine), [
    { name: "nic0", virtualFunctions: { active: 2, greatest: 63 }, virtualFunctionOf: undefined },
    { name: "nic0v0", bus: "0000:03:10.0", virtualFunctionOf: "nic0", binding: { by: "path" } },
    { name: "nic0v1", bus: "0000:03:10.2", virtualFunctionOf: "nic0", profiles: ["metal", "virt"] },
  ]);
});

t.test("a USB card comes last, in front of whichever bus its controller is", async (t) => {
  const usb: Port = {
    ...{ name: "eth0", driver: "r8152", mac: mac(1, "00:e0:4c:68"), on: "usb" },
    device: "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0",
    path: "pci-0000:00:14.0-usb-0:1:1.0",
  };
  const { machine } = await build(t, [usb, ...onboard]);
  await nameCards(machine, []);
  t.same(await list(machine), [
    ["nic0", "0000:02:00.0", "igb"],
    ["nic1", "0000:02:00.1", "igb"],
    ["nic2", "0000:00:14.0", "r8152"],
  ]);
  const [last] = (await readLinks(machine)).slice(-1);
  t.match(last, { profiles: [], binding: { path: "pci-0000:00:14.0-usb-0:1:1.0" } }, "a driver no profile knows");
});

t.test("forty ports, behind two processors' buses and a switch", async (t) => {
  const downstream = ["08", "09", "10", "11"].map((port) => `pci0000:00/0000:00:03.0/0000:02:00.0/0000:03:${port}.0`);
  const rootPorts = ["01.0", "01.1", "02.0", "02.2", "03.0", "03.2"].map((port) => `pci0000:80/0000:80:${port}`);
  // A port leads to one bus, and a card has that to itself.
  const slots = [
    ...downstream.map((way, at) => `${way}/0000:0${4 + at}:00`),
    ...rootPorts.map((way, at) => `${way}/0000:8${1 + at}:00`),
  ];
  const cards = slots.flatMap((way, card) =>
    [3, 2, 1, 0].map((port) => pci(`${way}.${port}`, `eth${39 - card * 4 - port}`, "i40e", 256 + card * 4 + port)),
  );
  const { machine, errors } = await build(t, cards);
  await nameCards(machine, []);
  const found = await list(machine);
  t.equal(found.length, 40);
  t.same(found[0], ["nic0", "0000:04:00.0", "i40e"]);
  t.same(found[39], ["nic39", "0000:86:00.3", "i40e"]);
  t.same(
    found.map(([, bus]) => bus),
    found.map(([, bus]) => bus).sort(),
    "in the order of the buses",
  );
  t.same(errors, []);
});

/** The machine's next boot: other names by the kernel, the same /config. */
async function bootAgain(t: Test, before: { machine: { path(of: string): string } }, ports: readonly Port[]) {
  const directory = "/config/local/links";
  const files = await fs.readdir(before.machine.path(directory));
  const kept = await Promise.all(
    files.map(async (file) => [file, await fs.readFile(before.machine.path(join(directory, file)))] as const),
  );
  const next = await build(t, ports);
  await fs.mkdir(next.machine.path(directory), { recursive: true });
  for (const [file, text] of kept) await fs.writeFile(next.machine.path(join(directory, file)), text);
  return next;
}

t.test("renamed after an upgrade: other names, another order, another driver", async (t) => {
  const first = await build(t, onboard);
  await nameCards(first.machine, []);
  const again = onboard.map((port, at) => ({ ...port, name: at === 0 ? "eth1" : "eno2np1", driver: "igb_next" }));
  const next = await bootAgain(t, first, again.reverse());
  await nameCards(next.machine, ["nic0", "nic1"]);
  t.same(await list(next.machine), [
    ["nic0", "0000:02:00.0", "igb_next"],
    ["nic1", "0000:02:00.1", "igb_next"],
  ]);
  t.same(next.errors, []);
});

t.test("two cards with one MAC", async (t) => {
  const same = mac(7, "00:11:22:33");
  const ports = [0, 1].map((slot) =>
    pci(`pci0000:00/0000:00:0${slot + 3}.0`, `eth${slot}`, "e1000e", 0, { mac: same }),
  );
  const first = await build(t, ports.slice(0, 1));
  await nameCards(first.machine, []);
  const next = await bootAgain(t, first, [
    { ...ports[1], name: "eth0" } as Port,
    pci("pci0000:00/0000:00:05.0", "eth1", "e1000e", 0, { mac: same }),
  ]);
  await nameCards(next.machine, ["nic0"]);
  t.match(await readLinks(next.machine), [
    {
      ...{ name: "nic0", state: "missing", permanentMac: same },
      candidates: [
        { name: "nic1", reason: "same-mac" },
        { name: "nic2", reason: "same-mac" },
      ],
    },
    { name: "nic1", bus: "0000:00:04.0", binding: { by: "path" } },
    { name: "nic2", bus: "0000:00:05.0", binding: { by: "path" } },
  ]);
});

t.test("no card at all", async (t) => {
  const { machine, errors } = await build(t, []);
  t.same(await nameCards(machine, []), []);
  t.same(await readLinks(machine), []);
  t.same(errors, []);
});

t.test("bonded at boot: members have the bond's MAC, and their names by their own", async (t) => {
  const bond = makeLink(9, "bond0", mac(1), { kind: "bond", permanentMac: undefined });
  const members = onboard.map((port) => ({
    ...port,
    link: { mac: mac(1), permanentMac: port.mac, master: 9, up: true },
  }));
  const { machine, errors } = await build(t, members, [bond]);
  await nameCards(machine, ["bond0"]);
  t.match(await readLinks(machine), [
    { name: "bond0", kind: "bond", driver: "bond", binding: undefined },
    { name: "nic0", bus: "0000:02:00.0", mac: mac(1), permanentMac: mac(1), master: "bond0" },
    { name: "nic1", bus: "0000:02:00.1", mac: mac(1), permanentMac: mac(2), master: "bond0" },
  ]);
  t.same(errors, []);
});
