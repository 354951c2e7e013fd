import { defineSubsystem } from "../commit/subsystem.ts";
import { executors, observeFirewall } from "./apply.ts";
import { type FirewallStep, planFirewall } from "./plan.ts";
import { type FirewallArtefacts, renderFirewall } from "./render.ts";
import { verifyFirewall } from "./verify.ts";

/** The base firewall: the box answers its managers where they may manage it, and nobody else. */
export const firewall = defineSubsystem<FirewallArtefacts, FirewallStep>({
  name: "firewall",
  // Nothing: sets name interfaces that need not be there yet, and a network that came up in part must not lock managers out.
  dependsOn: [],
  verify: verifyFirewall,
  render: renderFirewall,
  observe: observeFirewall,
  plan: planFirewall,
  executors,
});
