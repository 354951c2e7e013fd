import type { Machine } from "../adapters/machine.ts";
import type { Configuration } from "../configuration/schema.ts";
import { messageOf, type Problem, refuseTaken, SteelyardError } from "../errors.ts";
import type { CommitResult } from "./control.ts";
import { type BoundStep, type Finding, type Manner, refuseErrors, type Subsystem } from "./subsystem.ts";

/** What a commit does with the subsystems, which stand in the order in which they are applied. */

type Done = CommitResult["steps"];

/** Throws `invalid-configuration` with every error; gives back the warnings. */
export function verify(subsystems: readonly Subsystem[], configuration: Configuration, now: Date): Finding[] {
  const findings = subsystems.flatMap((subsystem) => subsystem.verify(configuration, now));
  refuseErrors(findings);
  return findings;
}

/** Everything that collides with what is around the machine. Throws `address-taken` with it, unless it is tolerated. */
export async function probeAll(
  subsystems: readonly Subsystem[],
  wanted: Configuration,
  machine: Machine,
  tolerant: boolean,
): Promise<Problem[]> {
  const found = await Promise.all(subsystems.map(async (each) => (await each.probe?.(wanted, machine)) ?? []));
  const problems = found.flat();
  if (!tolerant) refuseTaken(problems);
  return problems;
}

/** What would be done to take the machine to a configuration. */
export async function planAll(
  subsystems: readonly Subsystem[],
  wanted: Configuration,
  machine: Machine,
): Promise<Done> {
  const plans = [];
  for (const subsystem of subsystems) plans.push(...(await subsystem.plan(wanted, machine)));
  return plans.map(withoutExecutor);
}

/**
 * Takes the machine to a configuration; when a step fails, back to the one before. Throws `apply-failed`, or `address-taken` when
 * that is why.
 */
export async function applyOrUndo(
  subsystems: readonly Subsystem[],
  wanted: Configuration,
  before: Configuration,
  machine: Machine,
  manner: Manner,
): Promise<Done> {
  const done: Done = [];
  const touched: Subsystem[] = [];
  for (const subsystem of subsystems) {
    touched.push(subsystem);
    let step: BoundStep | undefined;
    try {
      for (step of await subsystem.plan(wanted, machine)) {
        await step.execute(manner);
        done.push(withoutExecutor(step));
      }
    } catch (error) {
      const failed = `${subsystem.name}: ${step?.summary ?? "plan"}: ${messageOf(error)}`;
      const failures = await applyAll(touched, before, machine, "undo");
      const aftermath =
        failures.length === 0 ? "everything was put back" : "putting the old state back failed too; it is tried again";
      const code = error instanceof SteelyardError && error.code === "address-taken" ? error.code : "apply-failed";
      throw new SteelyardError(code, `${failed} (${aftermath})`, {
        problems: error instanceof SteelyardError ? error.problems : [],
        cause: error,
      });
    }
  }
  return done;
}

/** Takes every subsystem as far as it goes: one that fails keeps back only those that depend on it. Returns the failures. */
export async function applyAll(
  subsystems: readonly Subsystem[],
  configuration: Configuration,
  machine: Machine,
  reason: string,
): Promise<string[]> {
  const failed = new Map<string, string>();
  for (const subsystem of subsystems) {
    const missing = subsystem.dependsOn.find((name) => failed.has(name));
    if (missing !== undefined) {
      failed.set(subsystem.name, `${subsystem.name}: waits for ${missing}`);
      continue;
    }
    try {
      for (const step of await subsystem.plan(configuration, machine)) {
        await step.execute({ tolerant: true });
        machine.log.info(`${reason}: ${subsystem.name}: ${step.summary}`);
      }
    } catch (error) {
      const words = `${subsystem.name}: ${messageOf(error)}`;
      machine.log.error(`${reason}: ${words}`);
      failed.set(subsystem.name, words);
    }
  }
  return [...failed.values()];
}

function withoutExecutor({ kind, summary, subsystem }: BoundStep): Done[number] {
  return { kind, summary, subsystem };
}
