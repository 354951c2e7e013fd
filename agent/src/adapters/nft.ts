import { SteelyardError } from "../errors.ts";
import type { Machine } from "./machine.ts";

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

/** The tables there are, each as `ip nftlb`. */
export async function listTableNames(machine: Machine): Promise<Set<string>> {
  const { stdout } = await machine.run(["nft", "--json", "list", "tables"], { timeout });
  const { nftables } = JSON.parse(stdout) as { nftables: { table?: { family: string; name: string } }[] };
  return new Set(nftables.flatMap(({ table }) => (table ? [`${table.family} ${table.name}`] : [])));
}

/** Loads rules in one transaction: all of them or none. Fails with nft's own words. */
export async function loadRules(machine: Machine, rules: string): Promise<void> {
  await machine.run(["nft", "--file", "-"], { timeout, input: rules });
}

/** Removes a table. That there is none is no error. */
export async function removeTable(machine: Machine, family: NftFamily, table: string): Promise<void> {
  await loadRules(machine, `table ${family} ${table}\ndelete table ${family} ${table}\n`);
}
