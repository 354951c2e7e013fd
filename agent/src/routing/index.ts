import { defineSubsystem } from "../commit/subsystem.ts";
import { routingExecutors } from "./apply.ts";
import { endangersRouting } from "./endangers.ts";
import { planRouting, type RoutingArtefacts, type RoutingStep } from "./plan.ts";
import { renderRouting } from "./render.ts";
import { observeRouting } from "./status.ts";
import { verifyRouting } from "./verify.ts";

export { readRoutes, readRules } from "./status.ts";
export { watchNetwork } from "./watch.ts";

/** Routing tables, rules and routes, and the way back of answers; through iproute2 and nftables. */
export const routing = defineSubsystem<RoutingArtefacts, RoutingStep>({
  name: "routing",
  dependsOn: ["network"],
  verify: verifyRouting,
  render: (configuration) => ({ intent: renderRouting(configuration) }),
  observe: async (machine) => ({ state: await observeRouting(machine) }),
  plan: planRouting,
  executors: routingExecutors,
  endangers: endangersRouting,
});
