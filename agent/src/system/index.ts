import { defineSubsystem } from "../commit/subsystem.ts";
import { checkSsh, observeSystem, systemExecutors } from "./apply.ts";
import { endangersSystem } from "./endangers.ts";
import { planSystem } from "./plan.ts";
import { renderSystem } from "./render.ts";
import { verifySystem } from "./verify.ts";

/** Host name, DNS, time and SSH. */
export const system = defineSubsystem({
  name: "system",
  // sshd and its keys first need the accounts they let in.
  dependsOn: ["access"],
  verify: verifySystem,
  render: renderSystem,
  check: checkSsh,
  observe: observeSystem,
  plan: planSystem,
  executors: systemExecutors,
  endangers: endangersSystem,
});
