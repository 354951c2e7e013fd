import type { NftObject } from "../../adapters/nft.ts";
import { type FarmDocument, type Farms, type Marks, markKey, masqueradeBit } from "./document.ts";

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

/** Reads `nft --json list table ip nftlb` and `ip6 nftlb`; a table that is missing is an empty list. */
export function readRules(objects: readonly NftObject[]): KernelRules {
  const farms: Record<string, FarmRules> = {};
  const ports = new Map<string, number[]>();
  const dispatched = new Set<string>();
  const farmOf = (name: string) => {
    farms[name] ??= { marking: [], translating: [], choice: "", shares: {}, targets: {} };
    return farms[name];
  };
  const rulesOf: { family: string; chain: string; expressions: Json[] }[] = [];
  const families = new Set<string>();
  for (const object of objects as Json[]) {
    if (object.map) collectServices(object.map, ports);
    if (object.chain?.hook) families.add(object.chain.family);
    if (object.rule)
      rulesOf.push({ family: object.rule.family, chain: object.rule.chain, expressions: object.rule.expr });
  }
  for (const { family, chain, expressions } of rulesOf) {
    for (const expression of expressions) {
      if (expression.vmap) dispatched.add(`${family} ${chain}`);
      if ("masquerade" in expression) dispatched.add(`${family} masquerade`);
    }
    if (chain.startsWith("filter-")) readChoice(farmOf(chain.slice("filter-".length)), expressions);
    if (chain.startsWith("nat-")) readTargets(farmOf(chain.slice("nat-".length)), expressions);
  }
  for (const [key, list] of ports) {
    const [chain = "", protocol = "", address = ""] = key.split(" ");
    const service = `${protocol} ${address} ${compressPorts(list)}`;
    if (chain.startsWith("filter-")) farmOf(chain.slice("filter-".length)).marking.push(service);
    if (chain.startsWith("nat-")) farmOf(chain.slice("nat-".length)).translating.push(service);
  }
  for (const farm of Object.values(farms)) {
    farm.marking.sort();
    farm.translating.sort();
  }
  const problems = [...families].flatMap((family) =>
    ["filter", "prerouting", "masquerade"]
      .filter((part) => !dispatched.has(`${family} ${part}`))
      .map((part) => `table ${family} nftlb: the rule of ${part} is missing`),
  );
  return { farms, problems };
}

/** Every way in which the kernel's rules are not those expected; none when all is well. */
export function compareRules(farms: Farms, marks: Marks, kernel: KernelRules): string[] {
  const differences = [...kernel.problems];
  for (const [name, farm] of Object.entries(farms)) {
    const expected = expectRules(name, farm, marks);
    const found = kernel.farms[name] ?? { marking: [], translating: [], choice: "", shares: {}, targets: {} };
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

function collectServices(map: Json, ports: Map<string, number[]>): void {
  for (const [key, verdict] of map.elem ?? []) {
    const chain = verdict?.goto?.target;
    if (!chain || !Array.isArray(key?.concat)) continue;
    const [protocol, address, port] = key.concat;
    const service = `${chain} ${protocol} ${address}`;
    const list = ports.get(service);
    if (list) list.push(port);
    else ports.set(service, [port]);
  }
}

/** `ct mark set numgen random mod 4 map { 0 : 5, 1-3 : 7 }`. A second such rule in a chain is never reached: it is none of ours. */
function readChoice(farm: FarmRules, expressions: Json[]): void {
  for (const { mangle } of expressions) {
    const map = mangle?.value?.map;
    if (!map) continue;
    farm.choice += describeKey(map.key);
    for (const [key, mark] of map.data?.set ?? []) farm.shares[Number(mark)] = countValues(key);
  }
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
function readTargets(farm: FarmRules, expressions: Json[]): void {
  for (const { dnat } of expressions) {
    for (const [mark, target] of dnat?.addr?.map?.data?.set ?? []) {
      const [address, port] = typeof target === "string" ? [target] : target.concat;
      farm.targets[Number(mark)] = port === undefined ? address : `${address} port ${port}`;
    }
  }
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
