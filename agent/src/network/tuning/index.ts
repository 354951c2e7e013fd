import { defineSubsystem } from "../../commit/subsystem.ts";
import { cardExecutors, checkCards, observeCards } from "./apply.ts";
import { localizeCards } from "./localize.ts";
import { planCards } from "./plan.ts";
import { renderCards } from "./render.ts";
import { verifyCards } from "./verify.ts";

/** Rings, channels, interrupts and offloads of network cards, through ethtool. */
export const cards = defineSubsystem({
  name: "cards",
  // Nothing depends on it either: a card that does not take a setting serves all the same.
  dependsOn: [],
  verify: verifyCards,
  render: renderCards,
  localize: localizeCards,
  check: checkCards,
  observe: observeCards,
  plan: planCards,
  executors: cardExecutors,
});
