import type { NftObject } from "../../adapters/nft.ts";
import { isSameFarm } from "./compare.ts";
import { type FarmDocument, type Farms, type Marks, markKey, markKeys, masqueradeBit } from "./document.ts";

/**
 * What the kernel does for a farm, in a few lines that can be compared: which packets reach it, how a connection is given a
 * mark, and where each mark is sent. One side comes from what nftlb says it has, the other from nft's own list, for nftlb
 * answers "success" also when nft refused.
 */
export type FarmRules = {
  /** `tcp 192.0.2.10 80,8000-8010`, for the chain that marks and the chain that translates. */
  marking: string[];
  translating: string[];
  /** `random`, `in turn`, `hash of the source address`...; empty when no backend takes new connections. */
  choice: string;
  /** Share of new connections by mark. */
  shares: Record<number, number>;
  /** `198.51.100.1` or `198.51.100.1 port 8080` by mark. */
  targets: Record<number, string>;
};

/** The rules that a farm nftlb holds should have. */
export function expectRules(name: string, farm: FarmDocument, marks: Marks): FarmRules {
  const services = Object.entries(farm.addresses)
    .map(([address, { protocol, ports }]) => `${protocol} ${address} ${ports}`)
    .sort();
  const level = activePriority(Object.values(farm.backends));
  const rules: FarmRules = { marking: services, translating: services, choice: "", shares: {}, targets: {} };
  if (services.length === 0) return rules;
  const withPort = Object.values(farm.backends).every(({ port }) => port !== "");
  for (const [backend, { address, port, weight, priority, state }] of Object.entries(farm.backends)) {
    if (state === "down" || priority > level) continue;
    const mark = ((marks[markKey(name, backend)] ?? 0) | (farm.mode === "snat" ? masqueradeBit : 0)) >>> 0;
    rules.targets[mark] = withPort ? `${address} port ${port}` : address;
    if (state === "up") rules.shares[mark] = weight;
  }
  if (Object.keys(rules.shares).length > 0) rules.choice = describeChoice(farm);
  return rules;
}

/** Up to which priority backends are used: one more for each of a used priority that is not up (nftlb's own rule). */
export function activePriority(backends: readonly { priority: number; state: string }[]): number {
  let level = 1;
  for (;;) {
    const missing = backends.filter(({ priority, state }) => priority === level && state !== "up").length;
    if (missing === 0) return level;
    level += missing;
  }
}

function describeChoice({ scheduler, parameters }: FarmDocument): string {
  if (scheduler === "weight") return "random";
  if (scheduler === "rr") return "in turn";
  return parameters === "srcip" ? "hash of saddr" : "hash of saddr sport";
}

/** What the lists of nftlb's two tables say. `problems` are about the chains that all farms share. */
export type KernelRules = { farms: Record<string, FarmRules>; problems: string[] };

/** What one entry of the lists says of the farms. */
export type Reading =
  | { of: "base chain"; family: string }
  | { of: "services"; ports: ReadonlyMap<string, readonly number[]> }
  | { of: "rule"; family: string; chain: string; does: ("dispatch" | "masquerade")[]; farm: Partial<FarmRules> };

/** Reads an entry of `nft --json list table ip nftlb` or `ip6 nftlb`. */
export function readEntry(object: NftObject): Reading | undefined {
  const { map, chain, rule } = object as Json;
  if (map) return { of: "services", ports: collectServices(map) };
  if (chain?.hook) return { of: "base chain", family: chain.family };
  if (!rule) return undefined;
  const expressions: Json[] = rule.expr;
  return {
    of: "rule",
    family: rule.family,
    chain: rule.chain,
    does: [
      ...(expressions.some(({ vmap }) => vmap) ? ["dispatch" as const] : []),
      ...(expressions.some((each) => "masquerade" in each) ? ["masquerade" as const] : []),
    ],
    farm: rule.chain.startsWith("filter-")
      ? readChoice(expressions)
      : rule.chain.startsWith("nat-")
        ? readTargets(expressions)
        : {},
  };
}

type Gathered = { parts: Partial<FarmRules>[]; marking: string[]; translating: string[] };

/** Puts together what the entries of both tables say; a table that is missing has none. */
export function combineReadings(readings: readonly Reading[]): KernelRules {
  const gathered = new Map<string, Gathered>();
  const ports = new Map<string, number[]>();
  const does = new Set<string>();
  const families = new Set<string>();
  const farmOf = (chain: string): Gathered | undefined => {
    const name = /^(?:filter|nat)-(.*)$/.exec(chain)?.[1];
    if (name === undefined) return undefined;
    const farm = gathered.get(name) ?? { parts: [], marking: [], translating: [] };
    gathered.set(name, farm);
    return farm;
  };
  for (const reading of readings) {
    if (reading.of === "base chain") families.add(reading.family);
    if (reading.of === "services")
      for (const [service, list] of reading.ports) ports.set(service, [...(ports.get(service) ?? []), ...list]);
    if (reading.of !== "rule") continue;
    for (const what of reading.does)
      does.add(`${reading.family} ${what === "masquerade" ? "masquerade" : reading.chain}`);
    farmOf(reading.chain)?.parts.push(reading.farm);
  }
  for (const [key, list] of ports) {
    const [chain = "", protocol = "", address = ""] = key.split(" ");
    const side = chain.startsWith("filter-") ? "marking" : "translating";
    farmOf(chain)?.[side].push(`${protocol} ${address} ${compressPorts(list)}`);
  }
  const problems = [...families].flatMap((family) =>
    ["filter", "prerouting", "masquerade"]
      .filter((part) => !does.has(`${family} ${part}`))
      .map((part) => `table ${family} nftlb: the rule of ${part} is missing`),
  );
  return { farms: joinParts(gathered), problems };
}

/** What was made of a farm's parts the last time. */
let joined = new Map<string, { from: Gathered; rules: FarmRules }>();

/** A farm whose parts are those of the last time is given as the same object, which need not be compared again. */
function joinParts(gathered: ReadonlyMap<string, Gathered>): Record<string, FarmRules> {
  const now: typeof joined = new Map();
  for (const [name, from] of gathered) {
    from.marking.sort();
    from.translating.sort();
    const known = joined.get(name);
    const same = known && isSameList(known.from.parts, from.parts) && isSameList(known.from.marking, from.marking);
    now.set(name, same && isSameList(known.from.translating, from.translating) ? known : { from, rules: join(from) });
  }
  joined = now;
  return Object.fromEntries([...now].map(([name, { rules }]) => [name, rules]));
}

function join({ parts, marking, translating }: Gathered): FarmRules {
  const rules: FarmRules = { marking, translating, choice: "", shares: {}, targets: {} };
  for (const { choice = "", shares, targets } of parts) {
    rules.choice += choice;
    Object.assign(rules.shares, shares);
    Object.assign(rules.targets, targets);
  }
  return rules;
}

function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((each, at) => each === other[at]);
}

/** Which farm, with which marks, rules were found to be right for. */
const right = new WeakMap<FarmRules, { farm: FarmDocument; marks: readonly (number | undefined)[] }>();

function isKnownRight(found: FarmRules, farm: FarmDocument, marks: readonly (number | undefined)[]): boolean {
  const known = right.get(found);
  return known !== undefined && isSameFarm(known.farm, farm) && isSameList(known.marks, marks);
}

/** Every way in which the kernel's rules are not those expected; none when all is well. */
export function compareRules(farms: Farms, marks: Marks, kernel: KernelRules): string[] {
  const differences = [...kernel.problems];
  for (const [name, farm] of Object.entries(farms)) {
    const found = kernel.farms[name] ?? { marking: [], translating: [], choice: "", shares: {}, targets: {} };
    const given = markKeys(name, farm).map((key) => marks[key]);
    if (isKnownRight(found, farm, given)) continue;
    const expected = expectRules(name, farm, marks);
    if (JSON.stringify(expected) === JSON.stringify(found)) {
      right.set(found, { farm, marks: given });
      continue;
    }
    for (const part of ["marking", "translating", "choice", "shares", "targets"] as const) {
      const [wants, has] = [expected[part], found[part]].map((value) => JSON.stringify(value));
      if (wants !== has) differences.push(`farm ${name}: ${part}: the kernel has ${has} and not ${wants}`);
    }
  }
  for (const [name, { marking, translating }] of Object.entries(kernel.farms))
    if (!(name in farms) && marking.length + translating.length > 0)
      differences.push(`farm ${name}: the kernel serves ${marking[0] ?? translating[0]} for a farm that nftlb has not`);
  return differences;
}

// libnftables' JSON has no types of its own; every access below is guarded by what it looks for.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Json = any;

function collectServices(map: Json): Map<string, number[]> {
  const ports = new Map<string, number[]>();
  for (const [key, verdict] of map.elem ?? []) {
    const chain = verdict?.goto?.target;
    if (!chain || !Array.isArray(key?.concat)) continue;
    const [protocol, address, port] = key.concat;
    const service = `${chain} ${protocol} ${address}`;
    const list = ports.get(service);
    if (list) list.push(port);
    else ports.set(service, [port]);
  }
  return ports;
}

/** `ct mark set numgen random mod 4 map { 0 : 5, 1-3 : 7 }`. A second such rule in a chain is never reached: it is none of ours. */
function readChoice(expressions: Json[]): Pick<FarmRules, "choice" | "shares"> {
  const read = { choice: "", shares: {} as FarmRules["shares"] };
  for (const { mangle } of expressions) {
    const map = mangle?.value?.map;
    if (!map) continue;
    read.choice += describeKey(map.key);
    for (const [key, mark] of map.data?.set ?? []) read.shares[Number(mark)] = countValues(key);
  }
  return read;
}

function describeKey(key: Json): string {
  if (key?.numgen) return key.numgen.mode === "random" ? "random" : "in turn";
  if (!key?.jhash) return JSON.stringify(key);
  const parts = key.jhash.expr?.concat ?? [key.jhash.expr];
  return `hash of ${parts.map((part: Json) => part?.payload?.field).join(" ")}`;
}

function countValues(key: Json): number {
  if (key?.range) return key.range[1] - key.range[0] + 1;
  if (key?.prefix) return 2 ** (32 - key.prefix.len);
  return 1;
}

/** `dnat ip to ct mark map { 5 : 198.51.100.1 . 8080 }`. */
function readTargets(expressions: Json[]): Pick<FarmRules, "targets"> {
  const targets: FarmRules["targets"] = {};
  for (const { dnat } of expressions) {
    for (const [mark, target] of dnat?.addr?.map?.data?.set ?? []) {
      const [address, port] = typeof target === "string" ? [target] : target.concat;
      targets[Number(mark)] = port === undefined ? address : `${address} port ${port}`;
    }
  }
  return { targets };
}

/** `80,8000-8010` of single ports in any order. */
function compressPorts(ports: number[]): string {
  ports.sort((one, other) => one - other);
  const ranges: string[] = [];
  for (let at = 0; at < ports.length; ) {
    const first = ports[at] as number;
    let last = first;
    while (ports[at + 1] === last + 1) {
      last++;
      at++;
    }
    ranges.push(first === last ? String(first) : `${first}-${last}`);
    at++;
  }
  return ranges.join(",");
}
