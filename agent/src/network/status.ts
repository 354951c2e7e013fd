import * as fs from "node:fs/promises";
import { basename, join } from "node:path";
import { isMissing, readTextIfExists } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Link, LinkAddress } from "../adapters/netlink.ts";
import { SteelyardError } from "../errors.ts";
import { type BondStatus, describeBond } from "./bond-status.ts";

/** A network interface as it is now. */
export type LinkStatus = {
  name: string;
  mac: string | undefined;
  /** The address the card was made with, when it differs or the driver tells. */
  permanentMac: string | undefined;
  /** Kernel driver, as `virtio_net`; for a virtual link its kind, as `bond`. */
  driver: string | undefined;
  /** Where the card sits: `0000:00:03.0` for PCI. */
  bus: string | undefined;
  /** Mbit/s; undefined without carrier and for cards that do not know. */
  speed: number | undefined;
  duplex: "full" | "half" | undefined;
  carrier: boolean;
  /** down: administratively off; no-carrier: on, but no link; up: working. */
  state: "up" | "no-carrier" | "down";
  /** Bytes. */
  mtu: number;
  /** With prefix length; link-local ones included. */
  addresses: string[];
};

/** Counters since boot: bytes and packets. */
export type LinkCounters = {
  receivedBytes: number;
  receivedPackets: number;
  receivedErrors: number;
  receivedDropped: number;
  sentBytes: number;
  sentPackets: number;
  sentErrors: number;
  sentDropped: number;
};

export type InterfaceStatus = LinkStatus & {
  gateways: string[];
  counters: LinkCounters;
  /** The bond or bridge it belongs to. */
  master: string | undefined;
  bond: BondStatus | undefined;
};

/** Every network interface of the machine but loopback, by name. */
export async function readLinks(machine: Machine): Promise<LinkStatus[]> {
  const [links, addresses] = await Promise.all([machine.netlink.links(), machine.netlink.addresses()]);
  const found = await Promise.all(
    links.filter(({ loopback }) => !loopback).map((link) => describeLink(machine, link, addresses)),
  );
  return found.sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
}

/** One interface with its gateways and counters. Throws `not-found` when the machine has none of this name. */
export async function readInterfaceStatus(machine: Machine, name: string): Promise<InterfaceStatus> {
  const links = await machine.netlink.links();
  const link = links.find((each) => each.name === name);
  if (!link) throw new SteelyardError("not-found", `the machine has no interface ${name}`);
  const [addresses, routes] = await Promise.all([machine.netlink.addresses(), machine.netlink.defaultRoutes()]);
  return {
    ...(await describeLink(machine, link, addresses)),
    gateways: routes.filter(({ index }) => index === link.index).map(({ gateway }) => gateway),
    counters: await readCounters(machine, name),
    master: links.find(({ index }) => index === link.master)?.name,
    bond: describeBond(link, links),
  };
}

async function describeLink(machine: Machine, link: Link, addresses: readonly LinkAddress[]): Promise<LinkStatus> {
  const directory = machine.path(join("/sys/class/net", link.name));
  const [device, driver, speed, duplex] = await Promise.all([
    readBus(join(directory, "device")),
    readLinkTarget(join(directory, "device/driver")),
    readAttribute(join(directory, "speed")),
    readAttribute(join(directory, "duplex")),
  ]);
  const known = link.carrier && Number(speed) > 0;
  return {
    name: link.name,
    mac: link.mac,
    permanentMac: link.permanentMac,
    driver: driver ?? link.kind,
    bus: device,
    speed: known ? Number(speed) : undefined,
    duplex: known && (duplex === "full" || duplex === "half") ? duplex : undefined,
    carrier: link.carrier,
    state: link.up ? (link.carrier ? "up" : "no-carrier") : "down",
    mtu: link.mtu,
    addresses: addresses.filter(({ index }) => index === link.index).map(({ address }) => address),
  };
}

/** The card's place on the bus: a virtio device is the child of the PCI function that a person looks for. */
async function readBus(path: string): Promise<string | undefined> {
  try {
    const segments = (await fs.realpath(path)).split("/");
    return segments.findLast((each) => /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(each)) ?? segments.at(-1);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function readLinkTarget(path: string): Promise<string | undefined> {
  try {
    return basename(await fs.readlink(path));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** An attribute of sysfs; undefined where the driver has none, which it says with EINVAL or EOPNOTSUPP. */
async function readAttribute(path: string): Promise<string | undefined> {
  try {
    return (await readTextIfExists(path))?.trim();
  } catch {
    return undefined;
  }
}

const counterFiles = {
  receivedBytes: "rx_bytes",
  receivedPackets: "rx_packets",
  receivedErrors: "rx_errors",
  receivedDropped: "rx_dropped",
  sentBytes: "tx_bytes",
  sentPackets: "tx_packets",
  sentErrors: "tx_errors",
  sentDropped: "tx_dropped",
} as const satisfies Record<keyof LinkCounters, string>;

async function readCounters(machine: Machine, name: string): Promise<LinkCounters> {
  const directory = machine.path(join("/sys/class/net", name, "statistics"));
  const entries = Object.entries(counterFiles).map(async ([counter, file]) => {
    return [counter, Number((await readAttribute(join(directory, file))) ?? 0)];
  });
  return Object.fromEntries(await Promise.all(entries)) as LinkCounters;
}

/** The counters of every interface but loopback, by name. */
export async function readAllCounters(machine: Machine): Promise<({ name: string } & LinkCounters)[]> {
  const links = (await machine.netlink.links()).filter(({ loopback }) => !loopback);
  return await Promise.all(links.map(async ({ name }) => ({ name, ...(await readCounters(machine, name)) })));
}
