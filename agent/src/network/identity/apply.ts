import * as fs from "node:fs/promises";
import { writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import { makeExclusive } from "../../commit/exclusive.ts";
import { messageOf, SteelyardError } from "../../errors.ts";
import { assignNames, type Binding, findCandidates, planRenames, type Rename, rebind } from "./assign.ts";
import type { Card } from "./card.ts";
import { linkFileOf, renderLinkFile } from "./link-file.ts";
import { bindingsDirectory, readBindings, readCards } from "./status.ts";

/** Where udev looks in this boot; the initrd fills it from {@link bindingsDirectory} before udev starts. */
const runtimeDirectory = "/run/systemd/network";

/** How long udev may take over cards it is still finding, in seconds. */
const patience = 60;

/** A boot, a card that was plugged in and an operator may want to name cards at the same moment. */
const inTurn = makeExclusive();

/**
 * Gives every card its name and keeps it: see {@link assignNames}. On a boot with the cards of the last one there is nothing
 * to do, for udev has used the files. Returns the names that were given. Never throws: a box whose cards have odd names serves
 * better than none.
 */
export async function nameCards(machine: Machine, configured: readonly string[]): Promise<string[]> {
  return await inTurn(async () => {
    try {
      let state = await look(machine, configured);
      if (state.bindings.length === 0 || state.renames.length > 0) {
        // Only with all cards on the table can new ones be given names in their order.
        await machine.run(["udevadm", "settle", `--timeout=${patience}`], { accept: [0, 1], timeout: patience * 1500 });
        state = await look(machine, configured);
      }
      await keepBindings(machine, state.bindings, state.assignment.bindings);
      for (const card of state.assignment.unbound)
        machine.log.warn(`network card ${describe(card, state.names)}: nothing tells it from another one`);
      return await carryOut(state.renames, machine);
    } catch (error) {
      machine.log.error(`naming the network cards: ${messageOf(error)}`);
      return [];
    }
  });
}

/**
 * Binds the name of a missing card to one that is here: the one given, else the only candidate. Throws `not-found` for a name
 * that is bound to no card or a card there is not, `in-use` when either is taken, `ambiguous` unless there is one candidate. Returns the
 * name the card has had; with `dryRun` all is checked and nothing done.
 */
export async function adoptCard(
  machine: Machine,
  name: string,
  {
    card: chosen,
    configured,
    dryRun = false,
  }: { card: string | undefined; configured: readonly string[]; dryRun?: boolean },
): Promise<string> {
  return await inTurn(async () => {
    const { bindings, cards, names, assignment } = await look(machine, configured);
    const binding = findMissing(name, bindings, names);
    const free = findCandidates(binding, cards, names).filter((each) => !configured.includes(each.name));
    if (chosen === undefined && free.length !== 1)
      throw refuse(
        name,
        free.map((each) => each.name),
      );
    const wanted = chosen ?? free[0]?.name;
    const card = cards.find(({ index }) => names.get(index) === wanted);
    if (!card || wanted === undefined) throw new SteelyardError("not-found", `there is no network card ${wanted}`);
    if (configured.includes(wanted))
      throw new SteelyardError(
        "in-use",
        `${wanted} is configured: delete the interface first, or leave the card as it is`,
      );
    if (dryRun) return wanted;
    await keepBindings(machine, bindings, rebind(name, card, cards, assignment.bindings, wanted));
    await carryOut(planRenames(cards, new Map([...names, [card.index, name]])), machine);
    return wanted;
  });
}

/** Gives up a name whose card is missing. Throws `not-found`, or `in-use` when the card is there or the name is configured. */
export async function forgetCard(
  machine: Machine,
  name: string,
  { configured, dryRun = false }: { configured: readonly string[]; dryRun?: boolean },
): Promise<void> {
  await inTurn(async () => {
    const { bindings, names } = await look(machine, configured);
    findMissing(name, bindings, names);
    if (configured.includes(name))
      throw new SteelyardError("in-use", `${name} is configured: delete the interface first`);
    if (dryRun) return;
    await keepBindings(
      machine,
      bindings,
      bindings.filter((each) => each.name !== name),
    );
  });
}

function findMissing(name: string, bindings: readonly Binding[], names: ReadonlyMap<number, string>): Binding {
  const binding = bindings.find((each) => each.name === name);
  if (!binding) throw new SteelyardError("not-found", `the name ${name} is bound to no network card`);
  if ([...names.values()].includes(name)) throw new SteelyardError("in-use", `the network card of ${name} is there`);
  return binding;
}

function refuse(name: string, candidates: readonly string[]): SteelyardError {
  const message =
    candidates.length === 0
      ? `no network card is evidently in the place of ${name}: expected the name of one as card`
      : `expected one of ${candidates.join(", ")}, which may all be in the place of ${name}`;
  return new SteelyardError("ambiguous", message, { problems: [{ path: "card", message }] });
}

async function look(machine: Machine, configured: readonly string[]) {
  const [links, bindings] = await Promise.all([machine.netlink.links(), readBindings(machine)]);
  const cards = await readCards(machine, links);
  const others = links.filter(({ index }) => !cards.some((card) => card.index === index)).map(({ name }) => name);
  const assignment = assignNames({ cards, bindings, configured, others });
  const { names } = assignment;
  return { bindings, cards, names, assignment, renames: planRenames(cards, names) };
}

/** One that fails leaves the others to go on. Returns the names that were given. */
async function carryOut(renames: readonly Rename[], machine: Machine): Promise<string[]> {
  const given = [];
  for (const { from, to } of renames) {
    try {
      await machine.run(["ip", "link", "set", "dev", from, "name", to]);
      machine.log.info(`network card ${from} is now ${to}`);
      given.push(to);
    } catch (error) {
      machine.log.error(`network card ${from} should be ${to}: ${messageOf(error)}`);
    }
  }
  return given;
}

function describe(card: Card, names: ReadonlyMap<number, string>): string {
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
