import { createHash } from "node:crypto";
import { z } from "zod";

/** One line of the audit log, and the chain that the lines make: pure. */

export const auditResults = ["done", "refused", "failed"] as const;

const problems = z.array(
  z.object({
    path: z.string().describe("Of the offending field, such as farms.web.ports"),
    message: z.string().describe("What is expected"),
  }),
);

/** What happened, before it has its place in the log. */
export const auditEvent = z.object({
  time: z.iso.datetime().describe("RFC 3339 with milliseconds, UTC"),
  user: z.string().describe("Who; empty for nobody that is known"),
  roles: z.array(z.string()).optional().describe("The roles the user acted with"),
  means: z.string().describe("How the user was known: session, api-key:<prefix>, local, console, agent, none"),
  source: z
    .string()
    .describe(
      "Address of the client (ssh and an address: the command on the box, over SSH), or local, console, answer-file, agent",
    ),
  requestId: z.string().optional().describe("Also in the answer and in the journal"),
  method: z.string().optional().describe("Of the request"),
  operation: z.string().describe("The operationId of the API, or what the agent did by itself"),
  object: z.string().describe("Such as farms/web"),
  result: z.enum(auditResults).describe("refused: nothing changed; failed: it was tried and taken back, or went wrong"),
  status: z.int().optional().describe("The HTTP status"),
  code: z.string().optional().describe("The kind of error"),
  message: z.string().optional().describe("What was done, or why not"),
  problems: problems.optional().describe("Each offending field of a refused change"),
  forced: problems.optional().describe("What would have refused the change, had it not been forced"),
  generation: z.int().optional().describe("The generation that was current afterwards"),
  changes: z
    .array(
      z.object({
        object: z.string().describe("Such as farms/web"),
        change: z.string().describe("added, removed or changed"),
        text: z.string().describe("Unified diff; empty when the diffs of the record are too long"),
      }),
    )
    .optional()
    .describe("Unified diffs of what changed, secrets hidden"),
  omitted: z.int().optional().describe("So many more changes or problems were too many for the record"),
  repeated: z.int().optional().describe("So many more like this one came within the minute and were only counted"),
  removed: z
    .object({ sequence: z.int().describe("Its number"), hash: z.string().describe("Its hash") })
    .optional()
    .describe("The last record that retention removed"),
});

export const auditRecord = z
  .object({
    sequence: z.int().describe("Counts up by one, over all files"),
    ...auditEvent.shape,
    previous: z.string().describe("hash of the record before; 64 zeros for the first"),
    hash: z.string().describe("SHA-256 of this line without this member"),
  })
  .meta({
    id: "AuditRecord",
    examples: [
      {
        sequence: 42,
        time: "2026-01-02T03:04:05.678Z",
        user: "admin",
        roles: ["admin"],
        means: "session",
        source: "192.0.2.7",
        requestId: "2f1c7f0e-4a3c-4f5e-9d50-0f6f3a7b8c11",
        method: "DELETE",
        operation: "deleteFarm",
        object: "farms/web",
        result: "refused",
        status: 404,
        code: "not-found",
        message: "there is no farm web",
        previous: "9b3c5a1f0d7e6c2b8a4f9e3d1c5b7a0f6e2d8c4b9a3f7e1d5c0b6a2f8e4d9c37",
        hash: "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035",
      },
    ],
  });

export type AuditEvent = z.output<typeof auditEvent>;
export type AuditRecord = z.output<typeof auditRecord>;

/** Where a chain stands: what the next record follows. */
export type ChainHead = { sequence: number; hash: string };

export const chainStart: ChainHead = { sequence: 0, hash: "0".repeat(64) };

const hashMember = /,"hash":"([0-9a-f]{64})"\}$/;

/** The line of an event (without its line feed) that follows `head`, and the head it makes. */
export function encodeRecord(event: AuditEvent, head: ChainHead): { line: string; head: ChainHead } {
  const sequence = head.sequence + 1;
  const text = JSON.stringify({ sequence, ...event, previous: head.hash });
  const hash = sha256(text);
  return { line: `${text.slice(0, -1)},"hash":"${hash}"}`, head: { sequence, hash } };
}

/** The record of a line, and whether its hash is that of its text; undefined when it is no record. */
export function decodeRecord(line: string): { record: AuditRecord; genuine: boolean } | undefined {
  const hash = hashMember.exec(line)?.[1];
  if (hash === undefined) return undefined;
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return undefined;
  }
  const parsed = auditRecord.safeParse(raw);
  if (!parsed.success) return undefined;
  const text = `${line.slice(0, -`,"hash":"${hash}"}`.length)}}`;
  return { record: parsed.data, genuine: sha256(text) === hash };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
