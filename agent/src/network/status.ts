import * as fs from "node:fs/promises";
import { basename, join } from "node:path";
import type { CardState } from "../adapters/card-settings.ts";
import type { LinkMode } from "../adapters/ethtool.ts";
import { isMissing, readLink, readTextIfExists } from "../adapters/files.ts";
import { keepFor, type Machine } from "../adapters/machine.ts";
import type { Link, LinkCounters } from "../adapters/netlink.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { type BondStatus, describeBond } from "./bond-status.ts";
import { assignNames, findCandidates } from "./identity/assign.ts";
import { readBindings, readCards } from "./identity/status.ts";
import { describeMissing, type LinkStatus, type Neighbour, profilesOf, stateOf } from "./inventory.ts";
import { readNeighbours } from "./lldp/status.ts";
import type { KeptCard } from "./tuning/render.ts";
import { describeSettings, readKeptCards } from "./tuning/status.ts";
import { describeVrf, gatewaysOf, type VrfStatus, vrfTables } from "./vrf-links.ts";

export type { LinkStatus } from "./inventory.ts";

export type InterfaceStatus = LinkStatus & {
  gateways: string[];
  counters: LinkCounters;
  bond: BondStatus | undefined;
  vrf: VrfStatus | undefined;
};

/** What was asked of the whole machine at once. */
type Readings = {
  links: Link[];
  addresses: Map<number, string[]>;
  modes: Map<number, LinkMode>;
  states: Map<number, CardState>;
  kept: Map<string, KeptCard | undefined>;
  neighbours: Map<number, Neighbour>;
  bindings: Map<string, LinkStatus["binding"]>;
};

/**
 * Every network interface of the machine but loopback, and the names whose card is missing. Names, addresses, MTU, master and
 * counters come by rtnetlink, speed, duplex and settings by ethtool's netlink; sysfs has driver, place, queues and virtual functions, which
 * netlink has not (rtnetlink's queue counts are what the driver could have); `ethtool -i` alone has the firmware.
 */
export async function readLinks(machine: Machine): Promise<LinkStatus[]> {
  const [readings, bindings] = await Promise.all([takeReadings(machine), readBindings(machine)]);
  const present = readings.links.filter(({ loopback }) => !loopback);
  const found = await Promise.all(present.map((link) => describeLink(machine, link, readings)));
  const names = new Set(present.map(({ name }) => name));
  const lost = bindings.filter(({ name }) => !names.has(name));
  const missing = lost.length === 0 ? [] : await describeLost(machine, readings.links);
  return [...found, ...missing].sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));

  async function describeLost(machine: Machine, links: Link[]): Promise<LinkStatus[]> {
    const cards = await readCards(machine, links);
    const assigned = assignNames({ cards, bindings });
    // Under the names they have now, for these are the ones that can be adopted.
    const current = new Map(cards.map(({ index, name }) => [index, name]));
    const held = new Set(assigned.names.values());
    return lost
      .filter(({ name }) => !held.has(name))
      .map((binding) => describeMissing(binding, findCandidates(binding, cards, current)));
  }
}

/** One interface with its gateways and counters. Throws `not-found` when the machine has none of this name. */
export async function readInterfaceStatus(machine: Machine, name: string): Promise<InterfaceStatus> {
  const readings = await takeReadings(machine);
  const link = readings.links.find((each) => each.name === name);
  if (!link) throw new SteelyardError("not-found", `the machine has no interface ${name}`);
  const routes = await machine.netlink.defaultRoutes(vrfTables(readings.links));
  return {
    ...(await describeLink(machine, link, readings)),
    gateways: gatewaysOf(link, readings.links, routes),
    counters: link.counters,
    bond: describeBond(link, readings.links),
    vrf: describeVrf(link, readings.links),
  };
}

async function takeReadings(machine: Machine): Promise<Readings> {
  const [links, addresses, modes, states, kept, neighbours, bindings] = await Promise.all([
    machine.netlink.links(),
    machine.netlink.addresses(),
    readOrNothing(machine, "speed and duplex", machine.readLinkModes),
    readOrNothing(machine, "settings", machine.readCardStates),
    readKeptCards(machine),
    readNeighbours(machine),
    readBindings(machine),
  ]);
  return {
    links,
    addresses: group(addresses),
    ...{ modes, states, kept, neighbours },
    bindings: new Map(bindings.map(({ name, by, mac, path }) => [name, { by, mac, path }])),
  };
}

/** The inventory is worth having without. */
async function readOrNothing<Found>(
  machine: Machine,
  what: string,
  read: () => Promise<Map<number, Found>>,
): Promise<Map<number, Found>> {
  try {
    return await read();
  } catch (error) {
    machine.log.warn(`${what} of the network links: ${messageOf(error)}`);
    return new Map();
  }
}

function group(addresses: readonly { index: number; address: string }[]): Map<number, string[]> {
  const grouped = new Map<number, string[]>();
  for (const { index, address } of addresses) grouped.set(index, [...(grouped.get(index) ?? []), address]);
  return grouped;
}

async function describeLink(machine: Machine, link: Link, readings: Readings): Promise<LinkStatus> {
  const device = machine.path(join("/sys/class/net", link.name, "device"));
  const [bus, driver, module, queues, virtualFunctions, virtualFunctionOf] = await Promise.all([
    readBus(device),
    readLinkTarget(join(device, "driver")),
    readLinkTarget(join(device, "driver/module")),
    countQueues(machine.path(join("/sys/class/net", link.name, "queues"))),
    readVirtualFunctions(device),
    readVirtualFunctionOf(device),
  ]);
  const { speed, duplex } = (link.carrier && readings.modes.get(link.index)) || { speed: undefined, duplex: undefined };
  return {
    name: link.name,
    alternativeNames: link.alternativeNames,
    kind: link.kind,
    mac: link.mac,
    permanentMac: link.permanentMac,
    driver: driver ?? link.kind,
    bus,
    firmware: driver === undefined ? undefined : await readFirmware(machine, link),
    profiles: driver === undefined ? undefined : profilesOf([driver, module ?? driver]),
    speed,
    duplex: speed === undefined ? undefined : duplex,
    carrier: link.carrier,
    state: stateOf(link),
    mtu: link.mtu,
    minMtu: link.minMtu,
    maxMtu: link.maxMtu,
    queues,
    settings:
      driver === undefined
        ? undefined
        : describeSettings(readings.states.get(link.index) ?? {}, readings.kept.get(link.name)),
    virtualFunctions,
    virtualFunctionOf,
    master: readings.links.find(({ index }) => index === link.master)?.name,
    addresses: readings.addresses.get(link.index) ?? [],
    counters: link.counters,
    neighbour: readings.neighbours.get(link.index),
    binding: readings.bindings.get(link.name),
    candidates: undefined,
  };
}

/** The card's place on the bus: a virtio device is the child of the PCI function that a person looks for. */
async function readBus(path: string): Promise<string | undefined> {
  try {
    const segments = (await fs.realpath(path)).split("/");
    return segments.findLast((each) => /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(each)) ?? segments.at(-1);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function readLinkTarget(path: string): Promise<string | undefined> {
  const target = await readLink(path);
  return target && basename(target);
}

/** An attribute of sysfs; undefined where the driver has none, which it says with EINVAL or EOPNOTSUPP. */
async function readNumber(path: string): Promise<number | undefined> {
  const text = await readTextIfExists(path).catch(() => undefined);
  return text === undefined || !/^\d+\s*$/.test(text) ? undefined : Number(text);
}

async function listDirectory(path: string): Promise<string[]> {
  return await fs.readdir(path).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
}

async function countQueues(directory: string): Promise<LinkStatus["queues"]> {
  const names = await listDirectory(directory);
  if (names.length === 0) return undefined;
  const count = (beginning: string) => names.filter((name) => name.startsWith(beginning)).length;
  return { receive: count("rx-"), send: count("tx-") };
}

async function readVirtualFunctions(device: string): Promise<LinkStatus["virtualFunctions"]> {
  const greatest = await readNumber(join(device, "sriov_totalvfs"));
  if (greatest === undefined || greatest === 0) return undefined;
  return { active: (await readNumber(join(device, "sriov_numvfs"))) ?? 0, greatest };
}

/** The link of the physical function; of several ports behind it the first. */
async function readVirtualFunctionOf(device: string): Promise<string | undefined> {
  return (await listDirectory(join(device, "physfn/net"))).sort()[0];
}

const firmwaresOf = keepFor(() => new Map<string, string | undefined>());

/** Asked once for each card: it changes with a restart of the machine. A card that goes and comes back has another index. */
async function readFirmware(machine: Machine, { index, name }: Link): Promise<string | undefined> {
  const known = firmwaresOf(machine);
  const key = `${index} ${name}`;
  if (!known.has(key)) {
    // 71, 75 and others: the driver does not tell, or the card has just gone.
    const answer = await machine.run(["ethtool", "-i", name], { timeout: 10_000 }).catch(() => undefined);
    const version = /^firmware-version: *(.*)$/m.exec(answer?.stdout ?? "")?.[1]?.trim();
    known.set(key, version === "" || version === "N/A" ? undefined : version);
  }
  return known.get(key);
}

/** The counters of every interface but loopback, by name. */
export async function readAllCounters(machine: Machine): Promise<({ name: string } & LinkCounters)[]> {
  const links = (await machine.netlink.links()).filter(({ loopback }) => !loopback);
  return links.map(({ name, counters }) => ({ name, ...counters }));
}
