import { isDeepStrictEqual } from "node:util";
import {
  type Family,
  families,
  type Made,
  type Route,
  type Rule,
  routeKey,
  routeWords,
  ruleWords,
} from "../adapters/iproute.ts";
import { type NftTable, stateOf } from "../adapters/nft-table.ts";
import { protocols, type Slots } from "../adapters/route-numbers.ts";
import type { StepBase } from "../commit/subsystem.ts";
import type { RoutingIntent } from "./render.ts";
import { type RoutingState, resolveRouting } from "./target.ts";
import { moveKernelRules } from "./vrf.ts";

/** One side of a plan has the wish, the other the machine. */
export type RoutingArtefacts = { intent?: RoutingIntent; state?: RoutingState };

/** Lines of ip-batch by family: additions one after another, so that a failure is named; removals may be gone already. */
export type Lines = Record<Family, string[]>;

export type RoutingStep = StepBase &
  (
    | { kind: "remember-slots"; slots: Slots }
    | { kind: "add-routing"; lines: Lines }
    | { kind: "load-marks"; table: NftTable | undefined }
    | { kind: "remove-routing"; lines: Lines }
  );

/**
 * New routes come before the rules that lead to them, and rules go before the routes they led to: no packet meets a table
 * that is half there. A route that changes is replaced in one go.
 */
export function planRouting({ state }: RoutingArtefacts, { intent }: RoutingArtefacts): RoutingStep[] {
  if (!state || !intent) return [];
  const target = resolveRouting(intent, state);
  const { added, removed } = compareRoutes(state.routes, target.routes);
  const rules = compareRules(state.rules, target.rules);
  const moved = (family: Family) => moveKernelRules(family, intent.vrfs, state);
  const add = byFamily((family) => [
    ...moved(family).add,
    ...added.filter((each) => each.family === family).map(({ words }) => words),
    ...rules.added.filter((each) => each.family === family).map(({ words }) => words),
  ]);
  const remove = byFamily((family) => [
    ...moved(family).remove,
    ...rules.removed.filter((each) => each.family === family).map(({ words }) => words),
    ...removed.filter((each) => each.family === family).map(({ words }) => words),
  ]);
  const steps: RoutingStep[] = [];
  const before = Object.fromEntries(Object.entries(state.slots).filter(([key]) => key.startsWith("interface ")));
  if (!isDeepStrictEqual(before, target.slots))
    steps.push({ kind: "remember-slots", summary: "remember the tables of the interfaces", slots: target.slots });
  if (count(add) > 0) steps.push({ kind: "add-routing", summary: summarise("add", add), lines: add });
  if (!isDeepStrictEqual(state.marks, stateOf(target.marks)))
    steps.push({
      kind: "load-marks",
      summary: target.marks
        ? "load the rules by which answers leave where they came in"
        : "remove the rules for answers",
      table: target.marks,
    });
  if (count(remove) > 0) steps.push({ kind: "remove-routing", summary: summarise("remove", remove), lines: remove });
  return steps;
}

function byFamily(lines: (family: Family) => string[]): Lines {
  return Object.fromEntries(families.map((family) => [family, lines(family)])) as Lines;
}

function count(lines: Lines): number {
  return families.reduce((sum, family) => sum + lines[family].length, 0);
}

/** The first line in words, and how many follow. */
function summarise(verb: string, lines: Lines): string {
  const [first = "", ...others] = families.flatMap((family) => lines[family]);
  const words = first.replace(/^(route|rule) \w+ /, "$1 ").replace(/ protocol \d+$/, "");
  return `${verb} ${words}${others.length > 0 ? ` and ${others.length} more` : ""}`;
}

type Line = { family: Family; words: string };

function compareRoutes(now: readonly Made<Route>[], wanted: readonly Route[]): { added: Line[]; removed: Line[] } {
  const mine = now.filter(({ protocol }) => protocol === protocols.routing);
  const left = new Set(mine);
  const missing = wanted.filter((route) => {
    // The kernel finds the device of a router by itself when none is named.
    const found = [...left].find((each) => {
      const same = { ...each, device: route.device ?? (route.type === "unicast" ? undefined : each.device) };
      return each.family === route.family && routeWords(same) === routeWords(route);
    });
    if (found) left.delete(found);
    return !found;
  });
  const added = missing.map((route) => {
    const before = [...left].find((each) => routeKey(each) === routeKey(route));
    if (before) left.delete(before);
    const verb = before ? "replace" : "add";
    return { family: route.family, words: `route ${verb} ${routeWords(route)} protocol ${protocols.routing}` };
  });
  const removed = [...left].map((route) => ({
    family: route.family,
    words: `route delete ${routeWords(route)} protocol ${protocols.routing}`,
  }));
  return { added, removed };
}

function compareRules(now: readonly Made<Rule>[], wanted: readonly Rule[]): { added: Line[]; removed: Line[] } {
  const spell = (rule: Rule) => `${rule.family} ${ruleWords(rule)}`;
  const mine = now.filter(({ protocol }) => protocol === protocols.routing);
  const has = new Set(mine.map(spell));
  const wants = new Set(wanted.map(spell));
  const unique = wanted.filter((rule, at) => wanted.findIndex((each) => spell(each) === spell(rule)) === at);
  const line = (verb: string, rule: Rule) => ({
    family: rule.family,
    words: `rule ${verb} ${ruleWords(rule)} protocol ${protocols.routing}`,
  });
  return {
    added: unique.filter((rule) => !has.has(spell(rule))).map((rule) => line("add", rule)),
    removed: mine.filter((rule) => !wants.has(spell(rule))).map((rule) => line("delete", rule)),
  };
}
