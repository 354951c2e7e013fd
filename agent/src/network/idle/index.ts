import { defineSubsystem } from "../../commit/subsystem.ts";
import { localizeNetwork } from "../localize.ts";
import { idleExecutors, observeIdle } from "./apply.ts";
import { planIdle } from "./plan.ts";
import { renderIdle } from "./render.ts";

/** Cards that nothing in the configuration uses: down, or up to be looked at. */
export const idleCards = defineSubsystem({
  name: "idle-cards",
  dependsOn: [],
  verify: () => [],
  render: renderIdle,
  localize: localizeNetwork,
  observe: observeIdle,
  plan: planIdle,
  executors: idleExecutors,
});
