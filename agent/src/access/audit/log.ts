import type { LineLog } from "../../adapters/line-log.ts";
import type { Machine } from "../../adapters/machine.ts";
import { makeExclusive } from "../../commit/exclusive.ts";
import { messageOf } from "../../errors.ts";
import { type AuditEvent, type AuditRecord, type ChainHead, chainStart, decodeRecord, encodeRecord } from "./record.ts";
import { type ChainReport, makeChainWalk } from "./verify-chain.ts";

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
  verify(): Promise<ChainReport>;
  /** Each record as it is written, and its line. Gives back how to stop. */
  subscribe(listener: (record: AuditRecord, line: string) => void): () => void;
  head(): ChainHead;
  close(): Promise<void>;
};

/**
 * The audit log: a chain of records over files that only grow.
 *
 * Opening it repairs what a power cut leaves: a last line that was not written whole is cut off, and a record says so. A
 * whole line that is wrong stays as it is, for {@link AuditLog.verify} to name.
 */
export async function openAuditLog(
  files: LineLog,
  { now, log }: Pick<Machine, "now" | "log">,
  limits: AuditLimits = auditLimits,
): Promise<AuditLog> {
  const exclusively = makeExclusive();
  const listeners = new Set<(record: AuditRecord, line: string) => void>();
  let head: ChainHead = chainStart;
  /** The file that grows, by the number of its first record; 0 before there is one. */
  let file = 0;
  let size = 0;
  let lost = 0;
  let recovered = false;

  await exclusively(recover).catch((error) => log.error(`audit: the log cannot be opened: ${messageOf(error)}`));

  async function recover(): Promise<void> {
    const numbers = await files.list();
    file = numbers.at(-1) ?? 0;
    if (file === 0) {
      recovered = true;
      return;
    }
    const text = await files.read(file);
    const end = text.lastIndexOf("\n") + 1;
    const fragment = text.slice(end);
    size = Buffer.byteLength(text.slice(0, end));
    if (fragment !== "") await files.truncate(file, size);
    head = (await findHead(numbers)) ?? chainStart;
    recovered = true;
    if (fragment === "") return;
    const bytes = Buffer.byteLength(fragment);
    log.warn(`audit: the last record was not written whole: ${bytes} bytes removed`);
    await write(ownEvent("auditRepaired", `${bytes} bytes of a record that was not written whole were removed`), true);
  }

  /** The last record that can be read. */
  async function findHead(numbers: readonly number[]): Promise<ChainHead | undefined> {
    for (const number of [...numbers].reverse()) {
      const lines = splitLines(await files.read(number));
      for (const line of lines.reverse()) {
        const record = decodeRecord(line)?.record;
        if (record) return { sequence: record.sequence, hash: record.hash };
      }
    }
    return undefined;
  }

  function ownEvent(operation: string, message: string): AuditEvent {
    const time = now().toISOString();
    return { time, user: "", means: "agent", source: "agent", operation, object: "audit", result: "done", message };
  }

  async function write(event: AuditEvent, sync: boolean): Promise<void> {
    const { line, head: next } = encodeRecord(event, head);
    const length = Buffer.byteLength(line) + 1;
    const rotate = file === 0 || (size > 0 && size + length > limits.file);
    const target = rotate ? next.sequence : file;
    try {
      await files.append(target, `${line}\n`, sync);
    } catch (error) {
      // A part of the line may be there: the next one must not continue it.
      const kept = target === file ? size : 0;
      if ((await files.size(target)) > kept) await files.truncate(target, kept);
      throw error;
    }
    size = (rotate ? 0 : size) + length;
    file = target;
    head = next;
    const record = decodeRecord(line)?.record;
    if (record) for (const listener of listeners) listener(record, line);
    if (rotate) await prune();
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
      const end = lastRecord(splitLines(await files.read(number)));
      const old = end !== undefined && now().getTime() - Date.parse(end.time) > limits.age;
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

  return {
    append: (event, { sync = false } = {}) =>
      exclusively(async () => {
        try {
          if (!recovered) await recover();
          if (lost > 0) {
            const message = `${lost} records could not be written`;
            await write({ ...ownEvent("auditLost", message), result: "failed" }, true);
            lost = 0;
          }
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
        const lines = splitLines(await files.read(number));
        yield* order === "oldest" ? lines : lines.reverse();
      }
    },

    async *linesAfter(sequence) {
      await exclusively(async () => undefined);
      const numbers = await files.list();
      // A file is called by its first record.
      const first = Math.max(numbers.filter((number) => number <= sequence + 1).length - 1, 0);
      for (const number of numbers.slice(first)) yield* splitLines(await files.read(number));
    },

    // Between two records, so that the end of the files is the end the agent knows.
    verify: () =>
      exclusively(async () => {
        const walk = makeChainWalk();
        let place = { file: 0, line: 0 };
        for (const number of await files.list()) {
          const text = await files.read(number);
          for (const [at, line] of splitLines(text).entries()) {
            place = { file: number, line: at + 1 };
            const problem = walk.next(line);
            if (problem) {
              const { records, first, last, hash } = walk.finish(head);
              return { whole: false, records, first, last, hash, broken: { ...place, ...problem } };
            }
          }
          // Let requests through between the files.
          await new Promise((resolve) => setImmediate(resolve));
        }
        const { reason, ...report } = walk.finish(head);
        return reason ? { ...report, broken: { ...place, ...reason } } : report;
      }),

    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    head: () => head,
    close: () => exclusively(() => files.close()),
  };
}

function splitLines(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function lastRecord(lines: readonly string[]): AuditRecord | undefined {
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    const record = decodeRecord(lines[at] ?? "")?.record;
    if (record) return record;
  }
  return undefined;
}
