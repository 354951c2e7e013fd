import type { Machine } from "../adapters/machine.ts";
import type { Configuration } from "../configuration/schema.ts";
import { type Problem, SteelyardError } from "../errors.ts";

/** A finding about a candidate configuration. Errors refuse the commit, warnings travel with its answer. */
export type Finding = Problem & { severity: "error" | "warning" };

export type StepBase = {
  kind: string;
  /** What the step does, for the operator: `add farm web`. Shown by a dry run and when the step fails. */
  summary: string;
};

/** How steps are carried out. */
export type Manner = {
  /**
   * True: what other hosts say is reported and fails no step. So it is at the start, in repairs, when something is put back,
   * and when the operator has forced the change.
   */
  tolerant: boolean;
};

/** A function per kind of step; a kind without one does not compile. */
export type Executors<Step extends StepBase> = {
  [Kind in Step["kind"]]: (step: Extract<Step, { kind: Kind }>, machine: Machine, manner: Manner) => Promise<void>;
};

/**
 * What a subsystem tells the commit pipeline about itself. `Artefacts` is what it gives the machine (files, JSON documents,
 * rule sets); `Step` the union of what it can do to it.
 *
 * verify, render and plan are pure. observe and apply touch the machine, through adapters only.
 */
export type SubsystemDefinition<Artefacts, Step extends StepBase> = {
  name: string;
  /** Names of subsystems that are applied before this one. */
  dependsOn: readonly string[];
  /** Every finding, not the first one. `now` is for what is worth a warning: what was right once does not become an error by waiting. */
  verify(configuration: Configuration, now: Date): Finding[];
  render(configuration: Configuration): Artefacts;
  /**
   * Fills in what only this machine knows, before it is rendered: which cards a pattern means. Its errors refuse a commit; at
   * boot, when a card may be dead, what could be filled in is used all the same.
   */
  localize?(
    configuration: Configuration,
    machine: Machine,
  ): Promise<{ configuration: Configuration; findings: Finding[] }>;
  /** The daemon's own check of the artefacts (`nft -c`, `haproxy -c`), before anything changes. Throws with its words. */
  check?(artefacts: Artefacts, machine: Machine): Promise<void>;
  /**
   * Asks the world around the machine whether the artefacts collide with something, before anything changes: another host
   * has an address. What it finds refuses a commit, unless that is forced; a dry run has it as warnings. Bounded in time.
   */
  probe?(artefacts: Artefacts, machine: Machine): Promise<Problem[]>;
  /** What the machine has now, read from it: the start of every plan, so that drift is mended and undo is a plan too. */
  observe(machine: Machine): Promise<Artefacts>;
  /** The steps from one to the other; none when they are equal. */
  plan(now: Artefacts, wanted: Artefacts): Step[];
  executors: Executors<Step>;
  /**
   * How a change of the configuration can cut off an operator who works over the network, in words for the operator:
   * `the interface nic0 is used for management`. None when it cannot. Pure.
   */
  endangers?(before: Configuration, after: Configuration): string[];
};

/** A subsystem with its types sealed, as the registry holds it. */
export type Subsystem = {
  name: string;
  dependsOn: readonly string[];
  verify(configuration: Configuration, now: Date): Finding[];
  check(configuration: Configuration, machine: Machine): Promise<void>;
  probe?(configuration: Configuration, machine: Machine): Promise<Problem[]>;
  /** The steps that take the machine, as it is now, to the configuration. Bound to their executors. */
  plan(configuration: Configuration, machine: Machine): Promise<BoundStep[]>;
  endangers(before: Configuration, after: Configuration): string[];
};

export type BoundStep = StepBase & { subsystem: string; execute(manner?: Manner): Promise<void> };

/** Seals a definition: steps leave it bound to their executor, so nobody else needs to know their shapes. */
export function defineSubsystem<Artefacts, Step extends StepBase>(
  definition: SubsystemDefinition<Artefacts, Step>,
): Subsystem {
  const { name, dependsOn, executors } = definition;
  const localize = async (configuration: Configuration, machine: Machine) =>
    (await definition.localize?.(configuration, machine)) ?? { configuration, findings: [] };
  let told = "";
  return {
    name,
    dependsOn,
    verify: (configuration, now) => definition.verify(configuration, now),
    endangers: (before, after) => definition.endangers?.(before, after) ?? [],
    check: async (configuration, machine) => {
      const local = await localize(configuration, machine);
      refuseErrors(local.findings);
      await definition.check?.(definition.render(local.configuration), machine);
    },
    probe: async (configuration, machine) => {
      if (!definition.probe) return [];
      const local = await localize(configuration, machine);
      return await definition.probe(definition.render(local.configuration), machine);
    },
    plan: async (configuration, machine) => {
      const local = await localize(configuration, machine);
      const words = local.findings.map(({ path, message }) => `${path}: ${message}`).join("; ");
      // Planning is done again and again: what is odd is told once.
      if (words !== "" && words !== told) machine.log.warn(words);
      told = words;
      const wanted = definition.render(local.configuration);
      const now = await definition.observe(machine);
      return definition.plan(now, wanted).map((step) => ({
        kind: step.kind,
        summary: step.summary,
        subsystem: name,
        // The table is indexed by the step's own kind, so the executor fits the step; TypeScript cannot follow that.
        execute: (manner = { tolerant: false }) =>
          (executors[step.kind as Step["kind"]] as (step: Step, machine: Machine, manner: Manner) => Promise<void>)(
            step,
            machine,
            manner,
          ),
      }));
    },
  };
}

/** Throws `invalid-configuration` when one of the findings is an error, naming all of them. */
export function refuseErrors(findings: readonly Finding[]): void {
  const problems = findings
    .filter(({ severity }) => severity === "error")
    .map(({ path, message }) => ({ path, message }));
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("invalid-configuration", words, { problems });
}
