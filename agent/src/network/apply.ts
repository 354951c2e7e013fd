import * as fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isMissing, readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Link } from "../adapters/netlink.ts";
import type { Executors } from "../commit/subsystem.ts";
import { addressFamily, splitPrefixed } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import type { Expectation, NetworkStep } from "./plan.ts";
import { addressesOf, type NetworkArtefacts } from "./render.ts";

const directory = "/run/systemd/network";
/** Sorts before what the image may bring, and marks the files as ours. */
const prefix = "10-steelyard-";

const pathOf = (name: string) => `${directory}/${prefix}${name}.network`;

/**
 * Milliseconds until addresses that are not there count as failed, and between two looks. networkd needs well under a second,
 * duplicate address detection of IPv6 one to two; an emulated machine under load ten times that.
 */
const patience = 30_000;
const pause = 100;

/** Our files in /run and what the kernel has on their interfaces. */
export async function observeNetwork(machine: Machine): Promise<NetworkArtefacts> {
  const names = await listRendered(machine);
  const [links, addresses, routes] = await Promise.all([
    machine.netlink.links(),
    machine.netlink.addresses(),
    machine.netlink.defaultRoutes(),
  ]);
  const entries = names.map(async (name) => {
    const link = links.find((each) => each.name === name);
    const artefact = {
      file: (await readTextIfExists(machine.path(pathOf(name)))) ?? "",
      addresses: addresses
        .filter(({ index, permanent, dadFailed }) => index === link?.index && permanent && !dadFailed)
        .map(({ address }) => address),
      gateways: routes.filter(({ index }) => index === link?.index).map(({ gateway }) => gateway),
      up: link?.up === true,
      seen: { present: link !== undefined, carrier: link?.carrier === true },
    };
    return [name, artefact] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function listRendered(machine: Machine): Promise<string[]> {
  const files = await fs.readdir(machine.path(directory)).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  return files
    .filter((file) => file.startsWith(prefix) && file.endsWith(".network"))
    .map((file) => file.slice(prefix.length, -".network".length));
}

/**
 * Refuses an interface that is new in the configuration and not in the machine. One that is configured already may be
 * missing: a dead card must not keep the operator from changing the rest.
 * Throws `invalid-configuration`, naming the interfaces there are.
 */
export async function checkInterfaces(wanted: NetworkArtefacts, machine: Machine): Promise<void> {
  const [known, links] = await Promise.all([listRendered(machine), machine.netlink.links()]);
  const names = links.filter(({ loopback }) => !loopback).map(({ name }) => name);
  const problems = Object.keys(wanted)
    .filter((name) => !names.includes(name) && !known.includes(name))
    .map((name) => ({
      path: `interfaces.${name}`,
      message: `expected an interface of this appliance: ${names.join(", ") || "there is none"}`,
    }));
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("invalid-configuration", words, { problems });
}

/**
 * `networkctl reload` reconfigures the interfaces whose file has changed and no others; addresses and leases in both the old
 * and the new file stay without a gap (measured with systemd 257). `networkctl reconfigure` does the same for one interface
 * whose file has not changed.
 */
export const networkExecutors: Executors<NetworkStep> = {
  "configure-interface": async ({ file, announce, expect }, machine) => {
    await writeAtomically(machine.path(pathOf(expect.interface)), file);
    await machine.run(["networkctl", "reload"]);
    await settle(machine, expect);
    await announceAddresses(machine, expect.interface, announce);
  },
  "repair-interface": async ({ announce, expect }, machine) => {
    await machine.run(["networkctl", "reconfigure", expect.interface]);
    await settle(machine, expect);
    await announceAddresses(machine, expect.interface, announce);
  },
  "release-interface": async ({ expect }, machine) => {
    const name = expect.interface;
    const path = machine.path(pathOf(name));
    const given = addressesOf((await readTextIfExists(path)) ?? "");
    await fs.rm(path, { force: true });
    await machine.run(["networkctl", "reload"]);
    // networkd lets go of an interface without a file and leaves it up.
    if ((await findLink(machine, name))?.up) await machine.run(["ip", "link", "set", "dev", name, "down"]);
    await settle(machine, { ...expect, absent: given });
  },
};

/** Waits until the kernel is as expected. Fails with `command-failed`, saying what is not. */
async function settle(machine: Machine, expect: Expectation): Promise<void> {
  const name = expect.interface;
  const deadline = machine.now().getTime() + patience;
  for (;;) {
    const link = await findLink(machine, name);
    if (!link) {
      machine.log.warn(`interface ${name} is not in this machine; its settings wait for it`);
      return;
    }
    const open = await findOpen(machine, link, expect);
    if (open.length === 0) return;
    if (machine.now().getTime() >= deadline)
      throw new SteelyardError("command-failed", `${name}: ${open.join(", ")} after ${patience / 1000} s`);
    await sleep(pause);
  }
}

async function findLink(machine: Machine, name: string): Promise<Link | undefined> {
  return (await machine.netlink.links()).find((each) => each.name === name);
}

/** What is not yet as expected, in words. An address another host has will not become ours: that fails at once. */
async function findOpen(machine: Machine, link: Link, { present, absent, up }: Expectation): Promise<string[]> {
  const addresses = (await machine.netlink.addresses()).filter(({ index }) => index === link.index);
  const taken = addresses.find(({ address, dadFailed }) => dadFailed && present.includes(address));
  if (taken) throw new SteelyardError("command-failed", `${link.name}: another host has ${taken.address}`);
  // Without carrier nobody answers the duplicate address detection, and it does not end.
  const ready = addresses.filter(({ tentative }) => !tentative || !link.carrier).map(({ address }) => address);
  return [
    ...present.filter((each) => !ready.includes(each)).map((each) => `${each} is not there`),
    ...absent.filter((each) => ready.includes(each)).map((each) => `${each} is still there`),
    ...(link.up === up ? [] : [`the interface is not ${up ? "up" : "down"}`]),
  ];
}

/**
 * Gratuitous ARP (RFC 5944, 4.6) as request and as reply, since hosts differ in what they believe: who had the address at
 * another MAC hears of it at once. IPv6 does so itself after duplicate address detection (sysctl ndisc_notify).
 * An announcement that fails is logged: the address works, and neighbours learn it when they ask.
 */
async function announceAddresses(machine: Machine, name: string, prefixed: readonly string[]): Promise<void> {
  const link = await findLink(machine, name);
  if (!link?.carrier) return;
  for (const { address } of prefixed.map(splitPrefixed)) {
    if (addressFamily(address) !== "ipv4") continue;
    try {
      await machine.run(["arping", "-q", "-U", "-c", "1", "-I", name, address], { timeout: 5_000 });
      await machine.run(["arping", "-q", "-A", "-c", "1", "-I", name, address], { timeout: 5_000 });
    } catch (error) {
      machine.log.warn(`announcing ${address} on ${name}: ${String(error)}`);
    }
  }
}
