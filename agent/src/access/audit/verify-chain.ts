import { setImmediate } from "node:timers/promises";
import type { LineLog } from "../../adapters/line-log.ts";
import { linesPerTurn, splitLines } from "./lines.ts";
import { type ChainHead, chainStart, decodeRecord } from "./record.ts";

export type ChainReport = {
  /** True when every record is as it was written, none is missing and none was added. */
  whole: boolean;
  /** Number of records that were looked at. */
  records: number;
  first: number;
  last: number;
  /** Of the last record: compare it with the one a syslog server got. */
  hash: string;
  /** The first place where the chain breaks. */
  broken?: { file: number; line: number; sequence: number; reason: string };
};

/** The files at one moment, the lines of the newest, and the end of the chain then. */
export type Snapshot = { numbers: readonly number[]; newest: readonly string[]; known: ChainHead };

/** Checks what was there at a moment; records may follow meanwhile. */
export async function verifyFiles(
  files: Pick<LineLog, "list" | "read">,
  take: () => Promise<Snapshot>,
): Promise<ChainReport> {
  const { numbers, newest, known } = await take();
  const walk = makeChainWalk();
  let place = { file: 0, line: 0 };
  for (const [index, number] of numbers.entries()) {
    const lines = index === numbers.length - 1 ? newest : splitLines(await files.read(number));
    // Retention took it meanwhile.
    if (lines.length === 0 && !(await files.list()).includes(number)) return await verifyFiles(files, take);
    for (const [at, line] of lines.entries()) {
      if (at % linesPerTurn === 0) await setImmediate();
      place = { file: number, line: at + 1 };
      const problem = walk.next(line);
      if (!problem) continue;
      const { records, first, last, hash } = walk.finish(known);
      return { whole: false, records, first, last, hash, broken: { ...place, ...problem } };
    }
  }
  const { reason, ...report } = walk.finish(known);
  return reason ? { ...report, broken: { ...place, ...reason } } : report;
}

/** Walks a chain line by line, oldest first: `next` gives the reason when the line does not belong there. */
export function makeChainWalk() {
  let head: ChainHead | undefined;
  let first: ChainHead | undefined;
  let beginning = 0;
  let removed: ChainHead | undefined;
  let records = 0;

  return {
    /** Undefined when the line follows the one before. */
    next(line: string): { sequence: number; reason: string } | undefined {
      const expected = head === undefined ? undefined : head.sequence + 1;
      const decoded = decodeRecord(line);
      if (!decoded) return { sequence: expected ?? 0, reason: "this is no record" };
      const { record, genuine } = decoded;
      const { sequence } = record;
      if (!genuine) return { sequence, reason: "its text is not the one that was written" };
      if (head === undefined) {
        first = { sequence: sequence - 1, hash: record.previous };
        beginning = sequence;
      } else if (sequence !== expected) {
        return { sequence: expected ?? 0, reason: `the record is missing: ${sequence} stands in its place` };
      } else if (record.previous !== head.hash) {
        return { sequence, reason: "it does not follow the record before it" };
      }
      head = { sequence, hash: record.hash };
      if (record.removed) removed = record.removed;
      records += 1;
      return undefined;
    },

    /** After the last line. `known` is the end that the running agent wrote. */
    finish(known: ChainHead): Omit<ChainReport, "broken"> & { reason?: { sequence: number; reason: string } } {
      const end = head ?? chainStart;
      const counts = { records, first: beginning, last: end.sequence, hash: end.hash };
      const fail = (sequence: number, reason: string) => ({ ...counts, whole: false, reason: { sequence, reason } });
      if (end.sequence < known.sequence)
        return fail(end.sequence + 1, `the record is missing, as are all up to ${known.sequence}`);
      if (end.sequence > known.sequence || end.hash !== known.hash)
        return fail(end.sequence, "it was not written by the agent");
      // What retention removed is said in a later record; anything else that is missing at the beginning was taken away.
      if (first && first.sequence > 0 && !reaches(removed, first))
        return fail(first.sequence, "the record is missing, and retention did not remove it");
      if (first?.sequence === 0 && first.hash !== chainStart.hash) return fail(1, "the first record follows another");
      return { ...counts, whole: true };
    },
  };
}

/** True when the removed records are exactly those before `first`, or more (a removal that was cut off). */
function reaches(removed: ChainHead | undefined, first: ChainHead): boolean {
  if (!removed) return false;
  if (removed.sequence === first.sequence) return removed.hash === first.hash;
  return removed.sequence > first.sequence;
}
