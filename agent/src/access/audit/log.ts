import type { LineLog } from "../../adapters/line-log.ts";
import type { Machine } from "../../adapters/machine.ts";
import { makeExclusive } from "../../commit/exclusive.ts";
import { messageOf } from "../../errors.ts";
import type { Anchor } from "./anchor.ts";
import { lastRecord, splitLines } from "./lines.ts";
import { type AuditEvent, type AuditRecord, type ChainHead, chainStart, decodeRecord, encodeRecord } from "./record.ts";
import { type ChainReport, verifyFiles } from "./verify-chain.ts";

export type AuditLimits = {
  /** Bytes after which a new file begins. */
  file: number;
  /** Bytes of all files together, above which the oldest goes. */
  total: number;
  /** Milliseconds a file is kept after its last record. */
  age: number;
};

/** The data partition has at least 512 MiB; two years are what most rules for keeping such logs ask for. */
export const auditLimits: AuditLimits = { file: 4 * 1024 * 1024, total: 128 * 1024 * 1024, age: 730 * 86_400_000 };

export type AuditLog = {
  /**
   * Adds a record. With `sync` it is on the disk when this returns. Never throws: a log that cannot be written is told to the
   * journal and in the next record that can, and the box goes on.
   */
  append(event: Omit<AuditEvent, "time">, options?: { sync?: boolean }): Promise<void>;
  /** Lines as they stand in the files, from one end of the log to the other. */
  lines(order: "oldest" | "newest"): AsyncGenerator<string>;
  /** Lines from the file on that holds the record after this one, oldest first: some of those before come too. */
  linesAfter(sequence: number): AsyncGenerator<string>;
  verify(): Promise<ChainReport & { unwritten: number }>;
  /** Records that could not be written, and have not been told of in the log yet. */
  unwritten(): number;
  /** Each record as it is written, and its line. Gives back how to stop. */
  subscribe(listener: (record: AuditRecord, line: string) => void): () => void;
  head(): ChainHead;
  close(): Promise<void>;
};

/** Milliseconds from a record to the anchor that vouches for it; by then a refusal is on the disk too. */
const anchorDelay = 5000;
/** Milliseconds that a clock may be put back without a record that says so: steps of a time server that are no event. */
const greatestStep = 1000;
/** Characters of a line that was not written whole, kept in the record of its removal. */
const keptFragment = 1000;
/** Files that go at once because they are old: a clock that jumps years ahead must not take the whole log with it. */
const greatestExpiry = 2;

/**
 * The audit log: a chain of records over files that only grow.
 *
 * Opening it repairs what a power cut leaves: a last line that was not written whole is cut off, and a record says so. A
 * whole line that is wrong stays as it is, for {@link AuditLog.verify} to name. When the log ends before its anchor, the chain
 * goes on behind the anchor: what is missing stays missing for every check.
 */
export async function openAuditLog(
  files: LineLog,
  { now, log }: Pick<Machine, "now" | "log">,
  { limits = auditLimits, anchor }: { limits?: AuditLimits | undefined; anchor?: Anchor } = {},
): Promise<AuditLog> {
  const exclusively = makeExclusive();
  const listeners = new Set<(record: AuditRecord, line: string) => void>();
  let head: ChainHead = chainStart;
  /** The file that grows, by the number of its first record; 0 before there is one. */
  let file = 0;
  let size = 0;
  let lost = 0;
  let recovered = false;
  /** When the last record was written, by the clock of then. */
  let latest = Number.NEGATIVE_INFINITY;
  let anchorTimer: NodeJS.Timeout | undefined;

  await exclusively(recover).catch((error) => log.error(`audit: the log cannot be opened: ${messageOf(error)}`));

  async function recover(): Promise<void> {
    const numbers = await files.list();
    file = numbers.at(-1) ?? 0;
    const bytes = file === 0 ? Buffer.alloc(0) : await files.read(file);
    size = bytes.lastIndexOf("\n") + 1;
    const fragment = bytes.subarray(size);
    if (fragment.length > 0) await files.truncate(file, size);
    const end = await findEnd(numbers);
    head = end ? headOf(end) : chainStart;
    latest = end ? Date.parse(end.time) : latest;
    const known = await anchor?.read();
    const doubt = known && (await compare(known));
    if (known && known.sequence > head.sequence) head = known;
    recovered = true;
    if (fragment.length > 0) await tell("auditRepaired", describeFragment(fragment));
    if (doubt) await tell("auditCut", doubt, "failed");
  }

  /** What is wrong with the end of the log, by where its anchor says that it was. */
  async function compare(known: ChainHead): Promise<string | undefined> {
    if (known.sequence > head.sequence)
      return `the records from ${head.sequence + 1} to ${known.sequence} are missing: the end of the log was taken away`;
    const hash = known.sequence === head.sequence ? head.hash : await findHash(known.sequence);
    if (hash === undefined) return `the record ${known.sequence} is missing`;
    return hash === known.hash ? undefined : `the record ${known.sequence} is not the one that was written`;
  }

  async function findHash(sequence: number): Promise<string | undefined> {
    for await (const line of linesFrom(sequence - 1)) {
      const record = decodeRecord(line)?.record;
      if (record?.sequence === sequence) return record.hash;
    }
    return undefined;
  }

  /** The last record that can be read. */
  async function findEnd(numbers: readonly number[]): Promise<AuditRecord | undefined> {
    for (const number of [...numbers].reverse()) {
      const record = lastRecord(await readLines(number));
      if (record) return record;
    }
    return undefined;
  }

  async function readLines(number: number): Promise<string[]> {
    return splitLines(await files.read(number));
  }

  async function* linesFrom(sequence: number): AsyncGenerator<string> {
    const numbers = await files.list();
    // A file is called by its first record.
    const first = Math.max(numbers.filter((number) => number <= sequence + 1).length - 1, 0);
    for (const number of numbers.slice(first)) yield* await readLines(number);
  }

  function ownEvent(operation: string, message: string, result: AuditEvent["result"] = "done"): AuditEvent {
    const time = now().toISOString();
    return { time, user: "", means: "agent", source: "agent", operation, object: "audit", result, message };
  }

  /** In the log and in the journal. */
  async function tell(operation: string, message: string, result?: AuditEvent["result"]): Promise<void> {
    if (result === "failed") log.error(`audit: ${message}`);
    else log.warn(`audit: ${message}`);
    await write(ownEvent(operation, message, result), true);
  }

  async function tellOfClock(): Promise<void> {
    const back = latest - now().getTime();
    if (back > greatestStep) await tell("clockSetBack", `the clock was set back by ${Math.round(back / 1000)} s`);
  }

  async function write(event: AuditEvent, sync: boolean): Promise<void> {
    const { line, head: next } = encodeRecord(event, head);
    const length = Buffer.byteLength(line) + 1;
    const rotate = file === 0 || (size > 0 && size + length > limits.file);
    const target = rotate ? next.sequence : file;
    try {
      await files.append(target, `${line}\n`, sync);
    } catch (error) {
      // A part of the line may be there: the next one must not continue it. If that cannot be seen to, it is read again.
      recovered = false;
      const kept = target === file ? size : 0;
      if ((await files.size(target)) > kept) await files.truncate(target, kept);
      recovered = true;
      throw error;
    }
    size = (rotate ? 0 : size) + length;
    file = target;
    head = next;
    latest = Date.parse(event.time);
    anchorTimer ??= anchor && setTimeout(() => void exclusively(saveAnchor), anchorDelay).unref();
    const record = decodeRecord(line)?.record;
    if (record) for (const listener of listeners) listener(record, line);
    if (rotate)
      await prune().catch((error) => log.error(`audit: old records could not be removed: ${messageOf(error)}`));
  }

  async function saveAnchor(): Promise<void> {
    if (anchorTimer === undefined) return;
    clearTimeout(anchorTimer);
    anchorTimer = undefined;
    const reached = head;
    try {
      await files.sync();
      await anchor?.write(reached);
    } catch (error) {
      log.warn(`audit: where the log ends could not be noted: ${messageOf(error)}`);
    }
  }

  /** Removes files that are too old or too much. What is removed is said first, so that a gap can be told from a theft. */
  async function prune(): Promise<void> {
    const numbers = await files.list();
    const sizes = await Promise.all(numbers.map((number) => files.size(number)));
    let total = sizes.reduce((sum, each) => sum + each, 0);
    let last: AuditRecord | undefined;
    const doomed: number[] = [];
    for (const [at, number] of numbers.entries()) {
      if (number === file) break;
      const end = lastRecord(await readLines(number));
      const age = end === undefined ? 0 : now().getTime() - Date.parse(end.time);
      const old = age > limits.age && doomed.length < greatestExpiry;
      if (!old && total <= limits.total) break;
      total -= sizes[at] ?? 0;
      last = end ?? last;
      doomed.push(number);
    }
    if (doomed.length === 0) return;
    if (last) {
      const event = ownEvent("auditPruned", `the records up to ${last.sequence} were removed by retention`);
      await write({ ...event, removed: { sequence: last.sequence, hash: last.hash } }, true);
    }
    for (const number of doomed) await files.remove(number);
  }

  /** What is there between two records, so that its end is the end that the agent knows. */
  const snapshot = () =>
    exclusively(async () => {
      const numbers = await files.list();
      const last = numbers.at(-1);
      return { numbers, newest: last === undefined ? [] : await readLines(last), known: head };
    });

  return {
    append: (event, { sync = false } = {}) =>
      exclusively(async () => {
        try {
          if (!recovered) await recover();
          if (lost > 0) {
            await write(ownEvent("auditLost", `${lost} records could not be written`, "failed"), true);
            lost = 0;
          }
          await tellOfClock();
          await write({ time: now().toISOString(), ...event }, sync);
        } catch (error) {
          lost += 1;
          log.error(`audit: a record could not be written: ${messageOf(error)}: ${JSON.stringify(event)}`);
        }
      }),

    async *lines(order) {
      // After the records that are being written now.
      await exclusively(async () => undefined);
      const numbers = await files.list();
      for (const number of order === "oldest" ? numbers : numbers.reverse()) {
        const lines = await readLines(number);
        yield* order === "oldest" ? lines : lines.reverse();
      }
    },

    async *linesAfter(sequence) {
      await exclusively(async () => undefined);
      yield* linesFrom(sequence);
    },

    verify: async () => ({ ...(await verifyFiles(files, snapshot)), unwritten: lost }),
    unwritten: () => lost,

    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    head: () => head,
    close: () =>
      exclusively(async () => {
        await saveAnchor();
        await files.close();
      }),
  };
}

function headOf({ sequence, hash }: AuditRecord): ChainHead {
  return { sequence, hash };
}

function describeFragment(fragment: Buffer): string {
  const text = fragment.toString("utf8").replaceAll("\0", "");
  const shown = text === "" ? "" : `: ${text.slice(0, keptFragment)}${text.length > keptFragment ? "…" : ""}`;
  return `${fragment.length} bytes of a record that was not written whole were removed${shown}`;
}
