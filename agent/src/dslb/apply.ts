import { deleteLabelled } from "../adapters/conntrack.ts";
import { families, runBatch, runRemovals } from "../adapters/iproute.ts";
import { loadRules } from "../adapters/nft.ts";
import { renderTable } from "../adapters/nft-table.ts";
import { writeSlots } from "../adapters/route-slots.ts";
import type { Executors } from "../commit/subsystem.ts";
import type { UplinksStep } from "./plan.ts";

export const uplinksExecutors: Executors<UplinksStep> = {
  "remember-slots": async ({ slots }, machine) => await writeSlots(machine, ["uplink ", "farm "], slots),
  "set-ways": async ({ lines }, machine) => {
    const isHop = (line: string) => line.startsWith("nexthop ");
    for (const family of families) await runBatch(machine, undefined, lines[family].filter(isHop));
    for (const family of families)
      await runBatch(
        machine,
        family,
        lines[family].filter((line) => !isHop(line)),
      );
  },
  "load-table": async ({ name, table }, machine) => await loadRules(machine, renderTable(name, table)),
  "remove-ways": async ({ lines }, machine) => {
    // Nexthops stand last of all, in the first list: every route to them must be gone.
    const hops = lines.ipv4.filter((line) => line.startsWith("nexthop "));
    await runRemovals(
      machine,
      "ipv4",
      lines.ipv4.filter((line) => !line.startsWith("nexthop ")),
    );
    await runRemovals(machine, "ipv6", lines.ipv6);
    await runRemovals(machine, "ipv4", hops);
  },
  "cut-connections": async ({ label }, machine) => await deleteLabelled(machine, label),
};
