import { isDeepStrictEqual } from "node:util";
import {
  type Family,
  families,
  type Made,
  type Nexthop,
  nexthopWords,
  type Route,
  type Rule,
  routeKey,
  routeWords,
  ruleWords,
} from "../adapters/iproute.ts";
import { type NftTable, stateOf, type TableState } from "../adapters/nft-table.ts";
import {
  assignSlots,
  departureLabel,
  groupOf,
  highestLabelledSlot,
  highestSlot,
  nexthopOf,
  priorities,
  protocols,
  type Slots,
  slotMask,
  slotShift,
  tableOf,
} from "../adapters/route-numbers.ts";
import type { StepBase } from "../commit/subsystem.ts";
import { SteelyardError } from "../errors.ts";
import { type FarmDocument, judgeUplinks, type Memory, slotOfFarm, slotOfUplink } from "./document.ts";
import { countersTable, type Placed, renderCounters, renderRules, uplinksTable } from "./rules.ts";

export type UplinksState = {
  slots: Slots;
  memory: Memory;
  /** Interfaces that are up, and those of them that have a carrier. */
  up: string[];
  lit: string[];
  nexthops: Made<Nexthop>[];
  routes: Made<Route>[];
  rules: Made<Rule>[];
  tables: Record<string, TableState>;
};

/** One side of a plan has the wish, the other the machine. */
export type UplinksArtefacts = { farms?: FarmDocument[]; state?: UplinksState };

type Lines = Record<Family, string[]>;

export type UplinksStep = StepBase &
  (
    | { kind: "remember-slots"; slots: Slots }
    | { kind: "set-ways"; lines: Lines }
    | { kind: "load-table"; name: string; table: NftTable | undefined }
    | { kind: "remove-ways"; lines: Lines }
    | { kind: "cut-connections"; label: number }
  );

/** The farms with their numbers: those they have, or new ones. */
export function placeFarms(
  farms: readonly FarmDocument[],
  { slots, memory, lit }: UplinksState,
): { placed: Placed[]; slots: Slots } {
  const uplinks = assignSlots(
    slots,
    farms.flatMap(({ name, uplinks }) => uplinks.map((each) => slotOfUplink(name, each.name))),
    1,
    highestLabelledSlot,
  );
  const own = assignSlots(
    slots,
    farms.map(({ name }) => slotOfFarm(name)),
    highestLabelledSlot + 1,
    highestSlot,
  );
  if (!uplinks || !own)
    throw new SteelyardError(
      "apply-failed",
      `at most ${highestLabelledSlot} interfaces and uplinks have tables of their own`,
    );
  const placed = farms.map((farm) => ({
    ...farm,
    slot: own[slotOfFarm(farm.name)] ?? 0,
    uplinks: farm.uplinks.map((each) => ({ ...each, slot: uplinks[slotOfUplink(farm.name, each.name)] ?? 0 })),
    states: judgeUplinks(farm, memory, lit),
  }));
  return { placed, slots: { ...uplinks, ...own } };
}

/** Gateways, then groups and tables, then the rules that lead to them; away in the other order. Cuts come last. */
export function planUplinks({ state }: UplinksArtefacts, { farms }: UplinksArtefacts): UplinksStep[] {
  if (!state || !farms) return [];
  const { placed, slots } = placeFarms(farms, state);
  const steps: UplinksStep[] = [];
  const before = Object.fromEntries(Object.entries(state.slots).filter(([key]) => !key.startsWith("interface ")));
  if (!isDeepStrictEqual(before, slots))
    steps.push({ kind: "remember-slots", summary: "remember the numbers of the uplinks", slots });
  const ways = placed.flatMap((farm) => renderWays(farm, state.up));
  const { set, removed } = compareWays(state, ways);
  if (count(set) > 0) steps.push({ kind: "set-ways", summary: `uplinks: ${describe(placed)}`, lines: set });
  for (const [name, table, words] of [
    [uplinksTable, renderRules(placed), "which connection takes which uplink"],
    [countersTable, renderCounters(placed), "the counters of the uplinks"],
  ] as const)
    if (!isDeepStrictEqual(state.tables[name], stateOf(table)))
      steps.push({ kind: "load-table", summary: `${table ? "load" : "remove"} the rules for ${words}`, name, table });
  if (count(removed) > 0) steps.push({ kind: "remove-ways", summary: "remove ways that are not used", lines: removed });
  return [...steps, ...planCuts(state, before, placed)];
}

type Way = { family: Family } & ({ nexthop: Nexthop } | { route: Route } | { rule: Rule });

function renderWays(farm: Placed, up: readonly string[]): Way[] {
  const ways: Way[] = [];
  const ruleFor = (family: Family, slot: number): Way => ({
    family,
    rule: {
      family,
      priority: priorities.uplinks,
      mark: { value: slot << slotShift, mask: slotMask },
      table: tableOf(slot),
    },
  });
  for (const { family, slot, interface: device, gateway } of farm.uplinks) {
    if (!up.includes(device)) continue;
    ways.push({ family, nexthop: { id: nexthopOf(slot), gateway, device } });
    ways.push({
      family,
      route: {
        family,
        type: "unicast",
        destination: "default",
        nexthop: nexthopOf(slot),
        table: tableOf(slot),
        metric: 0,
      },
    });
    ways.push(ruleFor(family, slot));
  }
  for (const family of families) {
    const used = farm.uplinks.filter((each) => each.family === family && farm.states.get(each.name) === "used");
    if (used.length === 0) continue;
    const id = groupOf(farm.slot, family);
    const weighted = farm.algorithm === "weight";
    ways.push({
      family,
      nexthop: { id, group: used.map(({ slot, weight }) => ({ id: nexthopOf(slot), weight: weighted ? weight : 1 })) },
    });
    ways.push({
      family,
      route: { family, type: "unicast", destination: "default", nexthop: id, table: tableOf(farm.slot), metric: 0 },
    });
    ways.push(ruleFor(family, farm.slot));
  }
  return ways;
}

/** ip's lines for what is missing or other, and for what is there and not wanted. */
function compareWays(state: UplinksState, ways: readonly Way[]): { set: Lines; removed: Lines } {
  const mine = <Item extends { protocol: number }>(items: readonly Item[]) =>
    items.filter(({ protocol }) => protocol === protocols.uplinks);
  const [nexthops, routes, rules] = [mine(state.nexthops), mine(state.routes), mine(state.rules)];
  const protocol = `protocol ${protocols.uplinks}`;
  const has = new Set([
    ...nexthops.map(nexthopWords),
    ...routes.map((route) => `${route.family} ${routeWords(route)}`),
    ...rules.map((rule) => `${rule.family} ${ruleWords(rule)}`),
  ]);
  const set: Lines = { ipv4: [], ipv6: [] };
  for (const way of ways) {
    const lines = set[way.family];
    if ("nexthop" in way && !has.has(nexthopWords(way.nexthop)))
      lines.push(`nexthop replace ${nexthopWords(way.nexthop)} ${protocol}`);
    if ("route" in way && !has.has(`${way.family} ${routeWords(way.route)}`))
      lines.push(`route replace ${routeWords(way.route)} ${protocol}`);
    if ("rule" in way && !has.has(`${way.family} ${ruleWords(way.rule)}`))
      lines.push(`rule add ${ruleWords(way.rule)} ${protocol}`);
  }
  const wantedRules = new Set(ways.flatMap((way) => ("rule" in way ? [`${way.family} ${ruleWords(way.rule)}`] : [])));
  const wantedRoutes = new Set(ways.flatMap((way) => ("route" in way ? [routeKey(way.route)] : [])));
  const wantedHops = new Set(ways.flatMap((way) => ("nexthop" in way ? [way.nexthop.id] : [])));
  // Groups before their members, or the kernel takes the members out of them one by one.
  const goneHops = nexthops.filter(({ id }) => !wantedHops.has(id)).sort((one, other) => other.id - one.id);
  const removed: Lines = { ipv4: [], ipv6: [] };
  for (const rule of rules)
    if (!wantedRules.has(`${rule.family} ${ruleWords(rule)}`))
      removed[rule.family].push(`rule delete ${ruleWords(rule)} ${protocol}`);
  for (const route of routes)
    if (!wantedRoutes.has(routeKey(route))) removed[route.family].push(`route delete ${routeWords(route)} ${protocol}`);
  for (const { id } of goneHops) removed.ipv4.push(`nexthop delete id ${id}`);
  return { set, removed };
}

/**
 * Connections that go out by an uplink end when it dies, is set down or goes from the configuration; not when it is only put
 * aside, by maintenance or a better one. What it was before is seen in the kernel's group.
 */
function planCuts({ nexthops }: UplinksState, before: Slots, placed: readonly Placed[]): UplinksStep[] {
  const members = new Set(nexthops.flatMap(({ group }) => group?.map(({ id }) => id) ?? []));
  const cuts: UplinksStep[] = [];
  for (const { name, uplinks, states } of placed)
    for (const { slot, name: uplink } of uplinks) {
      const state = states.get(uplink);
      if (members.has(nexthopOf(slot)) && (state === "dead" || state === "down"))
        cuts.push(cut(`${name}/${uplink}`, slot));
    }
  const kept = new Set(placed.flatMap(({ uplinks }) => uplinks.map(({ slot }) => slot)));
  for (const [key, slot] of Object.entries(before))
    if (key.startsWith("uplink ") && !kept.has(slot)) cuts.push(cut(key.slice("uplink ".length), slot));
  return cuts;
}

function cut(name: string, slot: number): UplinksStep {
  return { kind: "cut-connections", summary: `cut the connections of uplink ${name}`, label: departureLabel(slot) };
}

function describe(placed: readonly Placed[]): string {
  return placed
    .flatMap(({ name, states }) => [...states].map(([uplink, state]) => `${name}/${uplink} ${state}`))
    .join(", ");
}

function count(lines: Lines): number {
  return families.reduce((sum, family) => sum + lines[family].length, 0);
}
