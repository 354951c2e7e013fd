import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../adapters/machine.ts";
import { listenToNetwork } from "../adapters/network-events.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import type { Subsystem } from "../commit/subsystem.ts";
import { messageOf } from "../errors.ts";

/** Milliseconds of quiet after a change of the network before it is looked at, and between two looks that end in a repair. */
const quiet = 150;
const pause = 1_000;

/**
 * Follows the network until the signal: a lease that brings another gateway, an address that comes, a link that returns change
 * what the tables must hold. `subsystems` are those that look at such things. Never throws; what was missed is found by the watch of the data plane.
 */
export async function watchNetwork(
  machine: Machine,
  control: Pick<ConfigurationControl, "current" | "reconcile">,
  subsystems: readonly Subsystem[],
  signal: AbortSignal,
  listen: typeof listenToNetwork = listenToNetwork,
): Promise<void> {
  let wake: (() => void) | undefined;
  let changed = false;
  const note = () => {
    changed = true;
    wake?.();
  };
  try {
    listen(note, signal);
  } catch (error) {
    machine.log.error(`following the network: ${messageOf(error)}`);
    return;
  }
  signal.addEventListener("abort", () => wake?.(), { once: true });
  while (!signal.aborted) {
    if (!changed) await new Promise<void>((resolve) => (wake = resolve));
    wake = undefined;
    await rest(quiet, signal);
    changed = false;
    try {
      const { configuration } = control.current();
      const [step] = (await Promise.all(subsystems.map((each) => each.plan(configuration, machine)))).flat();
      if (!step || signal.aborted) continue;
      machine.log.info(`the network changed: ${step.summary}`);
      await control.reconcile("the network changed");
      await rest(pause, signal);
    } catch (error) {
      machine.log.error(`following the network: ${messageOf(error)}`);
      await rest(pause, signal);
    }
  }
}

async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
}
