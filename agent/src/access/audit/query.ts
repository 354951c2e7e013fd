import { setImmediate } from "node:timers/promises";
import { linesPerTurn } from "./lines.ts";
import type { AuditLog } from "./log.ts";
import { type AuditRecord, type auditResults, decodeRecord } from "./record.ts";

export type AuditQuery = {
  user?: string;
  /** It and those below it. */
  object?: string;
  operation?: string;
  result?: (typeof auditResults)[number];
  /** RFC 3339, UTC: from this moment, and before that one. */
  from?: string;
  to?: string;
  /** Sequence number: only records before it. */
  before?: number;
  limit: number;
};

/** The newest records that match, and where the next page begins. */
export async function findRecords(
  log: Pick<AuditLog, "lines">,
  query: AuditQuery,
): Promise<{ items: AuditRecord[]; next?: number }> {
  const items: AuditRecord[] = [];
  for await (const { record } of search(log, "newest", query)) {
    const last = items.at(-1);
    if (items.length === query.limit && last) return { items, next: last.sequence };
    items.push(record);
  }
  return { items };
}

/** Every line that matches, as it stands, oldest first. Lines that are no record are left to `verify`. */
export async function* exportRecords(log: Pick<AuditLog, "lines">, query: AuditQuery): AsyncGenerator<string> {
  for await (const { line } of search(log, "oldest", query)) yield `${line}\n`;
}

async function* search(
  log: Pick<AuditLog, "lines">,
  order: "oldest" | "newest",
  query: AuditQuery,
): AsyncGenerator<{ line: string; record: AuditRecord }> {
  const words = wordsOf(query);
  let seen = 0;
  for await (const line of log.lines(order)) {
    seen += 1;
    if (seen % linesPerTurn === 0) await setImmediate();
    if (!words.every((each) => line.includes(each))) continue;
    const record = decodeRecord(line)?.record;
    if (record && matches(record, query)) yield { line, record };
  }
}

/** What stands in the line of each record that matches, as `encodeRecord` writes it: most lines need not be parsed. */
function wordsOf({ user, object, operation, result }: AuditQuery): string[] {
  const members = Object.entries({ user, operation, result }).filter(([, value]) => value !== undefined);
  const words = members.map(([name, value]) => `"${name}":${JSON.stringify(value)}`);
  // Those below it begin with the same words, and the quotation mark at the end is missing.
  return object === undefined ? words : [...words, `"object":${JSON.stringify(object).slice(0, -1)}`];
}

function matches(record: AuditRecord, { user, object, operation, result, from, to, before }: AuditQuery): boolean {
  return (
    (user === undefined || record.user === user) &&
    (object === undefined || record.object === object || record.object.startsWith(`${object}/`)) &&
    (operation === undefined || record.operation === operation) &&
    (result === undefined || record.result === result) &&
    (from === undefined || record.time >= from) &&
    (to === undefined || record.time < to) &&
    (before === undefined || record.sequence < before)
  );
}
