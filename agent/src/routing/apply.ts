import { families, runBatch, runRemovals } from "../adapters/iproute.ts";
import { loadRules } from "../adapters/nft.ts";
import { renderTable } from "../adapters/nft-table.ts";
import { writeSlots } from "../adapters/route-slots.ts";
import type { Executors } from "../commit/subsystem.ts";
import { marksTable } from "./marks.ts";
import type { RoutingStep } from "./plan.ts";

export const routingExecutors: Executors<RoutingStep> = {
  "remember-slots": async ({ slots }, machine) => await writeSlots(machine, ["interface "], slots),
  "add-routing": async ({ lines }, machine) => {
    for (const family of families) await runBatch(machine, family, lines[family]);
  },
  "load-marks": async ({ table }, machine) => await loadRules(machine, renderTable(marksTable, table)),
  "remove-routing": async ({ lines }, machine) => {
    for (const family of families) await runRemovals(machine, family, lines[family]);
  },
};
