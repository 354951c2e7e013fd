import * as fs from "node:fs/promises";
import { type CardSetting, type CardState, cardCommands, cardSettings } from "../../adapters/card-settings.ts";
import { writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import type { Executors } from "../../commit/subsystem.ts";
import { messageOf, SteelyardError } from "../../errors.ts";
import { explainRefusals, resolveWish } from "./explain.ts";
import type { CardStep } from "./plan.ts";
import type { CardArtefact, CardArtefacts, KeptCard, Wishes } from "./render.ts";
import { keptPath, readKeptCard, readKeptCards } from "./status.ts";

/** What cards were told, and what they have now of that. The kernel is asked only when one was told something. */
export async function observeCards(machine: Machine): Promise<CardArtefacts> {
  const known = await readKeptCards(machine);
  if (known.size === 0) return {};
  const look = await lookAround(machine);
  const entries = [...known].map(([card, kept]) => {
    const { index, state } = look(card);
    const artefact: CardArtefact = { wanted: kept?.wanted ?? {}, kept, index, now: valuesOf(state) };
    return [card, artefact] as const;
  });
  return Object.fromEntries(entries);
}

function valuesOf(state: CardState): Partial<Record<CardSetting, number | boolean>> {
  return Object.fromEntries(Object.entries(state).map(([name, { now }]) => [name, now]));
}

/**
 * Asks each card whether it takes what is new for it, before anything changes. What it was told before is not asked about again: a card
 * that was replaced by a lesser one must not keep the operator from changing the rest. Throws `invalid-configuration`.
 */
export async function checkCards(wanted: CardArtefacts, machine: Machine): Promise<void> {
  const known = await readKeptCards(machine);
  const fresh = Object.entries(wanted).flatMap(([card, { wanted: wishes, path }]) => {
    const before: Wishes = known.get(card)?.wanted ?? {};
    const changed = Object.entries(wishes).filter(([name, wish]) => before[name as CardSetting] !== wish);
    return changed.length === 0 ? [] : [{ card, path, wishes: Object.fromEntries(changed) as Wishes }];
  });
  if (fresh.length === 0) return;
  const look = await lookAround(machine);
  const problems = fresh.flatMap(({ card, path, wishes }) => {
    const { index, state } = look(card);
    return index === undefined ? [] : listProblems(path, explainRefusals(card, wishes, state));
  });
  if (problems.length > 0) throw refusal("invalid-configuration", problems);
}

const listProblems = (path: string | undefined, refused: KeptCard["refused"]) =>
  Object.entries(refused).map(([name, message]) => ({ path: `${path}.${name}`, message }));

function refusal(
  code: "invalid-configuration" | "apply-failed",
  problems: ReturnType<typeof listProblems>,
): SteelyardError {
  return new SteelyardError(code, problems.map(({ path, message }) => `${path}: ${message}`).join("; "), { problems });
}

export const cardExecutors: Executors<CardStep> = {
  "tune-card": async ({ card, wanted, path }, machine, { tolerant }) =>
    await tune(machine, card, wanted, path, tolerant),
  "retune-card": async ({ card, wanted, path }, machine, { tolerant }) =>
    await tune(machine, card, wanted, path, tolerant),
  "release-card": async ({ card }, machine) => await tune(machine, card, {}, `interfaces.${card}.card`, true),
};

/**
 * Brings one card to what is wanted of it. What it had before is written down before it is told, so that an agent that ends in between still
 * knows the way back. Fails with what the card did not take, unless that is tolerated: then it is kept, and shown as a warning.
 */
async function tune(machine: Machine, card: string, wanted: Wishes, path: string, tolerant: boolean): Promise<void> {
  const kept = await readKeptCard(machine, card);
  const { index, state } = (await lookAround(machine))(card);
  if (index === undefined) {
    if (Object.keys(wanted).length > 0)
      machine.log.warn(`card ${card} is not in this machine; its settings wait for it`);
    return await keep(machine, card, { index: null, wanted, before: {}, granted: {}, refused: {} });
  }
  const refused = explainRefusals(card, wanted, state);
  const before = { ...(kept?.index === index ? kept.before : {}) };
  const targets: Partial<Record<CardSetting, number | boolean>> = {};
  for (const name of cardSettings) {
    const [wish, now] = [wanted[name], state[name]?.now];
    if (refused[name] !== undefined || now === undefined) continue;
    if (wish !== undefined) before[name] ??= now;
    const target = wish === undefined ? before[name] : resolveWish(wish, state[name]);
    if (target !== undefined && target !== now) targets[name] = target;
  }
  // As long as nothing is wanted in it, every plan begins again here.
  if (Object.keys(before).length > 0)
    await keep(machine, card, { index, wanted: {}, before, granted: {}, refused: {} }, true);
  Object.assign(refused, await command(machine, card, targets, state));
  const after = (await lookAround(machine))(card).state;
  const granted: KeptCard["granted"] = {};
  for (const name of cardSettings) {
    const now = after[name]?.now;
    if (wanted[name] === undefined || now === undefined) continue;
    granted[name] = now;
    if (typeof wanted[name] === "boolean" && wanted[name] !== now)
      refused[name] ??=
        `it is ${now ? "on" : "off"} all the same: what it needs, or what needs it, is not as it has to be`;
  }
  // What this card has refused before is known, and stands in nobody's way.
  const known = (name: string) =>
    kept?.index === index && kept.wanted[name as CardSetting] === wanted[name as CardSetting];
  const fresh = Object.fromEntries(Object.entries(refused).filter(([name]) => !known(name)));
  if (!tolerant && Object.keys(fresh).length > 0) throw refusal("apply-failed", listProblems(path, fresh));
  for (const [name, words] of Object.entries(refused)) machine.log.warn(`card ${card}: ${name}: ${words}`);
  const original = Object.entries(before).filter(([name]) => wanted[name as CardSetting] !== undefined);
  await keep(machine, card, { index, wanted, before: Object.fromEntries(original), granted, refused });
}

/** What each card has now, by its name; no index when it is not in the machine. */
async function lookAround(
  machine: Machine,
): Promise<(card: string) => { index: number | undefined; state: CardState }> {
  const [links, states] = await Promise.all([machine.netlink.links(), machine.readCardStates()]);
  return (card) => {
    const index = links.find(({ name }) => name === card)?.index;
    return { index, state: (index === undefined ? undefined : states.get(index)) ?? {} };
  };
}

/** One kind of setting that fails leaves the others to be tried. Returns what failed, in ethtool's words. */
async function command(
  machine: Machine,
  card: string,
  targets: Partial<Record<CardSetting, number | boolean>>,
  state: CardState,
): Promise<KeptCard["refused"]> {
  const refused: KeptCard["refused"] = {};
  for (const { argv, settings } of cardCommands(card, targets, state)) {
    try {
      // A card that has to start anew for it takes seconds.
      await machine.run(argv, { timeout: 60_000 });
    } catch (error) {
      for (const name of settings) refused[name] = `the card does not take it: ${messageOf(error)}`;
    }
  }
  return refused;
}

/** A card of which nothing is wanted has no file, unless that is only for a moment. */
async function keep(machine: Machine, card: string, kept: KeptCard, meanwhile = false): Promise<void> {
  const path = machine.path(keptPath(card));
  if (!meanwhile && Object.keys(kept.wanted).length === 0) return await fs.rm(path, { force: true });
  await writeAtomically(path, `${JSON.stringify(kept)}\n`);
}
