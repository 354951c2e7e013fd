import { readTextIfExists } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { listInetTables, loadRules, type NftObject } from "../adapters/nft.ts";
import type { Executors } from "../commit/subsystem.ts";
import { SteelyardError } from "../errors.ts";
import type { FirewallStep } from "./plan.ts";
import { type FirewallArtefacts, renderManagementRules } from "./render.ts";

export const baseTableFile = "/usr/lib/steelyard/nft/base.nft";

export const executors: Executors<FirewallStep> = {
  // Two transactions: nft 1.1.3 crashes on one that makes a set anew and then flushes it. In between, management is closed.
  "load-base-table": async ({ management }, machine) => {
    await loadRules(machine, await readBaseTable(machine));
    await loadRules(machine, renderManagementRules(management));
  },
  "set-management": async ({ management }, machine) => await loadRules(machine, renderManagementRules(management)),
};

async function readBaseTable(machine: Machine): Promise<string> {
  const text = await readTextIfExists(machine.path(baseTableFile));
  if (text === undefined) throw new SteelyardError("internal", `${baseTableFile} is missing`);
  return text;
}

/** The base table as the kernel has it. */
export async function observeFirewall(machine: Machine): Promise<FirewallArtefacts> {
  const objects = (await listInetTables(machine)).get("steelyard_base");
  if (objects === undefined)
    return { table: { state: "missing" }, management: { interfaces: [], isolated: [], ports: [] } };
  return readBaseObjects(objects);
}

type Chain = { name: string; hook?: string; policy?: string };
type Set = { name: string; elem?: (string | number)[] };

/** Chains whose loss opens or breaks the box: with their hook, their policy, and whether they hold rules. */
const essential = [
  { name: "input", hook: "input", policy: "drop", rules: true },
  { name: "forward", hook: "forward", policy: "drop", rules: true },
  { name: "absent", hook: "prerouting", policy: "accept", rules: true },
  { name: "prerouting", hook: "prerouting", policy: "accept", rules: false },
  { name: "postrouting", hook: "postrouting", policy: "accept", rules: false },
];

export function readBaseObjects(objects: readonly NftObject[]): FirewallArtefacts {
  const chains = objects.flatMap(({ chain }) => (chain ? [chain as Chain] : []));
  const sets = objects.flatMap(({ set }) => (set ? [set as Set] : []));
  const ruled = new globalThis.Set(objects.flatMap(({ rule }) => (rule ? [(rule as { chain: string }).chain] : [])));
  const damage = essential.find(({ name, hook, policy, rules }) => {
    const chain = chains.find((each) => each.name === name);
    return chain?.hook !== hook || chain.policy !== policy || (rules && !ruled.has(name));
  });
  const elements = (name: string) => sets.find((each) => each.name === name)?.elem ?? [];
  return {
    table: damage ? { state: "altered", reason: `its chain ${damage.name} was changed` } : { state: "loaded" },
    management: {
      interfaces: elements("management_interfaces").map(String).sort(),
      isolated: elements("isolated_interfaces").map(String).sort(),
      ports: elements("management_ports")
        .map(Number)
        .sort((one, other) => one - other),
    },
  };
}
