import { z } from "zod";
import { addCollection, type CollectionDefinition } from "../../../api/collection.ts";
import type { Routes } from "../../../api/context.ts";
import { problemDocument } from "../../../api/problem.ts";
import { type Configuration, collections } from "../../../configuration/schema.ts";
import { SteelyardError } from "../../../errors.ts";
import { auditTarget } from "./schema.ts";

const url = "/api/v1/access/audit-targets";

const definition: CollectionDefinition = {
  url,
  parameter: "target",
  name: collections.auditTargets.name,
  object: auditTarget,
  resource: "audit",
  tag: "Audit",
  noun: "audit target",
  operation: { one: "AuditTarget", many: "AuditTargets" },
  example: { name: "siem", host: "siem.example.com", transport: "tls", facility: "audit" },
  read: (configuration) => configuration.auditTargets,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    auditTargets: objects as Configuration["auditTargets"],
  }),
  path: () => ["auditTargets"],
};

const status = z
  .object({
    state: z
      .enum(["connected", "connecting", "waiting", "disabled"])
      .describe("waiting: for the next try; connected says nothing of a UDP server"),
    sequence: z.int().describe("The last record that was sent"),
    queued: z.int().describe("Records still to send; they stand in the log"),
    sent: z.int().describe("Records sent since the agent started, those twice counted twice"),
    lost: z.int().describe("Records that retention removed before they were sent"),
    error: z.string().describe("Why the last try failed; empty while all is well"),
  })
  .meta({
    id: "AuditTargetStatus",
    examples: [{ state: "connected", sequence: 42, queued: 0, sent: 7, lost: 0, error: "" }],
  });

/** Servers that get the audit log, and how far each has got. */
export const addAuditTargetRoutes: Routes = (app, context) => {
  addCollection(app, context, definition);

  app.get(`${url}/:target/status`, {
    config: { permission: "audit:read", errors: ["not-found"] },
    schema: {
      operationId: "getAuditTargetStatus",
      tags: ["Audit"],
      summary: "Read how far a syslog server has got",
      description: "Of this agent; the place is kept over restarts.",
      params: z.strictObject({ target: collections.auditTargets.name.describe("Name of the audit target") }),
      response: { 200: status, default: problemDocument },
    },
    handler: async (request) => {
      const { target: name } = request.params as { target: string };
      const { auditTargets } = context.control.current().configuration;
      if (!Object.hasOwn(auditTargets, name)) throw new SteelyardError("not-found", `there is no audit target ${name}`);
      const found = context.auditExport.status(name);
      return found ?? { state: "disabled", sequence: 0, queued: 0, sent: 0, lost: 0, error: "" };
    },
  });
};
