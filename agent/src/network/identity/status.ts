import * as fs from "node:fs/promises";
import { join } from "node:path";
import { isMissing, readTextIfExists } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import type { Binding } from "./assign.ts";
import type { Card } from "./card.ts";
import { parseLinkFile } from "./link-file.ts";

/** Bindings of this node; a replacement of the box has cards of its own, so they are not replicated. */
export const bindingsDirectory = "/config/local/links";

export async function readBindings(machine: Machine): Promise<Binding[]> {
  const directory = machine.path(bindingsDirectory);
  const files = await fs.readdir(directory).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const found = await Promise.all(
    files
      .filter((file) => file.endsWith(".link"))
      .sort()
      .map(async (file) => {
        const binding = parseLinkFile((await readTextIfExists(join(directory, file))) ?? "");
        if (!binding) machine.log.warn(`${bindingsDirectory}/${file} holds no binding and is passed over`);
        return binding;
      }),
  );
  return found.filter((each) => each !== undefined);
}

/**
 * The Ethernet cards among the links. Not among them: virtual links, and a card that works for another one under its name (the
 * virtual function beneath a card of Hyper-V, the fast half of a virtio failover pair).
 */
export async function readCards(machine: Machine, links: readonly Link[]): Promise<Card[]> {
  const devices = new Map<number, string>();
  for (const link of links) {
    const device = link.loopback || !link.ethernet ? undefined : await readDevice(machine, link.name);
    if (device !== undefined) devices.set(link.index, device);
  }
  const cards = links.filter(
    ({ index, master }) => devices.has(index) && !(master !== undefined && devices.has(master)),
  );
  return await Promise.all(cards.map((link) => describeCard(machine, link, devices)));
}

/** The device's directory of sysfs, without links in it; undefined for a virtual link. */
async function readDevice(machine: Machine, name: string): Promise<string | undefined> {
  return await realPath(machine.path(join("/sys/class/net", name, "device")));
}

async function realPath(path: string): Promise<string | undefined> {
  try {
    return await fs.realpath(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function describeCard(machine: Machine, link: Link, devices: ReadonlyMap<number, string>): Promise<Card> {
  const device = devices.get(link.index) ?? "";
  const [port, onboard, path, virtualFunction] = await Promise.all([
    readNumber(machine.path(join("/sys/class/net", link.name, "dev_port"))),
    readOnboardNumber(device),
    readPath(machine, link.index),
    readVirtualFunction(device, devices),
  ]);
  return {
    index: link.index,
    name: link.name,
    permanentMac: link.permanentMac,
    path,
    port: port ?? 0,
    location: device.slice(device.indexOf("/sys/devices/") + "/sys/devices/".length),
    onboard,
    virtualFunction,
  };
}

/** udev keeps what it found out about the link with this index in /run/udev/data (a line `E:ID_PATH=…`). */
async function readPath(machine: Machine, index: number): Promise<string | undefined> {
  const data = await readTextIfExists(machine.path(`/run/udev/data/n${index}`));
  return /^E:ID_PATH=(.+)$/m.exec(data ?? "")?.[1];
}

/** The PCI function has it; a virtio device is its child. 0 is no number (systemd.net-naming-scheme(7)). */
async function readOnboardNumber(device: string): Promise<number | undefined> {
  for (const directory of [device, join(device, "..")]) {
    for (const file of ["acpi_index", "index"]) {
      const number = await readNumber(join(directory, file));
      if (number !== undefined && number > 0) return number;
    }
  }
  return undefined;
}

/** `physfn` of a virtual function leads to the card it is a part of, whose `virtfn<N>` lead back. */
async function readVirtualFunction(
  device: string,
  devices: ReadonlyMap<number, string>,
): Promise<Card["virtualFunction"]> {
  const physical = await realPath(join(device, "physfn"));
  const of = [...devices].find(([, path]) => path === physical)?.[0];
  if (physical === undefined || of === undefined) return undefined;
  for (const entry of await fs.readdir(physical)) {
    const number = /^virtfn(\d+)$/.exec(entry)?.[1];
    if (number !== undefined && (await realPath(join(physical, entry))) === device)
      return { of, number: Number(number) };
  }
  return undefined;
}

/** Undefined where the file is missing, or the driver does not know (EOPNOTSUPP, EINVAL). */
async function readNumber(path: string): Promise<number | undefined> {
  const text = await readTextIfExists(path).catch(() => undefined);
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}
