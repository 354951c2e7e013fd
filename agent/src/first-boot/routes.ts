import { z } from "zod";
import { changeQuery, isDryRun, pendingCommit, sendPlan, warnings } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { completeFirstBoot } from "./complete.ts";
import { readReport } from "./report.ts";
import { answers } from "./schema.ts";
import { writeFirstBootState } from "./state.ts";

const result = z
  .object({
    generation: z.int().describe("The first generation"),
    warnings,
    pending: pendingCommit.optional().describe("When the answers have to be confirmed"),
  })
  .meta({ id: "FirstBootResult", examples: [{ generation: 1, warnings: [] }] });

const fieldProblem = z.object({
  path: z.string().describe("Of the field"),
  message: z.string().describe("What is expected"),
});
const names = (what: string) => z.array(z.string()).describe(what);

const report = z
  .object({
    time: z.string().describe("RFC 3339, UTC"),
    source: z.string().describe("Where the answers came from"),
    sha256: z.string().optional().describe("Of the file as it was read; none for answers from the console"),
    outcome: z.enum(["applied", "refused"]).describe("refused: nothing was configured"),
    generation: z.int().optional().describe("What was made of it"),
    applied: z
      .object({
        hostname: z.string().describe("Name of the box"),
        admin: names("How the administrator logs in; no secret is among it"),
        managementInterfaces: names("Where the box is managed"),
        interfaces: names("Interfaces that were configured"),
        virtualAddresses: names("Virtual addresses that were made"),
        farms: names("Farms that were made"),
      })
      .optional()
      .describe("Names of what was made"),
    warnings: z.array(fieldProblem).describe("What was odd and accepted"),
    problems: z
      .array(fieldProblem.extend({ line: z.int().optional().describe("Of the file, from 1") }))
      .describe("Why it was refused"),
  })
  .meta({
    id: "FirstBootReport",
    examples: [
      {
        time: "2026-01-01T12:00:00.000Z",
        source: "steelyard.yaml on /dev/vdb",
        sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        outcome: "applied",
        generation: 1,
        applied: {
          hostname: "lb1",
          admin: ["password, given as its hash"],
          managementInterfaces: ["eth0"],
          interfaces: ["eth0"],
          virtualAddresses: [],
          farms: [],
        },
        warnings: [],
        problems: [],
      },
    ],
  });

/** The console wizard's answers. Only over the local socket, and only while there is no configuration. */
export const addFirstBootRoutes: Routes = (app, { control, machine }) => {
  app.get("/api/v1/first-boot/report", {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "getFirstBootReport",
      tags: ["System"],
      summary: "Read what became of the first boot",
      description: "Source, time, what was made and what was odd, without secrets. 404 on a box that left none.",
      response: { 200: report, default: problemDocument },
    },
    handler: async () => {
      const found = await readReport(machine);
      if (found) return found;
      throw new SteelyardError("not-found", "the first boot of this box left no report");
    },
  });

  app.post("/api/v1/first-boot", {
    config: { permission: "configuration:update" },
    schema: {
      operationId: "completeFirstBoot",
      tags: ["System"],
      description:
        "The answers of the console wizard, or of an answer file, become the first generation of the configuration. With confirmWithin they have to be confirmed, or the first boot begins again.",
      summary: "Give the first answers (local socket only, while there is no configuration)",
      querystring: changeQuery.pick({ dryRun: true, confirmWithin: true }),
      body: answers,
      response: { 200: dryRunAnswer, 201: result, default: problemDocument },
    },
    handler: async (request, reply) => {
      const source = request.principal?.source;
      if (source !== "local") throw new SteelyardError("forbidden", "the first answers are given on the console");
      const { confirmWithin } = request.query as { confirmWithin?: number };
      const dryRun = isDryRun(request);
      const commit = await completeFirstBoot(control, machine, request.body, { confirmWithin, dryRun });
      if (dryRun) return sendPlan(reply, commit);
      request.commit = { ...commit, message: "first boot" };
      const { generation, pending } = commit;
      await writeFirstBootState(machine, { state: pending ? "confirming" : "done" });
      const warnings = commit.warnings.map(({ path, message }) => ({ path, message }));
      return reply.code(201).send({ generation, warnings, ...(pending ? { pending } : {}) });
    },
  });
};
