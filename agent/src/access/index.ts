import { defineSubsystem } from "../commit/subsystem.ts";
import { accessExecutors, observeAccess } from "./apply.ts";
import { endangersAccess } from "./endangers.ts";
import { planAccess } from "./plan.ts";
import { renderAccess } from "./render.ts";
import { verifyAccess } from "./verify.ts";

/** The logins of the box: accounts, passwords and SSH keys of users with a shell. */
export const access = defineSubsystem({
  name: "access",
  dependsOn: [],
  verify: verifyAccess,
  render: renderAccess,
  observe: observeAccess,
  plan: planAccess,
  executors: accessExecutors,
  endangers: endangersAccess,
});
