import { SteelyardError } from "../errors.ts";
import { keepFor, type Machine } from "./machine.ts";
import { rememberPieces } from "./pieces.ts";

/** One entry of `nft --json list …` (libnftables-json(5)): an object with one key, its kind. */
export type NftObject = Record<string, unknown>;

export type NftFamily = "ip" | "ip6" | "inet" | "netdev";

/** Milliseconds: a list of thousands of rules on a slow machine. */
const timeout = 60_000;

/** Everything in a table; undefined when there is no such table. */
export async function listTable(machine: Machine, family: NftFamily, table: string): Promise<NftObject[] | undefined> {
  const argv = ["nft", "--json", "list", "table", family, table] as const;
  const { code, stdout, stderr } = await machine.run(argv, { timeout, accept: [0, 1] });
  if (code === 0) return (JSON.parse(stdout) as { nftables: NftObject[] }).nftables;
  if (stderr.includes("No such file or directory")) return undefined;
  throw new SteelyardError("command-failed", `${argv.join(" ")}: ${stderr.trim()}`);
}

/**
 * A reader that asks nft only when the kernel's rules are of another generation than those it has read. What packets change is of no
 * generation: counters and elements that rules add. Nor is what ends with a card (a chain of its ingress) or with the process that owns a table.
 */
function oncePerGeneration<Result>(read: (machine: Machine) => Promise<Result>): (machine: Machine) => Promise<Result> {
  const memory = keepFor<{ last?: { generation: number; result: Result } }>(() => ({}));
  return async (machine) => {
    const kept = memory(machine);
    const before = await machine.readRulesGeneration();
    if (kept.last && kept.last.generation === before) return kept.last.result;
    const result = await read(machine);
    if (before !== undefined && before === (await machine.readRulesGeneration()))
      kept.last = { generation: before, result };
    return result;
  };
}

/**
 * A reader of all that is in the tables of families. `read` makes something of entries that stand together: a rule and what follows
 * it, or all before the first one. It is pure, and what it made of entries that are as they were is given again.
 *
 * One process lists all families, for its start costs more than what it reads. To ask for the names of tables first takes nft just
 * as long: it fetches all rules for that too.
 */
export function makeRulesReader<Result>(
  families: readonly NftFamily[],
  read: (entries: NftObject[]) => Result,
): (machine: Machine) => Promise<readonly Result[]> {
  const commands = families.map((family) => `list ruleset ${family}`).join("; ");
  const takeIn = rememberPieces({ mark: ', {"rule": ', joint: ']}\n{"nftables": [' }, read);
  return oncePerGeneration(async (machine) => {
    const intake = takeIn();
    await machine.run(["nft", "--json", commands], { timeout, onBytes: intake.add });
    return intake.end();
  });
}

/** The tables of family inet by name. They are ours and small, and are listed once for all subsystems that plan. Not to be changed. */
export const listInetTables = oncePerGeneration(readInetTables);

async function readInetTables(machine: Machine): Promise<ReadonlyMap<string, readonly NftObject[]>> {
  const { stdout } = await machine.run(["nft", "--json", "list ruleset inet"], { timeout });
  const tables = new Map<string, NftObject[]>();
  for (const object of stdout === "" ? [] : parseRules(stdout)) {
    const [[kind, content] = []] = Object.entries(object);
    const { table, name } = content as { table?: string; name?: string };
    const of = kind === "table" ? name : table;
    if (of === undefined) continue;
    if (!tables.has(of)) tables.set(of, []);
    tables.get(of)?.push(object);
  }
  return tables;
}

function parseRules(text: string): NftObject[] {
  return (JSON.parse(text) as { nftables: NftObject[] }).nftables;
}

/** Loads rules in one transaction: all of them or none. Fails with nft's own words. */
export async function loadRules(machine: Machine, rules: string): Promise<void> {
  await machine.run(["nft", "--file", "-"], { timeout, input: rules });
}

/** Removes a table. That there is none is no error. */
export async function removeTable(machine: Machine, family: NftFamily, table: string): Promise<void> {
  await loadRules(machine, `table ${family} ${table}\ndelete table ${family} ${table}\n`);
}
