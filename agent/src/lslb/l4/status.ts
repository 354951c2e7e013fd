import { type ConnectionFilter, forEachConnection } from "../../adapters/conntrack.ts";
import { readTextIfExists } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import { makeRulesReader, type NftObject } from "../../adapters/nft.ts";
import { type HeldFarm, openNftlb } from "../../adapters/nftlb.ts";
import { addressFamily } from "../../configuration/fields.ts";
import type { Configuration, Farm } from "../../configuration/schema.ts";
import { SteelyardError } from "../../errors.ts";
import { compareFarms } from "./compare.ts";
import {
  addressName,
  type BackendDocument,
  type FarmDocument,
  type Farms,
  highestMark,
  type L4Artefacts,
  type Marks,
  markKey,
} from "./document.ts";
import { rememberLast } from "./remember-last.ts";
import { joinPortRanges } from "./render.ts";
import { combineReadings, compareRules, type KernelRules, readEntry } from "./rules.ts";
import type { L4Backend } from "./schema.ts";

/** Kept while the box runs, like the connections that bear the marks: nftlb forgets, a reboot ends both. */
export const marksFile = "/run/steelyard/l4-marks.json";

/** What nftlb has, and whether the kernel has it too. */
export async function observeDataPlane(machine: Machine): Promise<L4Artefacts> {
  const [remembered, kernel, held] = await Promise.all([readMarks(machine), readKernel(machine), readFarms(machine)]);
  const { handover, leftBehind } = kernel;
  if (held === undefined) {
    return {
      dataPlane: leftBehind ? { state: "damaged", reason: "it died and left its rules" } : { state: "stopped" },
      farms: {},
      marks: remembered,
      handover,
    };
  }
  const { farms, marks } = readHeld(held);
  const differences = compareRules(farms, marks, kernel.rules);
  const [first] = differences;
  const reason = differences.length > 1 ? `${first} (and ${differences.length - 1} more)` : first;
  return {
    dataPlane: reason === undefined ? { state: "running" } : { state: "damaged", reason },
    farms,
    marks: addMissing(marks, remembered),
    handover,
  };
}

/** Marks of backends that nftlb has not any more: connections may still bear them. Adds to what it is given. */
function addMissing(marks: Marks, remembered: Marks): Marks {
  for (const key of Object.keys(remembered)) marks[key] ??= remembered[key] as number;
  return marks;
}

/** So many farms nftlb is asked for one by one: what it says of four hundred are three megabytes. */
const fewFarms = 8;

/**
 * What is not as wanted after a change: in the kernel, of all farms; in nftlb, which also holds what has no rule yet (a backend whose
 * priority waits for its turn), of those that were touched. What it had of the others was compared when the change was planned.
 */
export async function findDifferences(
  machine: Machine,
  wanted: Farms,
  marks: Marks,
  touched: readonly string[],
): Promise<string[]> {
  const names = touched.length <= fewFarms ? touched : undefined;
  const [{ rules }, held] = await Promise.all([readKernel(machine), readFarms(machine, names)]);
  if (held === undefined) return ["nftlb does not answer"];
  const asked = names ? Object.fromEntries(Object.entries(wanted).filter(([name]) => names.includes(name))) : wanted;
  return [...compareRules(wanted, marks, rules), ...compareFarms(readHeld(held).farms, asked)];
}

/** Every farm nftlb has, or those of the names that it has; undefined when it does not answer. */
async function readFarms(machine: Machine, names?: readonly string[]): Promise<HeldFarm[] | undefined> {
  try {
    return await (await openNftlb(machine)).farms(names);
  } catch (error) {
    if (error instanceof SteelyardError && error.code === "not-ready") return undefined;
    throw error;
  }
}

/**
 * Name of the tables, of both families, that stand in while nftlb starts and is fed: it begins by deleting its own. The unit makes
 * them (`/usr/lib/steelyard/hand-over-rules`), so they are there whoever starts nftlb. Both may stand at once: whichever chain
 * comes first gives a connection its mark and its translation, and the other leaves it alone.
 */
export const handoverTable = "steelyard_handover";
export const ruleFamilies = ["ip", "ip6"] as const;

/** True when nftlb answers and has the farm. */
export async function isFed(machine: Machine, farm: string): Promise<boolean> {
  try {
    return await (await openNftlb(machine)).has(farm);
  } catch (error) {
    if (error instanceof SteelyardError && error.code === "not-ready") return false;
    throw error;
  }
}

async function readMarks(machine: Machine): Promise<Marks> {
  const text = await readTextIfExists(machine.path(marksFile));
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as Marks;
  } catch {
    // Without it connections to backends that go may outlive them; that is no reason to stop balancing.
    machine.log.warn(`${marksFile} is damaged; it is written anew`);
    return {};
  }
}

/** What the kernel has: the rules of nftlb's tables, whether these are there, and whether their copies are. */
type Kernel = { rules: KernelRules; leftBehind: boolean; handover: boolean };

async function readKernel(machine: Machine): Promise<Kernel> {
  return combine(await readEntries(machine));
}

const readEntries = makeRulesReader(ruleFamilies, (objects) => ({
  tables: objects.flatMap(({ table }) => (table ? [(table as { name: string }).name] : [])),
  readings: objects.flatMap((object) => (tableOf(object) === "nftlb" ? (readEntry(object) ?? []) : [])),
}));

const combine = rememberLast((pieces: Awaited<ReturnType<typeof readEntries>>): Kernel => {
  const has = (table: string) => pieces.some(({ tables }) => tables.includes(table));
  const rules = combineReadings(pieces.flatMap(({ readings }) => readings));
  return { rules, leftBehind: has("nftlb"), handover: has(handoverTable) };
});

/** The table that a chain, rule, set or map stands in. */
function tableOf(object: NftObject): string | undefined {
  const [content] = Object.values(object);
  return (content as { table?: string } | undefined)?.table;
}

/** Settings nftlb shows for a farm of ours; another value was set by somebody else. */
const ours: Record<string, unknown> = {
  "source-addr": "",
  persistence: "none",
  helper: "none",
  log: "none",
  mark: "0x0",
  state: "up",
  "new-rtlimit": "0/second",
  "rst-rtlimit": "0/second",
  "est-connlimit": "0",
  "tcp-strict": "off",
  queue: "-1",
};

function readHeld(held: readonly HeldFarm[]): { farms: Farms; marks: Marks } {
  const farms: Farms = {};
  const marks: Marks = {};
  for (const farm of held) {
    const { document, marked } = readFarm(farm);
    farms[farm.name] = document;
    for (const [key, mark] of marked) marks[key] = mark;
  }
  return { farms, marks };
}

type HeldDocument = { document: FarmDocument; marked: [key: string, mark: number][] };

/** What was made of a farm as nftlb said it: the same object is given again while it says the same. */
const documents = new WeakMap<HeldFarm, HeldDocument>();

function readFarm(farm: HeldFarm): HeldDocument {
  const known = documents.get(farm);
  if (known) return known;
  const marked = farm.backends.map(({ name, mark }): [string, number] => [markKey(farm.name, name), Number(mark)]);
  const made = { document: makeDocument(farm), marked };
  documents.set(farm, made);
  return made;
}

function makeDocument(farm: HeldFarm): FarmDocument {
  const foreign = Object.entries(ours).filter(([key, value]) => key in farm && farm[key] !== value);
  const strangers = farm.addresses.filter((each) => each.name !== addressName(farm.name, each["ip-addr"]));
  return {
    mode: farm.mode as FarmDocument["mode"],
    scheduler: farm.scheduler as FarmDocument["scheduler"],
    parameters: farm["sched-param"].trim() as FarmDocument["parameters"],
    addresses: Object.fromEntries(
      farm.addresses.map(({ "ip-addr": address, family, protocol, ports }) => [
        address,
        { family, protocol, ports: ports === "" ? "" : joinPortRanges(ports.split(",")) },
      ]),
    ),
    backends: Object.fromEntries(
      farm.backends.map(({ name, "ip-addr": address, port, weight, priority, state }): [string, BackendDocument] => [
        name,
        {
          address,
          port,
          weight: Number(weight),
          priority: Number(priority),
          // "available" is up, waiting for its priority's turn.
          state: (state === "available" ? "up" : state) as BackendDocument["state"],
        },
      ]),
    ),
    foreign: Object.fromEntries([
      ...foreign.map(([key]) => [key, String(farm[key])]),
      ...strangers.map(({ name }) => ["address", name]),
    ]),
  };
}

export type BackendStatus = {
  name: string;
  address: string;
  /** Left out: the port the client asked for. */
  port?: number;
  /** What the operator set. */
  state: L4Backend["state"];
  /**
   * What the kernel does: `up` takes new connections; `standby` waits for its priority's turn; `maintenance` keeps those it
   * has; `down` has no rule; `disabled` belongs to a farm that is not enabled.
   */
  effective: "up" | "standby" | "maintenance" | "down" | "disabled";
  /** Connections to it now; of tcp, the established ones. */
  connections: number;
};

export type FarmStatus = {
  name: string;
  /** `up` when a backend takes new connections. */
  state: "up" | "down" | "disabled";
  backends: BackendStatus[];
};

/**
 * What the kernel does for farms, all of them or those named, read from its rules and its connections; nftlb is not asked, for
 * the rules outlive it. The rules are read once, however many farms are asked for. Throws `not-found` for a farm that is not
 * configured.
 */
export async function readFarmStatuses(
  machine: Machine,
  { farms }: Configuration,
  names: readonly string[] = Object.keys(farms),
): Promise<FarmStatus[]> {
  const wanted = names.map((name): [string, Farm] => {
    const farm = Object.hasOwn(farms, name) ? farms[name] : undefined;
    if (!farm) throw new SteelyardError("not-found", `there is no farm ${name}`);
    return [name, farm];
  });
  if (wanted.length === 0) return [];
  const { rules } = await readKernel(machine);
  const marks = await readMarks(machine);
  const counts = await countByMark(
    machine,
    wanted.map(([, farm]) => farm),
  );
  return wanted.map(([name, farm]) => describeFarm(name, farm, rules.farms[name], marks, counts));
}

/** The states of all farms by one look at the rules; connections are not counted (0), of which there may be a million. */
export async function readFarmStates(machine: Machine, { farms }: Configuration): Promise<FarmStatus[]> {
  const { rules } = await readKernel(machine);
  const marks = await readMarks(machine);
  return Object.entries(farms).map(([name, farm]) => describeFarm(name, farm, rules.farms[name], marks, new Map()));
}

/** Connections by the backend's mark; of tcp, the established ones. */
async function countByMark(machine: Machine, farms: readonly Farm[]): Promise<Map<number, number>> {
  const filters = new Map<string, ConnectionFilter>();
  for (const { protocol, virtualAddresses } of farms) {
    for (const address of virtualAddresses) {
      const filter: ConnectionFilter = {
        family: addressFamily(address),
        protocol,
        ...(protocol === "tcp" ? { state: "ESTABLISHED" as const } : {}),
        // For one farm the kernel is asked for its addresses; for many, once for all.
        ...(farms.length === 1 ? { destination: address } : {}),
      };
      filters.set(JSON.stringify(filter), filter);
    }
  }
  const sums = new Map<number, number>();
  for (const filter of filters.values()) {
    await forEachConnection(machine, filter, ({ mark }) => {
      sums.set(mark & highestMark, (sums.get(mark & highestMark) ?? 0) + 1);
    });
  }
  return sums;
}

function describeFarm(
  name: string,
  farm: Farm,
  rules: KernelRules["farms"][string] | undefined,
  marks: Marks,
  counts: ReadonlyMap<number, number>,
): FarmStatus {
  const has = (record: Record<number, unknown> | undefined, mark: number) =>
    Object.keys(record ?? {}).some((each) => (Number(each) & highestMark) === mark);
  const backends = Object.entries(farm.backends).map(([backend, { address, port, state }]): BackendStatus => {
    const mark = marks[markKey(name, backend)] ?? 0;
    const effective = !farm.enabled
      ? "disabled"
      : has(rules?.shares, mark)
        ? "up"
        : has(rules?.targets, mark)
          ? "maintenance"
          : state === "up" && rules !== undefined
            ? "standby"
            : state === "maintenance" && rules !== undefined
              ? "maintenance"
              : "down";
    const connections = counts.get(mark) ?? 0;
    return { name: backend, address, ...(port === undefined ? {} : { port }), state, effective, connections };
  });
  const state = !farm.enabled ? "disabled" : backends.some(({ effective }) => effective === "up") ? "up" : "down";
  return { name, state, backends };
}
