import type { Machine } from "../adapters/machine.ts";
import type { PendingRecord } from "../configuration/pending.ts";
import { emptyConfiguration } from "../configuration/schema.ts";
import type { Generation, Store } from "../configuration/store.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { applyAll, planAll } from "./carry-out.ts";
import type { Confirmation } from "./confirmation.ts";
import type { Author, CommitResult, ControlEvent, GenerationMetadata } from "./control.ts";
import type { Announcer } from "./events.ts";
import type { makeExclusive } from "./exclusive.ts";
import type { Subsystem } from "./subsystem.ts";

type Reason = Extract<ControlEvent, { kind: "reverted" }>["reason"];

export type Reversal = {
  /** The record of a commit that has to be confirmed. */
  record(metadata: GenerationMetadata, confirmation: Confirmation): PendingRecord | undefined;
  /** Takes the pending commit back. For whoever has the commit's turn. */
  goBack(reason: Reason, author: Author): Promise<Pick<CommitResult, "generation" | "steps">>;
  /** Looks at the time until nothing is pending any more. */
  watch(): void;
  /** What is to be done about a commit that was pending when the agent stopped. */
  resume(): Promise<void>;
};

/** Milliseconds between two looks at the time: a timer of the whole wait would stand still while the machine is suspended. */
const interval = 1000;

/**
 * Takes back commits that nobody confirmed.
 *
 * A restart of the machine counts as no: whoever cannot reach a box turns it off and on. A restart of the agent alone does
 * not, the time goes on. The confirmed generation is current, durably, before the machine is changed: what fails then is
 * tried again by whoever watches for drift, and a power cut boots into it.
 */
export function makeReversal(parts: {
  store: Store;
  subsystems: readonly Subsystem[];
  machine: Machine;
  exclusively: ReturnType<typeof makeExclusive>;
  announce: Announcer["announce"];
}): Reversal {
  const { store, subsystems, machine, exclusively, announce } = parts;
  let timer: NodeJS.Timeout | undefined;

  function record(metadata: GenerationMetadata, { minutes, reasons }: Confirmation): PendingRecord | undefined {
    if (minutes === 0) return undefined;
    const { generation, parent, author, source, message, time } = metadata;
    const until = machine.bootClock.seconds() + minutes * 60;
    return { generation, parent, author, source, message, time, reasons, boot: machine.bootClock.boot(), until };
  }

  async function goBack(reason: Reason, author: Author): Promise<Pick<CommitResult, "generation" | "steps">> {
    const { generation: from, parent } = store.pending() as PendingRecord;
    // Before the first generation there was none: the first boot begins again.
    const confirmed = parent === 0 ? undefined : await readConfirmed(from, parent);
    const to = confirmed?.metadata.generation ?? 0;
    const configuration = confirmed?.configuration ?? emptyConfiguration();
    const generation = confirmed ? await adoptAgain(confirmed, describe(reason, from, to), author) : 0;
    if (!confirmed) await store.abandon();
    // At a start the machine is brought to the configuration as a whole, and has nothing of the unconfirmed one.
    const steps = reason === "restart" ? [] : await planAll(subsystems, configuration, machine).catch(() => []);
    if (reason !== "restart") await applyAll(subsystems, configuration, machine, "going back");
    machine.log.warn(describe(reason, from, to));
    const who = { author: author.user, source: author.source };
    announce({ kind: "reverted", time: machine.now().toISOString(), generation, from, to, reason, ...who });
    return { generation, steps };
  }

  /** The parent; should it be damaged, the newest whole generation before it. */
  async function readConfirmed(from: number, parent: number): Promise<Generation> {
    const older = (await store.history()).map(({ generation }) => generation).filter((each) => each < from);
    for (const number of [parent, ...older.filter((each) => each !== parent)]) {
      try {
        return await store.read(number);
      } catch (error) {
        machine.log.error(`generation ${number} cannot come back: ${messageOf(error)}`);
      }
    }
    throw new SteelyardError("corrupt", `no generation before ${from} can be read`);
  }

  /** As a new generation, so that the history tells what happened; when the disk is full, the old one itself. */
  async function adoptAgain(confirmed: Generation, message: string, author: Author): Promise<number> {
    const about = { author: author.user, source: author.source, time: machine.now().toISOString(), message };
    let generation = confirmed;
    try {
      generation = await store.write(confirmed.configuration, about);
    } catch (error) {
      machine.log.error(`going back without a new generation: ${messageOf(error)}`);
    }
    await store.adopt(generation);
    return generation.metadata.generation;
  }

  function watch(): void {
    if (timer) return;
    let busy = false;
    timer = setInterval(() => {
      if (!store.pending()) return stop();
      if (busy || !isDue()) return;
      busy = true;
      exclusively(goBackWhenDue)
        .catch((error) => machine.log.error(`going back: ${messageOf(error)}`))
        .finally(() => {
          busy = false;
        });
    }, interval).unref();
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  function isDue(): boolean {
    const pending = store.pending();
    return pending !== undefined && machine.bootClock.seconds() >= pending.until;
  }

  /** It may have been confirmed while this waited for its turn. */
  async function goBackWhenDue(): Promise<void> {
    if (isDue()) await goBack("time-out", { user: "steelyard", source: "timer" });
  }

  return {
    record,
    goBack,
    watch,
    resume: () =>
      exclusively(async () => {
        const pending = store.pending();
        if (!pending) return;
        if (pending.boot !== machine.bootClock.boot()) await goBack("restart", { user: "steelyard", source: "boot" });
        else await goBackWhenDue();
        if (store.pending()) watch();
      }),
  };
}

function describe(reason: Reason, from: number, to: number): string {
  const back = to === 0 ? "back to the first boot" : `back to generation ${to}`;
  if (reason === "asked") return `generation ${from} was taken back: ${back}`;
  if (reason === "restart") return `generation ${from} was not confirmed before the restart: ${back}`;
  return `generation ${from} was not confirmed in time: ${back}`;
}
