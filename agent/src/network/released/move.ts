import type { Machine } from "../../adapters/machine.ts";
import type { ConfigurationControl } from "../../commit/control.ts";
import { splitPrefixed } from "../../configuration/fields.ts";
import { type Problem, refuseTaken, SteelyardError } from "../../errors.ts";
import { describeHolder, findHolders } from "../neighbours/ask.ts";
import { listConflicts } from "../neighbours/conflicts.ts";
import type { VirtualAddress } from "../schema.ts";
import { readReleased, writeReleased } from "./apply.ts";

/** A virtual address that moves between two boxes. */

type Control = Pick<ConfigurationControl, "current" | "reconcile">;

export type HoldStatus = {
  /** False: given up by this node. */
  held: boolean;
  /** Whether the kernel has it. */
  present: boolean;
  /** MAC of another host that has it too. */
  conflict?: string;
};

/** Throws `not-found`. */
export function findVirtualAddress({ current }: Pick<Control, "current">, name: string): VirtualAddress {
  const { virtualAddresses } = current().configuration;
  const found = Object.hasOwn(virtualAddresses, name) ? virtualAddresses[name] : undefined;
  if (!found) throw new SteelyardError("not-found", `there is no virtual address ${name}`);
  return found;
}

export async function readHoldStatus(machine: Machine, control: Control, name: string): Promise<HoldStatus> {
  const { address: prefixed, interface: device } = findVirtualAddress(control, name);
  const { address } = splitPrefixed(prefixed);
  const [released, links, addresses] = await Promise.all([
    readReleased(machine, control.current().configuration),
    machine.netlink.links(),
    machine.netlink.addresses(),
  ]);
  const index = links.find((link) => link.name === device)?.index;
  const present = addresses.some((each) => each.index === index && each.address === prefixed && !each.dadFailed);
  const conflict = present ? listConflicts(machine).find((each) => each.address === address)?.mac : undefined;
  return { held: !released.has(name), present, ...(conflict === undefined ? {} : { conflict }) };
}

/** Gives the address up: it leaves the box, and stays away over restarts. Everything is put back when that fails. */
export async function releaseAddress(
  machine: Machine,
  control: Control,
  name: string,
  by: string,
): Promise<HoldStatus> {
  findVirtualAddress(control, name);
  await change(machine, control, `virtual address ${name} released by ${by}`, (names) => names.add(name));
  return await readHoldStatus(machine, control, name);
}

/** Asks the network who has the address. Throws `address-taken` when another host has, unless forced; what was forced comes back. */
export async function checkHold(machine: Machine, control: Control, name: string, force: boolean): Promise<Problem[]> {
  const { address: prefixed, interface: device } = findVirtualAddress(control, name);
  const { address } = splitPrefixed(prefixed);
  const { present } = await readHoldStatus(machine, control, name);
  const holders = present ? [] : await findHolders(machine, [{ interface: device, address }]);
  const path = `virtualAddresses.${name}.address`;
  const forced = holders.map((each) => ({ path, message: describeHolder(each) }));
  if (!force) refuseTaken(forced);
  return forced;
}

/**
 * Takes the address again, and tells the neighbours. Throws `address-taken` when another host has it, unless forced; what was
 * forced comes back.
 */
export async function holdAddress(
  machine: Machine,
  control: Control,
  name: string,
  { by, force }: { by: string; force: boolean },
): Promise<HoldStatus & { forced: Problem[] }> {
  const forced = await checkHold(machine, control, name, force);
  await change(machine, control, `virtual address ${name} held by ${by}`, (names) => names.delete(name));
  return { ...(await readHoldStatus(machine, control, name)), forced };
}

async function change(
  machine: Machine,
  control: Control,
  reason: string,
  edit: (names: Set<string>) => unknown,
): Promise<void> {
  const { configuration } = control.current();
  const before = await readReleased(machine, configuration);
  const after = new Set(before);
  edit(after);
  await writeReleased(machine, configuration, after);
  try {
    await control.reconcile(reason);
  } catch (error) {
    await writeReleased(machine, configuration, before);
    await control.reconcile(`${reason}, undone`).catch(() => undefined);
    throw error;
  }
}
