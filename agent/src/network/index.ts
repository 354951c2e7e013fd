import { defineSubsystem } from "../commit/subsystem.ts";
import { checkInterfaces, networkExecutors, observeNetwork } from "./apply.ts";
import { endangersNetwork } from "./endangers.ts";
import { localizeNetwork } from "./localize.ts";
import { probeAddresses } from "./neighbours/take.ts";
import { planNetwork } from "./plan.ts";
import { renderNetwork } from "./render.ts";
import { verifyNetwork } from "./verify.ts";

/** Interfaces and virtual addresses, through systemd-networkd. */
export const network = defineSubsystem({
  name: "network",
  dependsOn: [],
  verify: verifyNetwork,
  render: renderNetwork,
  localize: localizeNetwork,
  check: checkInterfaces,
  probe: probeAddresses,
  observe: observeNetwork,
  plan: planNetwork,
  executors: networkExecutors,
  endangers: endangersNetwork,
});
