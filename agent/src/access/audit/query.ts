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
  for await (const line of log.lines("newest")) {
    const record = decodeRecord(line)?.record;
    if (!record || !matches(record, query)) continue;
    const last = items.at(-1);
    if (items.length === query.limit && last) return { items, next: last.sequence };
    items.push(record);
  }
  return { items };
}

/** Every line that matches, as it stands, oldest first. Lines that are no record are left to `verify`. */
export async function* exportRecords(log: Pick<AuditLog, "lines">, query: AuditQuery): AsyncGenerator<string> {
  for await (const line of log.lines("oldest")) {
    const record = decodeRecord(line)?.record;
    if (record && matches(record, query)) yield `${line}\n`;
  }
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
