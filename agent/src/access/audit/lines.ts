import { type AuditRecord, decodeRecord } from "./record.ts";

/** Lines that are looked at before other work has its turn: some milliseconds. */
export const linesPerTurn = 200;

/** The lines of a file of the log: pure. */
export function splitLines(bytes: Buffer): string[] {
  return bytes.length === 0 ? [] : bytes.toString("utf8").replace(/\n$/, "").split("\n");
}

/** The last one that can be read. */
export function lastRecord(lines: readonly string[]): AuditRecord | undefined {
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    const record = decodeRecord(lines[at] ?? "")?.record;
    if (record) return record;
  }
  return undefined;
}
