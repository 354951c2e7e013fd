import { isFull } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { encodeConfiguration } from "../configuration/codec.ts";
import { compareConfigurations, listChanges } from "../configuration/difference.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import type { Store } from "../configuration/store.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { applyAll, applyOrUndo, planAll, probeAll, verify } from "./carry-out.ts";
import {
  type Confirmation,
  decideConfirmation,
  refuseWhilePending,
  showPending,
  warnOfPending,
} from "./confirmation.ts";
import type { Author, CommitRequest, CommitResult, ConfigurationControl } from "./control.ts";
import { makeAnnouncer } from "./events.ts";
import { makeExclusive } from "./exclusive.ts";
import { orderByDependency } from "./order.ts";
import { makeReversal } from "./reversal.ts";
import type { Finding, Manner, Subsystem } from "./subsystem.ts";

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
  const pending = () => {
    const record = store.pending();
    return record && showPending(record, machine.now(), machine.bootClock.seconds());
  };
  const damage = store.damage();
  if (damage) announce({ kind: "configuration-damaged", time: time(), ...damage });
  const reversal = makeReversal({ store, subsystems, machine, exclusively, announce });

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

  async function commit(request: CommitRequest): Promise<CommitResult> {
    const { author, message, change, dryRun = false, madeFrom, force = false } = request;
    if (!dryRun) refuseWhilePending(pending());
    refuseStale(madeFrom, currentNumber());
    const before = currentConfiguration();
    const wanted = change(before);
    const warnings = verify(subsystems, wanted, machine.now());
    const compare = () => compareConfigurations(before, wanted);
    const fresh = store.current() === undefined;
    // After damage even the same configuration makes a generation: by that an operator keeps the one that stands in.
    if (!fresh && !store.damage() && sameConfiguration(before, wanted))
      return { generation: currentNumber(), warnings, steps: [], compare, reasons: [], confirmWithin: 0 };
    for (const subsystem of subsystems) await subsystem.check(wanted, machine);
    const confirmation = fresh
      ? { minutes: request.confirmWithin ?? 0, reasons: [] }
      : decideConfirmation(subsystems, before, wanted, request);
    const { minutes: confirmWithin, reasons } = confirmation;
    const taken = await probeAll(subsystems, wanted, machine, dryRun || force);
    const asWarnings = taken.map((each): Finding => ({ severity: "warning", ...each }));
    const waiting = dryRun ? warnOfPending(pending()) : [];
    const about = { warnings: [...waiting, ...warnings, ...asWarnings], compare, reasons, confirmWithin };
    if (dryRun) return { generation: currentNumber(), steps: await planAll(subsystems, wanted, machine), ...about };
    for (const { path, message: words } of taken)
      machine.log.warn(`forced by ${author.user} (${author.source}): ${path}: ${words}`);
    const landed = await land(wanted, before, author, message, { ...confirmation, tolerant: force });
    return { ...landed, ...about, ...(taken.length > 0 ? { forced: taken } : {}) };
  }

  /** Writes, applies and adopts: what comes after every reason to refuse. */
  async function land(
    wanted: Configuration,
    before: Configuration,
    author: Author,
    message: string,
    confirmation: Confirmation & Manner,
  ): Promise<Pick<CommitResult, "generation" | "steps" | "pending">> {
    const generation = await store.write(wanted, { author: author.user, source: author.source, time: time(), message });
    const { metadata } = generation;
    let steps: CommitResult["steps"];
    try {
      steps = await applyOrUndo(subsystems, wanted, before, machine, { tolerant: confirmation.tolerant });
      await store.adopt(generation, reversal.record(metadata, confirmation)).catch(async (error) => {
        await applyAll(subsystems, before, machine, "undo");
        const words = `the configuration could not be made current: ${messageOf(error)}`;
        throw new SteelyardError(isFull(error) ? "disk-full" : "apply-failed", words, { cause: error });
      });
    } catch (error) {
      await store.discard(generation).catch((each) => machine.log.error(`discarding a generation: ${messageOf(each)}`));
      throw error;
    }
    machine.log.info(`generation ${metadata.generation} by ${author.user} (${author.source}): ${message}`);
    announce({ kind: "committed", ...metadata, changes: listChanges(before, wanted) });
    const waiting = pending();
    if (!waiting) return { generation: metadata.generation, steps };
    machine.log.warn(`generation ${metadata.generation} goes back at ${waiting.deadline} unless it is confirmed`);
    announce({ kind: "awaiting-confirmation", ...waiting });
    reversal.watch();
    return { generation: metadata.generation, steps, pending: waiting };
  }

  async function confirm(author: Author, generation?: number) {
    const waiting = requirePending(pending());
    if (generation !== undefined && generation !== waiting.generation)
      throw new SteelyardError("stale", `generation ${waiting.generation} awaits confirmation, not ${generation}`);
    await store.settle();
    machine.log.info(`generation ${waiting.generation} confirmed by ${author.user} (${author.source})`);
    const who = { author: author.user, source: author.source };
    announce({ kind: "confirmed", time: time(), generation: waiting.generation, ...who });
    return waiting;
  }

  async function revert(author: Author): Promise<CommitResult> {
    requirePending(pending());
    const before = currentConfiguration();
    const { generation, steps } = await reversal.goBack("asked", author);
    const compare = () => compareConfigurations(before, currentConfiguration());
    return { generation, steps, warnings: [], compare, reasons: [], confirmWithin: 0 };
  }

  return {
    current: () => ({ generation: currentNumber(), configuration: currentConfiguration() }),
    commit: (request) => exclusively(() => commitOrTell(request)),
    pending,
    confirm: (author, generation) => exclusively(() => confirm(author, generation)),
    revert: (author) => exclusively(() => revert(author)),
    resume: () => reversal.resume(),
    subscribe,
    damage: () => store.damage(),
    history: () => store.history(),
    verify: () => store.verify(),
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
        const failures = await applyAll(subsystems, currentConfiguration(), machine, reason);
        if (failures.length > 0) throw new SteelyardError("apply-failed", failures.join("; "));
      }),
  };

  async function readOrEmpty(generation: number): Promise<Configuration> {
    return generation === 0 ? emptyConfiguration() : (await store.read(generation)).configuration;
  }
}

function refuseStale(madeFrom: number | undefined, current: number): void {
  if (madeFrom === undefined || madeFrom === current) return;
  const words = `the change was made from generation ${madeFrom}, and ${current} is current: read it again and repeat the change`;
  throw new SteelyardError("stale", words);
}

function requirePending<Pending>(pending: Pending | undefined): Pending {
  if (pending) return pending;
  throw new SteelyardError("not-found", "no change awaits its confirmation");
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
