import * as fs from "node:fs/promises";
import { isMissing, readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Link } from "../adapters/netlink.ts";
import type { Executors } from "../commit/subsystem.ts";
import { splitPrefixed } from "../configuration/fields.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { forgetLinkLocal } from "./idle/apply.ts";
import { type LinkKind, linkKinds } from "./link-kinds.ts";
import { listConflicts } from "./neighbours/conflicts.ts";
import { takeAddresses } from "./neighbours/take.ts";
import type { NetworkStep } from "./plan.ts";
import { addressesOf, type InterfaceArtefact, type NetworkArtefacts } from "./render.ts";
import { attributesOf, settle } from "./settle.ts";
import { gatewaysOf, vrfTables } from "./vrf-links.ts";

const directory = "/run/systemd/network";
/** Sorts before what the image may bring, and marks the files as ours. */
const prefix = "10-steelyard-";

const linkLocal = "\nLinkLocalAddressing=ipv6\n";

const pathOf = (name: string, kind: "network" | "netdev") => `${directory}/${prefix}${name}.${kind}`;

/** Our files in /run and what the kernel has on their interfaces. */
export async function observeNetwork(machine: Machine): Promise<NetworkArtefacts> {
  const names = await listRendered(machine);
  // What the kernel keeps from use because another host has it is there, as long as that is so.
  const conflicts = new Set(listConflicts(machine).map(({ address }) => address));
  const links = await machine.netlink.links();
  const [addresses, routes] = await Promise.all([
    machine.netlink.addresses(),
    machine.netlink.defaultRoutes(vrfTables(links)),
  ]);
  const entries = names.map(async (name) => {
    const link = links.find((each) => each.name === name);
    const file = (await readTextIfExists(machine.path(pathOf(name, "network")))) ?? "";
    const netdev = await readTextIfExists(machine.path(pathOf(name, "netdev")));
    const artefact: InterfaceArtefact = {
      file,
      link: netdev === undefined ? undefined : observeLink(netdev, link, links),
      addresses: addresses
        .filter(({ index, permanent }) => index === link?.index && permanent)
        .filter(({ address, dadFailed }) => !dadFailed || conflicts.has(splitPrefixed(address).address))
        .map(({ address }) => address),
      gateways: link ? gatewaysOf(link, links, routes) : [],
      up: link?.up === true,
      master: links.find(({ index }) => index === link?.master)?.name,
      mtu: link?.mtu,
      alias: link?.alias ?? "",
      lower: [],
      seen: { present: link !== undefined, carrier: link?.carrier === true },
    };
    return [name, artefact] as const;
  });
  const observed = Object.fromEntries(await Promise.all(entries));
  for (const [name, artefact] of Object.entries(observed)) artefact.lower = lowerOf(name, observed);
  return observed;
}

/** Of a link that is gone the file says the kind. */
function observeLink(netdev: string, link: Link | undefined, links: readonly Link[]) {
  const written = /^Kind=(\S+)$/m.exec(netdev)?.[1];
  const kind = linkKinds.find((each) => each === (link?.kind ?? written)) ?? ("ethernet" satisfies LinkKind);
  return { netdev, kind, attributes: link ? attributesOf(link, links) : {} };
}

/** What a link stands on, by the files of what is below it. */
function lowerOf(name: string, observed: NetworkArtefacts): string[] {
  const relation = new RegExp(`^(?:Bond|Bridge|VLAN)=${name.replaceAll(".", "\\.")}$`, "m");
  return Object.entries(observed)
    .filter(([, { file }]) => relation.test(file))
    .map(([each]) => each);
}

async function listRendered(machine: Machine): Promise<string[]> {
  const files = await fs.readdir(machine.path(directory)).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const names = files
    .filter((file) => file.startsWith(prefix) && /\.(?:network|netdev)$/.test(file))
    .map((file) => file.slice(prefix.length, file.lastIndexOf(".")));
  return [...new Set(names)];
}

/**
 * Refuses an interface that is new in the configuration and not in the machine, and a name for a new link that another one
 * has. A card that is configured already may be missing: a dead card must not keep the operator from changing the rest.
 * Throws `invalid-configuration`, naming the interfaces there are.
 */
export async function checkInterfaces(wanted: NetworkArtefacts, machine: Machine): Promise<void> {
  const [known, links] = await Promise.all([observeNetwork(machine), machine.netlink.links()]);
  const names = links
    .filter(({ name, loopback }) => !loopback && !known[name]?.link && !wanted[name]?.link)
    .map(({ name }) => name);
  const problems = Object.entries(wanted).flatMap(([name, { link, path = `interfaces.${name}` }]) => {
    const there = links.some((each) => each.name === name && !each.loopback);
    const ours = Object.hasOwn(known, name);
    if (link)
      return there && !known[name]?.link
        ? [{ path, message: "expected another name: the appliance has an interface of this name" }]
        : [];
    if (names.includes(name) || (ours && !known[name]?.link)) return [];
    return [{ path, message: `expected an interface of this appliance: ${names.join(", ") || "there is none"}` }];
  });
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("invalid-configuration", words, { problems });
}

/**
 * `networkctl reload` reconfigures the interfaces whose file has changed and no others; addresses and leases in both the old
 * and the new file stay without a gap (measured with systemd 257). `networkctl reconfigure` does the same for one interface
 * whose file has not changed. networkd makes links and never changes or removes one (systemd.netdev(5)): that is done here.
 */
export const networkExecutors: Executors<NetworkStep> = {
  "remove-link": async ({ interface: name }, machine) => {
    for (const kind of ["network", "netdev"] as const) await fs.rm(machine.path(pathOf(name, kind)), { force: true });
    const link = await findLink(machine, name);
    if (link?.kind === "vrf") await endConnections(machine, name);
    if (link) await machine.run(["ip", "link", "delete", "dev", name]);
    // networkd forgets the link, so that one of the same name is a new one to it.
    await machine.run(["networkctl", "reload"]);
  },
  "define-link": async ({ interface: name, netdev }, machine) => {
    await writeAtomically(machine.path(pathOf(name, "netdev")), netdev);
    await machine.run(["networkctl", "reload"]);
  },
  "configure-interface": async ({ file, announce, expect }, machine, manner) => {
    const asked = (await findLink(machine, expect.interface))?.carrier === true;
    const path = machine.path(pathOf(expect.interface, "network"));
    const before = await readTextIfExists(path);
    await writeAtomically(path, file);
    await machine.run(["networkctl", "reload"]);
    if (before?.includes(linkLocal) && !file.includes(linkLocal)) await forgetLinkLocal(machine, expect.interface);
    if (before !== undefined && makesAddresses(before) && !makesAddresses(file))
      await dropMadeAddresses(machine, expect.interface);
    const refused = await settle(machine, expect);
    await takeAddresses(machine, announce, { expect, refused, asked, ...manner });
  },
  "repair-interface": async ({ announce, expect }, machine, manner) => {
    await dropRefused(machine, expect.interface);
    await machine.run(["networkctl", "reconfigure", expect.interface]);
    const refused = await settle(machine, expect);
    await takeAddresses(machine, announce, { expect, refused, asked: true, ...manner });
  },
  "release-interface": async ({ expect }, machine) => {
    const name = expect.interface;
    const path = machine.path(pathOf(name, "network"));
    const given = addressesOf((await readTextIfExists(path)) ?? "");
    await fs.rm(path, { force: true });
    await machine.run(["networkctl", "reload"]);
    // networkd lets go of an interface without a file and leaves it up, and where it belongs.
    const link = await findLink(machine, name);
    if (link?.master !== undefined) await machine.run(["ip", "link", "set", "dev", name, "nomaster"]);
    if (link?.up) await machine.run(["ip", "link", "set", "dev", name, "down"]);
    await settle(machine, { ...expect, absent: given });
  },
};

/**
 * Connections that came in by a VRF are bound to it and cannot outlive it: whoever is at the other end is told so, and need not wait
 * for his own time-out.
 */
async function endConnections(machine: Machine, vrf: string): Promise<void> {
  try {
    await machine.run(["ss", "--kill", "--no-header", "--tcp", "dev", vrf]);
  } catch (error) {
    machine.log.warn(`ending the connections of ${vrf}: ${messageOf(error)}`);
  }
}

/** The kernel does not try an address again that duplicate address detection has refused; as a new one it does. */
async function dropRefused(machine: Machine, name: string): Promise<void> {
  const index = (await findLink(machine, name))?.index;
  for (const each of await machine.netlink.addresses())
    if (each.index === index && each.dadFailed) await machine.run(["ip", "address", "del", each.address, "dev", name]);
}

/** Whether networkd makes addresses of the prefixes that routers advertise. */
const makesAddresses = (file: string) =>
  file.includes("\nIPv6AcceptRA=yes\n") && !file.includes("\nUseAutonomousPrefix=no\n");

/** networkd 257 makes no more of them when it is told so, and leaves those it made until their lifetime ends, which may be a month. */
async function dropMadeAddresses(machine: Machine, name: string): Promise<void> {
  const index = (await findLink(machine, name))?.index;
  const made = (await machine.netlink.addresses()).filter(
    (each) => each.index === index && !each.permanent && each.scope === "global" && isMade(each.address),
  );
  // Exit status 2: it went by itself.
  for (const { address } of made)
    await machine.run(["ip", "address", "delete", address, "dev", name], { accept: [0, 2] });
}

/** A DHCPv6 server gives single addresses (RFC 8415, 21.6). */
const isMade = (address: string) => address.includes(":") && !address.endsWith("/128");

async function findLink(machine: Machine, name: string): Promise<Link | undefined> {
  return (await machine.netlink.links()).find((each) => each.name === name);
}
