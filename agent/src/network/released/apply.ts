import { makeDirectory, readTextIfExists, writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import type { Configuration } from "../../configuration/schema.ts";

/**
 * Virtual addresses that this node has given up, so that another box may have them. It is no part of the configuration, which
 * two nodes may share, and outlasts a restart: a box that came back would take the address from whoever has it now.
 */

const directory = "/config/local";
const file = `${directory}/released-addresses`;

/** A line for each: name and address, so that another address of the same name is not given up. */
const lineOf = (name: string, address: string) => `${name} ${address}`;

async function readLines(machine: Machine): Promise<string[]> {
  const text = (await readTextIfExists(machine.path(file))) ?? "";
  return text.split("\n").filter((line) => line !== "");
}

/** Names of the virtual addresses that are given up. */
export async function readReleased(
  machine: Machine,
  { virtualAddresses }: Pick<Configuration, "virtualAddresses">,
): Promise<Set<string>> {
  const lines = new Set(await readLines(machine));
  const found = Object.entries(virtualAddresses).filter(([name, { address }]) => lines.has(lineOf(name, address)));
  return new Set(found.map(([name]) => name));
}

/** Remembers exactly these as given up; the lines of addresses that are no longer configured go. */
export async function writeReleased(
  machine: Machine,
  { virtualAddresses }: Pick<Configuration, "virtualAddresses">,
  names: ReadonlySet<string>,
): Promise<void> {
  const lines = Object.entries(virtualAddresses)
    .filter(([name]) => names.has(name))
    .map(([name, { address }]) => lineOf(name, address));
  await makeDirectory(machine.path(directory), 0o755);
  await writeAtomically(machine.path(file), lines.map((line) => `${line}\n`).join(""));
}

/** The configuration as this node has it: what is given up is not on the box. */
export function withoutReleased(configuration: Configuration, released: ReadonlySet<string>): Configuration {
  if (released.size === 0) return configuration;
  const entries = Object.entries(configuration.virtualAddresses).map(([name, each]) => [
    name,
    released.has(name) ? { ...each, enabled: false } : each,
  ]);
  return { ...configuration, virtualAddresses: Object.fromEntries(entries) };
}
