import { defineSubsystem } from "../commit/subsystem.ts";
import { uplinksExecutors } from "./apply.ts";
import { endangersUplinks } from "./endangers.ts";
import { planUplinks, type UplinksArtefacts, type UplinksStep } from "./plan.ts";
import { renderUplinks } from "./render.ts";
import { observeUplinks } from "./status.ts";
import { verifyUplinks } from "./verify.ts";

export { readUplinkStatuses } from "./status.ts";
export { makeUplinksWatch, type UplinksWatch } from "./watch.ts";

/** Farms of uplinks: which connection takes which way to the world. */
export const dslb = defineSubsystem<UplinksArtefacts, UplinksStep>({
  name: "dslb",
  dependsOn: ["network", "routing"],
  verify: verifyUplinks,
  render: (configuration) => ({ farms: renderUplinks(configuration) }),
  observe: async (machine) => ({ state: await observeUplinks(machine) }),
  plan: planUplinks,
  executors: uplinksExecutors,
  endangers: endangersUplinks,
});
