import { createHash } from "node:crypto";
import type { Machine } from "./machine.ts";
import { listTable } from "./nft.ts";

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
  const objects = await listTable(machine, "inet", name);
  if (objects === undefined) return undefined;
  let version = "";
  let rules = 0;
  for (const object of objects) {
    const chain = object.chain as { name: string } | undefined;
    if (chain?.name.startsWith("version_")) version = chain.name.slice("version_".length);
    if (object.rule) rules++;
  }
  return { version, rules };
}
