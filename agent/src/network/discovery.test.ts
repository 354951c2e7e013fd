import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { makeFrameReader } from "../adapters/frames.ts";
import type { FollowLinks, LinkEvent } from "../adapters/link-events.ts";
import { makeMachine } from "../adapters/machine.ts";
import type { Link } from "../adapters/netlink.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { type LinkStatus, listNamesInUse } from "./inventory.ts";
import { lacpduLeast, parseLacpdu } from "./lacp/pdu.ts";
import { listenForPartners, recallPartners } from "./lacp/status.ts";
import { parseNeighbours } from "./lldp/neighbours.ts";
import { proposeBonds } from "./propose-bonds.ts";
import { networkInterface } from "./schema.ts";
import { watchLinks } from "./watch.ts";

/** As `tcpdump -nlqxx` prints a LACPDU that a bond of Linux sent (mode 802.3ad, key 9, port 1). */
const captured = `12:30:56.719337 LACPv1, length 110
	0x0000:  0180 c200 0002 0200 5e10 0001 8809 0101
	0x0010:  0114 ffff 0200 5e10 0000 0009 00ff 0001
	0x0020:  4d00 0000 0214 ffff 0000 0000 0000 0001
	0x0030:  00ff 0001 0300 0000 0310 0000 0000 0000
	0x0040:  0000 0000 0000 0000 0000 0000 0000 0000`.split("\n");
const partner = { system: "02:00:5e:10:00:00", systemPriority: 65_535, key: 9, port: 1, active: true };

t.test("a LACPDU tells the system, the key and the port of the other end", async (t) => {
  const frames: Buffer[] = [];
  const read = makeFrameReader((frame) => frames.push(frame), lacpduLeast);
  for (const line of [...captured, ...captured]) read(line);
  t.equal(frames.length, 2);
  t.same(frames[0] && parseLacpdu(frames[0]), partner);
  const frame = frames[0] ?? Buffer.alloc(0);
  t.equal(parseLacpdu(frame.subarray(0, 37)), undefined, "cut off");
  const marker = Buffer.from(frame);
  marker[14] = 2;
  t.equal(parseLacpdu(marker), undefined, "another slow protocol");
  const broken: Buffer[] = [];
  const readBroken = makeFrameReader((each) => broken.push(each), lacpduLeast);
  for (const line of [captured[1], captured[3], captured[2]]) readBroken(line ?? "");
  t.same(broken, [], "lines out of order are no frame");
});

t.test("partners are listened for on each card, and remembered for a while", async (t) => {
  let time = 0;
  const argvs: string[] = [];
  const machine = makeMachine({
    root: t.testdir(),
    now: () => new Date(time),
    run: async (argv, options) => {
      argvs.push(argv.join(" "));
      if (argv[2] === "nic0") for (const line of captured) options?.onLine?.(line);
      return { code: -1, stdout: "", stderr: "" };
    },
  });
  await listenForPartners(machine, ["nic0", "nic1"], { seconds: 1 });
  t.match(argvs[0], /^tcpdump -i nic0 -Z root .*ether dst 01:80:c2:00:00:02 and ether proto 0x8809/);
  t.same([...recallPartners(machine)], [["nic0", partner]]);
  time += 91_000;
  t.same([...recallPartners(machine)], [], "three of its longest intervals later it has gone");
});

const card = (name: string, more: Partial<LinkStatus> = {}) => ({
  ...{ name, alternativeNames: [], kind: undefined, mac: undefined, permanentMac: undefined, driver: "ixgbe" },
  ...{ bus: undefined, speed: 10_000, carrier: true, state: "up" as const, master: undefined, neighbour: undefined },
  ...more,
});
const at = (chassis: string, port: string, system?: string) => ({
  neighbour: { chassis, port, portDescription: undefined, system, systemDescription: undefined },
});

t.test("bonds are proposed with the reason: one LACP system and key, or one LLDP neighbour", async (t) => {
  const links = [
    card("nic0", at("00:1c:73:00:00:01", "Et1", "tor1")),
    card("nic1", at("00:1c:73:00:00:01", "Et2", "tor1")),
    card("nic2", at("00:1c:73:00:00:02", "Et1", "tor2")),
    card("nic3", at("00:1c:73:00:00:02", "Et2", "tor2")),
    card("nic4", { ...at("00:1c:73:00:00:02", "Et3", "tor2"), speed: 1_000 }),
    card("nic5", { ...at("00:1c:73:00:00:02", "Et4", "tor2"), carrier: false }),
    card("nic6", { ...at("00:1c:73:00:00:02", "Et5", "tor2"), master: "bond0" }),
    card("nic7", at("00:1c:73:00:00:02", "Et6", "tor2")),
    card("bond0", { kind: "bond", ...at("00:1c:73:00:00:02", "Et5") }),
  ];
  const partners = new Map([
    ["nic0", partner],
    ["nic1", { ...partner, port: 2 }],
  ]);
  t.same(proposeBonds({ links, partners, configured: ["nic7", "bond1"] }), [
    {
      ...{ name: "bond2", mode: "802.3ad", members: ["nic0", "nic1"] },
      reason:
        "nic0 and nic1 hear LACP from one system (02:00:5e:10:00:00, tor1 by its own name), which has these ports in one group (key 9)",
    },
    {
      ...{ name: "bond3", mode: "active-backup", members: ["nic2", "nic3"] },
      reason:
        "nic2 at port Et1 and nic3 at port Et2 are connected to one switch (tor2, by LLDP), which sends no LACP: active-backup works with any switch",
    },
  ]);
  const apart = new Map([
    ["nic0", partner],
    ["nic1", { ...partner, key: 10 }],
  ]);
  t.same(
    proposeBonds({ links: links.slice(0, 2), partners: apart, configured: [] }),
    [],
    "ports of two groups are not one bond",
  );
});

t.test("names in use are those of interfaces and of what they stand on", async (t) => {
  const interfaces = Object.fromEntries(
    Object.entries({
      nic0: {},
      bond0: { kind: "bond", bond: { members: ["nic1", "nic2"] } },
      vlan7: { kind: "vlan", vlan: { parent: "nic3", id: 7 } },
    }).map(([name, settings]) => [name, networkInterface.parse(settings)]),
  );
  t.same(listNamesInUse(interfaces).sort(), ["bond0", "nic0", "nic1", "nic2", "nic3", "vlan7"]);
});

t.test("LLDP neighbours as networkd tells them", async (t) => {
  const one = { ChassisID: "00:1c:73:00:00:01", PortID: "Et1", SystemName: "tor1", EnabledCapabilities: 20 };
  const text = JSON.stringify({
    Neighbors: [
      { InterfaceIndex: 2, InterfaceName: "nic0", Neighbors: [one] },
      { InterfaceIndex: 3, InterfaceName: "nic1", Neighbors: [one, { ...one, PortID: "Et9" }] },
      { InterfaceIndex: 4, InterfaceName: "nic2", Neighbors: [] },
    ],
  });
  t.same([...parseNeighbours(text).keys()], [2], "behind a hub nobody is the neighbour");
  t.match(parseNeighbours(text).get(2), { chassis: "00:1c:73:00:00:01", port: "Et1", system: "tor1" });
  t.same([...parseNeighbours('{"Neighbors":[]}')], []);
});

t.test("links are told as the kernel tells them", async (t) => {
  const makeLink = (index: number, name: string, more: Partial<Link> = {}): Link => ({
    ...{ index, name, alternativeNames: [], mac: undefined, permanentMac: undefined, kind: undefined, mtu: 1500 },
    ...{ minMtu: 68, maxMtu: 9000, up: true, carrier: true, loopback: false, ethernet: true, master: undefined },
    ...{ counters: {} as Link["counters"], ...more },
  });
  let present = [makeLink(2, "nic0")];
  let tell: (event: LinkEvent) => void = () => {};
  const followLinks: FollowLinks = (listener) => {
    tell = listener;
  };
  const machine = makeMachine({
    root: t.testdir(),
    followLinks,
    netlink: fakeNetlink({ links: async () => present }),
  });
  const seen: object[] = [];
  let cards = 0;
  const stop = new AbortController();
  await watchLinks(machine, {
    publish: (kind, data) => seen.push({ kind, ...data }),
    onNewCard: async () => {
      cards += 1;
    },
    signal: stop.signal,
    patience: 20,
  });
  const change = (link: Link) => tell({ kind: "changed", link });
  change(makeLink(2, "nic0"));
  change(makeLink(2, "nic0", { carrier: false }));
  change(makeLink(3, "eth0", { up: false, carrier: false }));
  change(makeLink(4, "eth1", { up: false, carrier: false }));
  change(makeLink(3, "nic1", { up: false, carrier: false }));
  change(makeLink(5, "bond0", { kind: "bond" }));
  tell({ kind: "removed", link: makeLink(4, "eth1") });
  present = [makeLink(3, "nic1", { up: true, carrier: false })];
  tell({ kind: "lost" });
  await sleep(60);
  t.same(seen, [
    { kind: "link-state", link: "nic0", state: "no-carrier", before: "up" },
    { kind: "link-state", link: "eth0", state: "down" },
    { kind: "link-state", link: "eth1", state: "down" },
    { kind: "link-renamed", link: "nic1", before: "eth0" },
    { kind: "link-state", link: "bond0", state: "up" },
    { kind: "link-state", link: "eth1", state: "gone", before: "down" },
    { kind: "link-state", link: "nic0", state: "gone", before: "no-carrier" },
    { kind: "link-state", link: "bond0", state: "gone", before: "up" },
    { kind: "link-state", link: "nic1", state: "no-carrier", before: "down" },
  ]);
  t.equal(cards, 1, "cards that come together are named together; a bond is none");
  stop.abort();
});
