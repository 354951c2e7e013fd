import { SteelyardError } from "../errors.ts";
import type { Machine } from "./machine.ts";
import type { RunOptions } from "./process.ts";

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
 * Everything in the tables of families, as the JSON text nft writes for each: one process, whose start costs more than what it
 * reads. To ask for the names of tables first takes nft just as long, for it fetches all rules for that too.
 */
export async function listFamilies(
  machine: Machine,
  families: readonly NftFamily[],
  options: Pick<RunOptions, "question"> = {},
): Promise<string[]> {
  const commands = families.map((family) => `list ruleset ${family}`).join("; ");
  const { stdout } = await machine.run(["nft", "--json", commands], { timeout, ...options });
  return stdout.split("\n").filter((line) => line !== "");
}

/** The tables of family inet by name. They are ours and small, and one process lists them for all subsystems that plan. */
export async function listInetTables(machine: Machine): Promise<Map<string, NftObject[]>> {
  const [text = ""] = await listFamilies(machine, ["inet"], { question: true });
  const tables = new Map<string, NftObject[]>();
  for (const object of text === "" ? [] : parseRules(text)) {
    const [[kind, content] = []] = Object.entries(object);
    const { table, name } = content as { table?: string; name?: string };
    const of = kind === "table" ? name : table;
    if (of === undefined) continue;
    if (!tables.has(of)) tables.set(of, []);
    tables.get(of)?.push(object);
  }
  return tables;
}

export function parseRules(text: string): NftObject[] {
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
