import { createHash } from "node:crypto";
import type { Machine } from "./machine.ts";
import { listInetTables, type NftObject } from "./nft.ts";

/**
 * A table of family inet that we own whole. An empty chain with a hash in its name says which rules were loaded, so that a
 * change of ours is seen without comparing nft's spelling with ours; the number of rules shows a chain that somebody flushed.
 */
export type NftTable = { name: string; chains: NftChain[] };
/** `base` is the declaration of a base chain: `type filter hook prerouting priority -140; policy accept;`. */
export type NftChain = { name: string; base?: string; rules: string[] };

/** What is in the kernel, or shall be: equal when the tables are. Empty when there is no table. */
export type TableState = { version: string; rules: number } | undefined;

export function stateOf(table: NftTable | undefined): TableState {
  if (table === undefined) return undefined;
  const version = createHash("sha256").update(JSON.stringify(table)).digest("hex").slice(0, 12);
  return { version, rules: table.chains.reduce((sum, { rules }) => sum + rules.length, 0) };
}

/** One transaction that replaces the table; for none, removes it. Chains stand before those that jump to them. */
export function renderTable(name: string, table: NftTable | undefined): string {
  const head = `table inet ${name}\ndelete table inet ${name}\n`;
  if (table === undefined) return head;
  const chains = table.chains.map(({ name, base, rules }) =>
    [
      `\tchain ${name} {`,
      ...(base === undefined ? [] : [`\t\t${base}`]),
      ...rules.map((rule) => `\t\t${rule}`),
      "\t}",
    ].join("\n"),
  );
  return `${head}table inet ${name} {\n\tchain version_${stateOf(table)?.version} {\n\t}\n\n${chains.join("\n\n")}\n}\n`;
}

export async function observeTable(machine: Machine, name: string): Promise<TableState> {
  return (await observeTables(machine, [name]))[name];
}

/** Of any number of tables by one process. */
export async function observeTables(machine: Machine, names: readonly string[]): Promise<Record<string, TableState>> {
  const tables = await listInetTables(machine);
  return Object.fromEntries(names.map((name) => [name, readTable(tables.get(name))]));
}

function readTable(objects: readonly NftObject[] | undefined): TableState {
  if (objects === undefined) return undefined;
  const chains = objects.flatMap(({ chain }) => (chain ? [(chain as { name: string }).name] : []));
  const version = chains.find((name) => name.startsWith("version_"))?.slice("version_".length) ?? "";
  return { version, rules: objects.filter(({ rule }) => rule !== undefined).length };
}
