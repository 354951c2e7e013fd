import * as fs from "node:fs/promises";
import t, { type Test } from "tap";
import { makeMachine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import { fakeNetlink } from "../../adapters/testing.ts";
import { nameCards } from "./apply.ts";
import { assignNames, type Binding, findCandidates, planRenames } from "./assign.ts";
import { type Card, compareCards } from "./card.ts";
import { parseLinkFile, renderLinkFile } from "./link-file.ts";
import { readBindings, readCards } from "./status.ts";

const mac = (last: number) => `3c:ec:ef:00:00:${last.toString(16).padStart(2, "0")}`;

function makeCard(index: number, slot: string, change: Partial<Card> = {}): Card {
  return {
    index,
    name: `eth${index}`,
    permanentMac: mac(index),
    path: `pci-${slot}`,
    port: 0,
    location: `pci0000:00/${slot}`,
    onboard: undefined,
    virtualFunction: undefined,
    ...change,
  };
}

const first = makeCard(2, "0000:01:00.0");
const second = makeCard(3, "0000:02:00.0");
const third = makeCard(4, "0000:03:00.0");

/** Names in the order of the cards given. */
const namesOf = (cards: Card[], bindings: Binding[] = [], configured: string[] = []) => {
  const { names } = assignNames({ cards, bindings, configured });
  return cards.map(({ index }) => names.get(index));
};
const bindingsOf = (...cards: Card[]) => assignNames({ cards, bindings: [] }).bindings;

t.test("new cards are named in order: on the main board, on the bus, on USB; then by port", async (t) => {
  const onboard = [2, 1].map((onboard) => makeCard(10 + onboard, `0000:05:00.${onboard}`, { onboard }));
  const usb = (port: string, index: number) =>
    makeCard(index, "0000:00:14.0", {
      location: `pci0000:00/0000:00:14.0/usb1/1-2/${port}/${port}:1.0`,
      path: `pci-0000:00:14.0-usb-0:${port.slice(2)}:1.0`,
    });
  const ports = [1, 0].map((port) => makeCard(20 + port, "0000:04:00.0", { port }));
  const bridged = makeCard(30, "0000:81:00.0", { location: "pci0000:80/0000:80:01.0/0000:81:00.0" });
  const behind = makeCard(31, "10000:01:00.0", { location: "pci10000:00/10000:00:02.0/10000:01:00.0" });
  const cards = [usb("1-2.10", 40), usb("1-2.9", 41), behind, bridged, ...ports, third, first, ...onboard];
  t.same(
    [...cards].sort(compareCards).map(({ index }) => index),
    [11, 12, 2, 4, 20, 21, 30, 31, 41, 40],
  );
  t.same(namesOf([third, first, ...onboard]), ["nic3", "nic2", "nic1", "nic0"]);
});

t.test("a card keeps its name when the kernel calls it otherwise and when it changes its slot", async (t) => {
  const bindings = bindingsOf(first, second);
  t.match(bindings, [
    { name: "nic0", by: "mac", mac: mac(2), path: "pci-0000:01:00.0" },
    { name: "nic1", by: "mac" },
  ]);
  const renamed = [
    { ...first, index: 9, name: "enp1s0" },
    { ...second, index: 8, name: "eth0" },
  ];
  t.same(namesOf(renamed, bindings), ["nic0", "nic1"]);
  const swapped = [
    { ...first, path: second.path },
    { ...second, path: first.path },
  ];
  t.same(namesOf(swapped, bindings), ["nic0", "nic1"]);
  const after = assignNames({ cards: swapped, bindings }).bindings;
  t.same(
    after.map(({ path }) => path),
    ["pci-0000:02:00.0", "pci-0000:01:00.0"],
    "the new places are kept",
  );
  const unknown = assignNames({ cards: [{ ...first, path: undefined }], bindings });
  t.same(unknown.bindings, bindings, "a place that udev has not told yet does not take the known one away");
});

t.test("a new card gets the next free name, never that of a missing card nor one that is configured", async (t) => {
  const bindings = bindingsOf(first, second);
  t.same(namesOf([second, third], bindings), ["nic1", "nic2"]);
  t.same(namesOf([first, second, third], bindings, ["nic2", "nic3", "bond0"]), ["nic0", "nic1", "nic4"]);
  t.same(namesOf([first], [], ["nic0"]), ["nic0"], "the first names of a machine begin at the beginning");
  const taken = assignNames({ cards: [first], bindings: [], others: ["nic0"] });
  t.equal(taken.names.get(first.index), "nic1", "a link that is no card may have the name");
});

t.test("another card in the slot is offered for the name, and does not get it", async (t) => {
  const bindings = bindingsOf(first, second);
  const replacement = { ...third, path: first.path };
  const { names, bindings: after } = assignNames({ cards: [replacement, second], bindings });
  t.same([...names.values()].sort(), ["nic1", "nic2"]);
  const [missing] = after;
  t.same(missing && findCandidates(missing, [replacement, second], names), [{ name: "nic2", reason: "replaced" }]);
});

t.test("of several cards with the MAC none gets the name; each has one by its place", async (t) => {
  const bindings = bindingsOf(first);
  const twins = ["0000:07:00.0", "0000:08:00.0"].map((slot, at) => makeCard(20 + at, slot, { permanentMac: mac(2) }));
  const { names, bindings: after } = assignNames({ cards: twins, bindings });
  t.same([...names.values()], ["nic1", "nic2"]);
  t.same(
    after.map(({ name, by }) => [name, by]),
    [
      ["nic0", "mac"],
      ["nic1", "path"],
      ["nic2", "path"],
    ],
  );
  const [missing] = after;
  t.same(missing && findCandidates(missing, twins, names), [
    { name: "nic1", reason: "same-mac" },
    { name: "nic2", reason: "same-mac" },
  ]);
  const [one] = twins;
  t.same(one && namesOf([one], after), ["nic1"], "also when only one of them is left");
  t.same(namesOf([first, ...twins], bindings), ["nic0", "nic1", "nic2"], "MAC and place together are certain");
});

t.test("without a MAC of its own a card is bound to its place, and without either to nothing", async (t) => {
  const mute = makeCard(2, "0000:01:00.0", { permanentMac: undefined });
  const zero = makeCard(3, "0000:02:00.0", { permanentMac: "00:00:00:00:00:00" });
  const group = makeCard(4, "0000:03:00.0", { permanentMac: "ff:ff:ff:ff:ff:ff" });
  const lost = makeCard(5, "0000:04:00.0", { permanentMac: undefined, path: undefined });
  const { bindings, unbound, names } = assignNames({ cards: [mute, zero, group, lost], bindings: [] });
  t.same(
    bindings.map(({ name, by }) => [name, by]),
    [
      ["nic0", "path"],
      ["nic1", "path"],
      ["nic2", "path"],
    ],
  );
  t.same(unbound, [lost]);
  t.equal(names.get(lost.index), "nic3");
  t.same(namesOf([{ ...mute, permanentMac: mac(9) }], bindings), ["nic0"], "whichever card is there");
});

t.test("virtual functions are named after their card", async (t) => {
  const functions = [1, 0].map((number) =>
    makeCard(10 + number, `0000:01:10.${number}`, { permanentMac: undefined, virtualFunction: { of: 2, number } }),
  );
  t.same(namesOf([...functions, second, first]), ["nic0v1", "nic0v0", "nic1", "nic0"]);
});

t.test("renames go round in circles and end well", async (t) => {
  const links = [
    { index: 2, name: "nic1" },
    { index: 3, name: "nic0" },
    { index: 4, name: "eth0" },
  ];
  const names = new Map([
    [2, "nic0"],
    [3, "nic1"],
    [4, "nic2"],
  ]);
  const state = new Map(links.map(({ name, index }) => [name, index]));
  for (const { from, to, index } of planRenames(links, names)) {
    t.equal(state.get(from), index);
    t.notOk(state.has(to), `${to} is free`);
    state.delete(from);
    state.set(to, index);
  }
  t.same([...state].sort(), [
    ["nic0", 2],
    ["nic1", 3],
    ["nic2", 4],
  ]);
  t.same(planRenames([{ index: 2, name: "nic0" }], names), []);
});

t.test("a binding is a .link file that udev uses and the agent reads", async (t) => {
  const [binding] = bindingsOf(first);
  const text = binding ? renderLinkFile(binding) : "";
  t.matchSnapshot(text, "10-nic0.link");
  t.same(parseLinkFile(text), binding);
  const port: Binding = { name: "nic1", by: "path", mac: undefined, path: "pci-0000:01:00.0", port: 1 };
  t.same(parseLinkFile(renderLinkFile(port)), port);
  t.match(renderLinkFile(port), /\[Match\]\nOriginalName=!\*\n/, "a place with ports is not enough for udev");
  t.equal(parseLinkFile("[Match]\nPath=x\n"), undefined);
});

const counters = {
  ...{ receivedBytes: 0, receivedPackets: 0, receivedErrors: 0, receivedDropped: 0 },
  ...{ sentBytes: 0, sentPackets: 0, sentErrors: 0, sentDropped: 0 },
};

/** A machine with these cards in its sysfs; `ip` renames them. */
async function setUp(t: Test, cards: { name: string; slot: string; mac: string }[]) {
  const links: Link[] = cards.map(({ name, mac }, at) => ({
    ...{ index: at + 2, name, mac, permanentMac: mac, kind: undefined, mtu: 1500, up: false, carrier: false },
    ...{ loopback: false, ethernet: true, master: undefined, alternativeNames: [], minMtu: 68, maxMtu: 9000, counters },
  }));
  const ran: string[] = [];
  const machine = makeMachine({
    root: t.testdir(),
    netlink: fakeNetlink({ links: async () => links }),
    log: { info: () => {}, warn: () => {}, error: (text) => t.fail(text) },
    run: async (argv) => {
      ran.push(argv.join(" "));
      if (argv[0] === "ip") {
        const link = links.find(({ name }) => name === argv[4]);
        await fs.rename(machine.path(`/sys/class/net/${argv[4]}`), machine.path(`/sys/class/net/${argv[6]}`));
        if (link) link.name = argv[6] ?? "";
      }
      return { code: 0, stdout: "", stderr: "" };
    },
  });
  for (const [at, { name, slot }] of cards.entries()) {
    const device = machine.path(`/sys/devices/pci0000:00/${slot}`);
    await fs.mkdir(`${device}/net/${name}`, { recursive: true });
    await fs.mkdir(machine.path(`/sys/class/net/${name}`), { recursive: true });
    await fs.symlink(device, machine.path(`/sys/class/net/${name}/device`));
    await fs.mkdir(machine.path("/run/udev/data"), { recursive: true });
    await fs.writeFile(
      machine.path(`/run/udev/data/n${at + 2}`),
      `I:1\nE:ID_BUS=pci\nE:ID_PATH=pci-${slot}\nG:systemd\n`,
    );
  }
  return { machine, links, ran };
}

t.test("the first boot names the cards and keeps the names; the next one finds them", async (t) => {
  const { machine, links, ran } = await setUp(t, [
    { name: "eth0", slot: "0000:00:11.0", mac: mac(1) },
    { name: "eth1", slot: "0000:00:10.0", mac: mac(2) },
  ]);
  await nameCards(machine, []);
  t.same(
    links.map(({ name }) => name),
    ["nic1", "nic0"],
  );
  t.same(ran, ["udevadm settle --timeout=60", "ip link set dev eth0 name nic1", "ip link set dev eth1 name nic0"]);
  const bindings = await readBindings(machine);
  t.match(bindings, [
    { name: "nic0", mac: mac(2), path: "pci-0000:00:10.0" },
    { name: "nic1", mac: mac(1) },
  ]);
  for (const directory of ["/config/local/links", "/run/systemd/network"])
    t.same((await fs.readdir(machine.path(directory))).sort(), ["10-nic0.link", "10-nic1.link"]);
  ran.length = 0;
  await nameCards(machine, []);
  t.same(ran, [], "nothing to do with the cards of the last boot");
});

t.test("virtual links and halves of a card are no cards", async (t) => {
  const { machine, links } = await setUp(t, [
    { name: "eth0", slot: "0000:00:10.0", mac: mac(1) },
    { name: "eth1", slot: "0000:00:11.0", mac: mac(1) },
    { name: "ib0", slot: "0000:00:12.0", mac: mac(3) },
  ]);
  const [synthetic, half, infiniband] = links;
  if (half && synthetic) half.master = synthetic.index;
  if (infiniband) infiniband.ethernet = false;
  if (synthetic) links.push({ ...synthetic, index: 9, name: "veth0" });
  t.match(await readCards(machine, links), [{ name: "eth0", location: "pci0000:00/0000:00:10.0" }]);
});
