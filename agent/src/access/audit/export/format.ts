import type { AuditRecord } from "../record.ts";
import { type AuditTarget, facilities } from "./schema.ts";

/** A record of the audit log as a message of RFC 5424: pure. */

/** Severity of RFC 5424, table 2: notice, warning, error. */
const severities = { done: 5, refused: 4, failed: 3 } as const;
/** RFC 5426, 3.2: what every receiver takes. */
const greatestDatagram = 2048;
/** sequenceId begins again after this (RFC 5424, 7.3.1). */
const greatestSequenceId = 2_147_483_647;

/** A record with the line it is in the log, which its hash is of. */
export type Entry = { record: AuditRecord; line: string };

export function formatRecord({ record, line }: Entry, target: AuditTarget, hostname: string): Buffer {
  const most = target.transport === "udp" ? greatestDatagram : target.maxBytes;
  const header = formatHeader(record, target, hostname);
  const data = formatData(record, target.enterpriseNumber);
  for (const text of texts(record, line, target.format)) {
    // MSG in UTF-8 begins with the BOM (RFC 5424, 6.4).
    const message = Buffer.from(`${header} ${data} \uFEFF${text}`);
    if (message.length <= most) return message;
  }
  const bare = Buffer.from(`${header} ${data}`);
  return bare.length <= most
    ? bare
    : Buffer.from(`${header} ${formatData(record, target.enterpriseNumber, essential)}`);
}

/** What the chain is checked by, and where to look for the rest. */
const essential = new Set(["sequence", "operation", "result", "previous", "hash"]);

/** From the whole to what always fits. */
function texts(record: AuditRecord, line: string, format: AuditTarget["format"]): string[] {
  const sentence = describeRecord(record);
  if (format === "text") return [sentence, sentence.slice(0, 500)];
  const { changes, problems: _problems, ...rest } = record;
  const short = changes?.slice(0, 20).map(({ object, change }) => ({ object, change }));
  return [
    line,
    JSON.stringify({ ...rest, ...(short ? { changes: short } : {}), shortened: true }),
    sentence.slice(0, 500),
  ];
}

function describeRecord({ user, source, operation, object, result, message, code }: AuditRecord): string {
  const why = message ?? code;
  return printable(`${user || "nobody"} from ${source}: ${operation} ${object}: ${result}${why ? `: ${why}` : ""}`);
}

function formatHeader({ result, time, operation }: AuditRecord, { facility }: AuditTarget, hostname: string): string {
  const priority = facilities[facility] * 8 + severities[result];
  return `<${priority}>1 ${time} ${word(hostname, 255)} steelyard - ${word(operation, 32)}`;
}

/** PRINTUSASCII of a length; the nil value for nothing. */
function word(text: string, most: number): string {
  return text.replace(/[^!-~]/g, "").slice(0, most) || "-";
}

function formatData(record: AuditRecord, enterpriseNumber: number, only?: ReadonlySet<string>): string {
  const { sequence, changes } = record;
  const named = changes?.map(({ object, change }) => `${object} ${change}`).join(", ");
  const parameters: [string, string | number | undefined][] = [
    ["sequence", sequence],
    ["user", record.user],
    ["roles", record.roles?.join(",")],
    ["means", record.means],
    ["source", record.source],
    ["requestId", record.requestId],
    ["method", record.method],
    ["operation", record.operation],
    ["object", record.object],
    ["result", record.result],
    ["status", record.status],
    ["code", record.code],
    ["generation", record.generation],
    ["changes", named],
    ["repeated", record.repeated],
    ["previous", record.previous],
    ["hash", record.hash],
  ];
  const own = parameters.flatMap(([name, value]) =>
    value === undefined || (only && !only.has(name)) ? [] : ` ${name}="${escapeValue(String(value))}"`,
  );
  const id = ((sequence - 1) % greatestSequenceId) + 1;
  return `[meta sequenceId="${id}"][steelyard@${enterpriseNumber}${own.join("")}]`;
}

/** RFC 5424, 6.3.3; a field of the log can be as long as its sender liked. */
function escapeValue(value: string): string {
  return printable(value)
    .slice(0, 300)
    .replace(/["\\\]]/g, "\\$&");
}

/** Without what ends a line, moves the cursor or turns the direction of writing in the terminal of whoever reads it. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]+/gu, " ");
}
