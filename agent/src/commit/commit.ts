import type { Machine } from "../adapters/machine.ts";
import { encodeConfiguration } from "../configuration/codec.ts";
import { compareConfigurations, listChanges } from "../configuration/difference.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import type { Generation, Store } from "../configuration/store.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import type { CommitRequest, CommitResult, ConfigurationControl } from "./control.ts";
import { makeAnnouncer } from "./events.ts";
import { makeExclusive } from "./exclusive.ts";
import { orderByDependency } from "./order.ts";
import type { BoundStep, Finding, Subsystem } from "./subsystem.ts";

type Done = CommitResult["steps"];

/**
 * The commit pipeline: verify -> check -> write -> plan and apply, subsystem by subsystem -> adopt; or everything back.
 *
 * The generation is on the disk before the machine changes, so a full disk refuses the commit while nothing has happened; it
 * becomes current after the machine has changed, so a power cut in between boots into the old one, whole.
 */
export function makeControl(store: Store, registry: readonly Subsystem[], machine: Machine): ConfigurationControl {
  const subsystems = orderByDependency(registry);
  const exclusively = makeExclusive();
  const { announce, subscribe } = makeAnnouncer(machine.log);
  const time = () => machine.now().toISOString();
  const currentConfiguration = () => store.current()?.configuration ?? emptyConfiguration();
  const currentNumber = () => store.current()?.metadata.generation ?? 0;

  async function commitOrTell(request: CommitRequest): Promise<CommitResult> {
    try {
      return await commit(request);
    } catch (error) {
      const { author, message, dryRun = false } = request;
      const { code, problems } = error instanceof SteelyardError ? error : { code: "internal" as const, problems: [] };
      const reason = messageOf(error);
      const who = { author: author.user, source: author.source };
      if (!dryRun) announce({ kind: "refused", time: time(), ...who, message, code, reason, problems });
      throw error;
    }
  }

  async function commit({ author, message, change, dryRun = false, madeFrom }: CommitRequest): Promise<CommitResult> {
    if (madeFrom !== undefined && madeFrom !== currentNumber())
      throw new SteelyardError(
        "stale",
        `the change was made from generation ${madeFrom}, and ${currentNumber()} is current: read it again and repeat the change`,
      );
    const before = currentConfiguration();
    const wanted = change(before);
    const warnings = verify(subsystems, wanted);
    const compare = () => compareConfigurations(before, wanted);
    if (store.current() && sameConfiguration(before, wanted))
      return { generation: currentNumber(), warnings, steps: [], compare };
    for (const subsystem of subsystems) await subsystem.check(wanted, machine);
    if (dryRun) return { generation: currentNumber(), warnings, steps: await planAll(wanted), compare };

    const about = { author: author.user, source: author.source, time: time(), message };
    const generation = await store.write(wanted, about);
    const steps = await applyOrUndo(generation, before);
    try {
      await store.adopt(generation);
    } catch (error) {
      await undo(subsystems, before, generation);
      throw new SteelyardError("apply-failed", `the configuration could not be made current: ${messageOf(error)}`, {
        cause: error,
      });
    }
    machine.log.info(`generation ${generation.metadata.generation} by ${author.user} (${author.source}): ${message}`);
    const changes = listChanges(before, wanted);
    announce({ kind: "committed", ...generation.metadata, changes });
    return { generation: generation.metadata.generation, warnings, steps, compare };
  }

  async function planAll(wanted: Configuration): Promise<Done> {
    const plans = [];
    for (const subsystem of subsystems) plans.push(...(await subsystem.plan(wanted, machine)));
    return plans.map(withoutExecutor);
  }

  async function applyOrUndo(generation: Generation, before: Configuration): Promise<Done> {
    const done: Done = [];
    const touched: Subsystem[] = [];
    for (const subsystem of subsystems) {
      touched.push(subsystem);
      let step: BoundStep | undefined;
      try {
        for (step of await subsystem.plan(generation.configuration, machine)) {
          await step.execute();
          done.push(withoutExecutor(step));
        }
      } catch (error) {
        const failed = `${subsystem.name}: ${step?.summary ?? "plan"}: ${messageOf(error)}`;
        const undone = await undo(touched, before, generation);
        const aftermath = undone
          ? "everything was put back"
          : "putting the old state back failed too; it is tried again";
        throw new SteelyardError("apply-failed", `${failed} (${aftermath})`, {
          problems: error instanceof SteelyardError ? error.problems : [],
          cause: error,
        });
      }
    }
    return done;
  }

  /** Applies the old configuration again to what a failed commit touched. True when all of it worked. */
  async function undo(touched: readonly Subsystem[], before: Configuration, generation: Generation): Promise<boolean> {
    const failures = await applyAll(touched, before, "undo");
    await store.discard(generation).catch((error) => machine.log.error(`discarding a generation: ${messageOf(error)}`));
    return failures.length === 0;
  }

  /** Takes every subsystem as far as it goes: one that fails keeps back only those that depend on it. */
  async function applyAll(list: readonly Subsystem[], configuration: Configuration, reason: string): Promise<string[]> {
    const failed = new Map<string, string>();
    for (const subsystem of list) {
      const missing = subsystem.dependsOn.find((name) => failed.has(name));
      if (missing !== undefined) {
        failed.set(subsystem.name, `${subsystem.name}: waits for ${missing}`);
        continue;
      }
      try {
        for (const step of await subsystem.plan(configuration, machine)) {
          await step.execute();
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

  return {
    current: () => ({ generation: currentNumber(), configuration: currentConfiguration() }),
    commit: (request) => exclusively(() => commitOrTell(request)),
    subscribe,
    history: () => store.history(),
    read: async (generation) => (await store.read(generation)).configuration,
    diff: async (from, to) => {
      const [one, other] = await Promise.all([from, to].map(readOrEmpty));
      return compareConfigurations(one as Configuration, other as Configuration);
    },
    rollback: async (generation, author, options = {}) => {
      const { configuration } = await store.read(generation);
      const message = `roll back to generation ${generation}`;
      return await exclusively(() => commitOrTell({ author, message, change: () => configuration, ...options }));
    },
    reconcile: (reason) =>
      exclusively(async () => {
        if (!store.current()) return;
        const failures = await applyAll(subsystems, currentConfiguration(), reason);
        if (failures.length > 0) throw new SteelyardError("apply-failed", failures.join("; "));
      }),
  };

  async function readOrEmpty(generation: number): Promise<Configuration> {
    return generation === 0 ? emptyConfiguration() : (await store.read(generation)).configuration;
  }
}

/** Throws `invalid-configuration` with every error; gives back the warnings. */
function verify(subsystems: readonly Subsystem[], configuration: Configuration): Finding[] {
  const findings = subsystems.flatMap((subsystem) => subsystem.verify(configuration));
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length > 0) {
    const problems = errors.map(({ path, message }) => ({ path, message }));
    const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
    throw new SteelyardError("invalid-configuration", words, { problems });
  }
  return findings;
}

function sameConfiguration(one: Configuration, other: Configuration): boolean {
  if (one === other) return true;
  const files = encodeConfiguration(other);
  const before = encodeConfiguration(one);
  return (
    files.length === before.length &&
    files.every(({ path, text }, at) => before[at]?.path === path && before[at]?.text === text)
  );
}

function withoutExecutor({ kind, summary, subsystem }: BoundStep): Done[number] {
  return { kind, summary, subsystem };
}
