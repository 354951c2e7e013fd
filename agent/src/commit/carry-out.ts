import type { Machine } from "../adapters/machine.ts";
import type { Run } from "../adapters/process.ts";
import type { Configuration } from "../configuration/schema.ts";
import { messageOf, type Problem, refuseTaken, SteelyardError } from "../errors.ts";
import type { CommitResult } from "./control.ts";
import { type BoundStep, type Finding, type Manner, refuseErrors, type Subsystem } from "./subsystem.ts";

/** What a commit does with the subsystems, which stand in the order in which they are applied. */

type Done = CommitResult["steps"];

/**
 * What the kernel said to one subsystem serves the next as well, until a step is carried out: several ask nft for its tables, and to start
 * a process is most of what it costs. Netlink is asked each time. A step asks for itself, for it reads back what it has done.
 */
function makePlanner(machine: Machine) {
  const answers = new Map<string, ReturnType<Run>>();
  let planning = false;
  const run: Run = (argv, options) => {
    if (!planning || !options?.question) return machine.run(argv, options);
    const question = JSON.stringify([argv, options.input]);
    const answer = answers.get(question) ?? machine.run(argv, options);
    answers.set(question, answer);
    answer.catch(() => answers.delete(question));
    return answer;
  };
  const asking: Machine = { ...machine, run };
  return {
    async plan(subsystem: Subsystem, configuration: Configuration): Promise<BoundStep[]> {
      planning = true;
      try {
        return await subsystem.plan(configuration, asking);
      } finally {
        planning = false;
      }
    },
    async execute(step: BoundStep, manner: Manner): Promise<void> {
      answers.clear();
      await step.execute(manner);
    },
  };
}

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
  const planner = makePlanner(machine);
  for (const subsystem of subsystems) plans.push(...(await planner.plan(subsystem, wanted)));
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
  const planner = makePlanner(machine);
  const touched: Subsystem[] = [];
  for (const subsystem of subsystems) {
    touched.push(subsystem);
    let step: BoundStep | undefined;
    try {
      for (step of await planner.plan(subsystem, wanted)) {
        await planner.execute(step, manner);
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
  const planner = makePlanner(machine);
  for (const subsystem of subsystems) {
    const missing = subsystem.dependsOn.find((name) => failed.has(name));
    if (missing !== undefined) {
      failed.set(subsystem.name, `${subsystem.name}: waits for ${missing}`);
      continue;
    }
    try {
      for (const step of await planner.plan(subsystem, configuration)) {
        await planner.execute(step, { tolerant: true });
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
