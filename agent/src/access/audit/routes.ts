import { Readable } from "node:stream";
import { z } from "zod";
import type { Routes } from "../../api/context.ts";
import { problemDocument } from "../../api/problem.ts";
import { type AuditQuery, exportRecords, findRecords } from "./query.ts";
import { auditRecord, auditResults } from "./record.ts";

const url = "/api/v1/access/audit";
const tags = ["Audit"];

const time = z.iso
  .datetime({ offset: true, error: "expected a time like 2026-01-31T08:00:00Z" })
  .transform((text) => new Date(text).toISOString());

const auditQuery = z.strictObject({
  user: z.string().max(64, "expected at most 64 characters").optional().describe("Only records of this user"),
  object: z
    .string()
    .max(256, "expected at most 256 characters")
    .optional()
    .describe("Only this object and those below it, such as farms/web"),
  operation: z.string().max(64, "expected at most 64 characters").optional().describe("Only this operation"),
  result: z
    .enum(auditResults, `expected one of ${auditResults.join(", ")}`)
    .optional()
    .describe("Only this result"),
  from: time.optional().describe("Not before this time (RFC 3339)"),
  to: time.optional().describe("Before this time (RFC 3339)"),
  before: z.coerce
    .number("expected the sequence number of a record")
    .int("expected the sequence number of a record")
    .min(1, "expected the sequence number of a record")
    .optional()
    .describe("Only records before this one: the next of the page before"),
  limit: z.coerce
    .number("expected a whole number from 1 to 1000")
    .int("expected a whole number from 1 to 1000")
    .min(1, "expected a limit from 1 to 1000")
    .max(1000, "expected a limit from 1 to 1000")
    .default(100)
    .describe("Greatest number of records in the answer; an export has no limit"),
  format: z
    .enum(["json", "jsonl"], "expected json or jsonl")
    .default("json")
    .describe("jsonl: every record, oldest first, as its line stands in the log"),
});

const page = z
  .object({
    items: z.array(auditRecord).describe("Newest first"),
    next: z.int().optional().describe("There are more: ask for them with before=<next>"),
  })
  .meta({ id: "AuditPage", examples: [{ items: auditRecord.meta()?.examples ?? [], next: 42 }] });

const report = z
  .object({
    whole: z.boolean().describe("Every record is as it was written, none is missing, none was added"),
    records: z.int().describe("Number of records that were looked at"),
    first: z.int().describe("Sequence number of the oldest record; older ones were removed by retention"),
    last: z.int().describe("Sequence number of the newest record"),
    hash: z.string().describe("Of the newest record: compare it with the one a syslog server got"),
    unwritten: z
      .int()
      .describe("Records that the disk did not take, and that the next one will tell of; 0 while all is well"),
    broken: z
      .object({
        file: z.int().describe("The number in the name of the file"),
        line: z.int().describe("Counted from 1"),
        sequence: z.int().describe("Of the record that is not as it should be, or is missing"),
        reason: z.string().describe("What is wrong with it"),
      })
      .optional()
      .describe("The first place where the chain breaks"),
  })
  .meta({
    id: "AuditReport",
    examples: [
      {
        whole: true,
        records: 42,
        first: 1,
        last: 42,
        hash: "41d0a7c3f9e2b8d5a1c6f0e3b7d9a2c5f8e1b4d6a0c3f7e9b2d5a8c1f4e6b035",
        unwritten: 0,
      },
    ],
  });

/** Who did what, and whether the record of it is whole. */
export const addAuditRoutes: Routes = (app, { audit }) => {
  app.get(url, {
    config: { permission: "audit:read" },
    schema: {
      operationId: "listAuditRecords",
      tags,
      summary: "Read the audit log, newest first, or export it",
      description:
        "Every change, login and refused attempt. With format=jsonl the answer is application/jsonl: the records oldest first, one line each, as they stand in the log.",
      querystring: auditQuery,
      response: {
        200: {
          description: "The records: a page of them, or all as lines",
          content: {
            "application/json": { schema: page },
            "application/jsonl": { schema: z.string().meta({ examples: ['{"sequence":1,"user":"admin"}\n'] }) },
          },
        },
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const { format, ...query } = request.query as z.output<typeof auditQuery>;
      if (format === "json") return await findRecords(audit.log, query as AuditQuery);
      return reply
        .type("application/jsonl")
        .header("Content-Disposition", 'attachment; filename="steelyard-audit.jsonl"')
        .send(Readable.from(exportRecords(audit.log, query as AuditQuery)));
    },
  });

  app.get(`${url}/verify`, {
    config: { permission: "audit:read" },
    schema: {
      operationId: "verifyAuditLog",
      tags,
      summary: "Walk the chain of records and name the first that is not as it was written",
      description: "Also says where the chain ends, to compare with a copy elsewhere. Reads the whole log.",
      response: { 200: report, default: problemDocument },
    },
    handler: async () => await audit.log.verify(),
  });
};
