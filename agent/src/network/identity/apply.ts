import * as fs from "node:fs/promises";
import { writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import { messageOf } from "../../errors.ts";
import { type Assignment, assignNames, type Binding, planRenames, type Rename } from "./assign.ts";
import type { Card } from "./card.ts";
import { linkFileOf, renderLinkFile } from "./link-file.ts";
import { bindingsDirectory, readBindings, readCards } from "./status.ts";

/** Where udev looks in this boot; the initrd fills it from {@link bindingsDirectory} before udev starts. */
const runtimeDirectory = "/run/systemd/network";

/** How long udev may take over cards it is still finding, in seconds. */
const patience = 60;

/**
 * Gives every card its name and keeps it: see {@link assignNames}. On a boot with the cards of the last one there is nothing
 * to do, for udev has used the files. Never throws: a box whose cards have odd names serves better than none.
 */
export async function nameCards(machine: Machine, configured: readonly string[]): Promise<void> {
  try {
    let state = await look(machine, configured);
    if (state.bindings.length === 0 || state.renames.length > 0) {
      // Only with all cards on the table can new ones be given names in their order.
      await machine.run(["udevadm", "settle", `--timeout=${patience}`], { accept: [0, 1], timeout: patience * 1500 });
      state = await look(machine, configured);
    }
    await keepBindings(machine, state.bindings, state.assignment.bindings);
    for (const rename of state.renames) await carryOut(rename, machine);
    for (const card of state.assignment.unbound)
      machine.log.warn(`network card ${describe(card, state.assignment)}: nothing tells it from another one`);
  } catch (error) {
    machine.log.error(`naming the network cards: ${messageOf(error)}`);
  }
}

async function look(machine: Machine, configured: readonly string[]) {
  const [links, bindings] = await Promise.all([machine.netlink.links(), readBindings(machine)]);
  const cards = await readCards(machine, links);
  const others = links.filter(({ index }) => !cards.some((card) => card.index === index)).map(({ name }) => name);
  const assignment = assignNames({ cards, bindings, configured, others });
  return { bindings, assignment, renames: planRenames(cards, assignment.names) };
}

/** One that fails leaves the others to go on. */
async function carryOut({ from, to }: Rename, machine: Machine): Promise<void> {
  try {
    await machine.run(["ip", "link", "set", "dev", from, "name", to]);
    machine.log.info(`network card ${from} is now ${to}`);
  } catch (error) {
    machine.log.error(`network card ${from} should be ${to}: ${messageOf(error)}`);
  }
}

function describe(card: Card, { names }: Assignment): string {
  return `${names.get(card.index)} (${card.permanentMac ?? "no permanent MAC"}, ${card.path ?? card.location})`;
}

/** Writes what has changed, for the next boots and for this one, and takes away what is gone. */
async function keepBindings(machine: Machine, before: readonly Binding[], after: readonly Binding[]): Promise<void> {
  const known = new Map(before.map((binding) => [binding.name, renderLinkFile(binding)]));
  for (const binding of after) {
    const text = renderLinkFile(binding);
    if (known.get(binding.name) === text) continue;
    for (const directory of [bindingsDirectory, runtimeDirectory])
      await writeAtomically(machine.path(`${directory}/${linkFileOf(binding.name)}`), text);
  }
  const names = after.map(({ name }) => name);
  for (const { name } of before.filter((binding) => !names.includes(binding.name))) {
    for (const directory of [bindingsDirectory, runtimeDirectory])
      await fs.rm(machine.path(`${directory}/${linkFileOf(name)}`), { force: true });
  }
}
