import { defineSubsystem } from "../../commit/subsystem.ts";
import { executors } from "./apply.ts";
import type { L4Artefacts } from "./document.ts";
import { type L4Step, planDataPlane } from "./plan.ts";
import { renderFarms } from "./render.ts";
import { observeDataPlane } from "./status.ts";
import { verifyFarms } from "./verify.ts";

export { type BackendStatus, type FarmStatus, readFarmStates, readFarmStatuses } from "./status.ts";
export { type WatchOptions, watchDataPlane } from "./watch.ts";

/** L4xNAT farms, balanced by the kernel's nftables through nftlb. */
export const l4 = defineSubsystem<L4Artefacts, L4Step>({
  name: "l4",
  // Nothing: rules name addresses that need not be there yet, and a network that came up in part must not stop the farms.
  dependsOn: [],
  verify: verifyFarms,
  render: renderFarms,
  observe: observeDataPlane,
  plan: planDataPlane,
  executors,
});
