import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../adapters/machine.ts";
import type { ConfigurationControl } from "../../commit/control.ts";
import type { Subsystem } from "../../commit/subsystem.ts";
import { messageOf } from "../../errors.ts";
import { isFed } from "./status.ts";

export type WatchOptions = {
  /** Subsystems whose full comparison is made now and then: this one and, for example, the firewall. */
  subsystems: readonly Subsystem[];
  /** Ends the watch. */
  signal: AbortSignal;
  /** Milliseconds between two looks at nftlb: does it answer, and does it still have what it was given? */
  interval?: number;
  /** Milliseconds between two full comparisons of the machine with the configuration. */
  comparison?: number;
};

type Control = Pick<ConfigurationControl, "current" | "reconcile">;

/**
 * Watches the data plane until the signal, and has it repaired when it is not what is configured: nftlb died and came back
 * empty, or somebody changed rules by hand. A look in between two steps of a commit may find a difference as well: the repair
 * then waits for the commit, plans anew, and finds nothing to do.
 *
 * A repair that fails is tried again after twice the time, at most a minute: what cannot be mended must not keep commits
 * waiting. The two looks wait apart from each other, so that a subsystem that stays broken does not delay nftlb's return.
 * Never throws.
 */
export async function watchDataPlane(
  machine: Machine,
  control: Control,
  { subsystems, signal, interval = 1_500, comparison = 10_000 }: WatchOptions,
): Promise<void> {
  const looks = [
    { find: () => findLoss(machine, control), every: interval, pause: interval, next: 0 },
    {
      find: () => findDrift(machine, control, subsystems),
      every: comparison,
      pause: comparison,
      next: Date.now() + comparison,
    },
  ];
  while (await rest(interval, signal)) {
    for (const look of looks) {
      if (Date.now() < look.next || signal.aborted) continue;
      const succeeded = await repair(machine, control, look.find);
      look.pause = succeeded ? look.every : Math.min(look.pause * 2, 60_000);
      // Less than a whole turn early is on time: timers come late, never early.
      look.next = Date.now() + look.pause - interval / 2;
    }
  }
}

/** Repairs when there is a reason. False when it failed. */
async function repair(machine: Machine, control: Control, find: () => Promise<string | undefined>): Promise<boolean> {
  try {
    const reason = await find();
    if (reason === undefined) return true;
    machine.log.warn(`repairing the data plane: ${reason}`);
    await control.reconcile(reason);
    return true;
  } catch (error) {
    machine.log.error(`watching the data plane: ${messageOf(error)}`);
    return false;
  }
}

/** False when the signal came. */
async function rest(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal, ref: false });
    return !signal.aborted;
  } catch {
    return false;
  }
}

async function findLoss(machine: Machine, control: Pick<ConfigurationControl, "current">): Promise<string | undefined> {
  const { farms } = control.current().configuration;
  const farm = Object.keys(farms).find((name) => farms[name]?.profile === "l4xnat" && farms[name].enabled);
  if (farm === undefined) return undefined;
  const fed = await isFed(machine, farm);
  return fed ? undefined : "nftlb stopped or started anew";
}

async function findDrift(
  machine: Machine,
  control: Control,
  subsystems: readonly Subsystem[],
): Promise<string | undefined> {
  const { configuration } = control.current();
  for (const subsystem of subsystems) {
    const [step] = await subsystem.plan(configuration, machine);
    if (step) return `${subsystem.name} is not as configured: ${step.summary}`;
  }
  return undefined;
}
