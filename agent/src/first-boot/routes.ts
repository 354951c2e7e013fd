import { z } from "zod";
import { warnings } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { completeFirstBoot } from "./complete.ts";
import { answers } from "./schema.ts";
import { writeFirstBootState } from "./state.ts";

const result = z
  .object({
    generation: z.int().describe("The first generation"),
    warnings,
  })
  .meta({ id: "FirstBootResult", examples: [{ generation: 1, warnings: [] }] });

/** The console wizard's answers. Only over the local socket, and only while there is no configuration. */
export const addFirstBootRoutes: Routes = (app, { control, machine }) => {
  app.post("/api/v1/first-boot", {
    config: { permission: "configuration:update" },
    schema: {
      operationId: "completeFirstBoot",
      tags: ["System"],
      description:
        "The answers of the console wizard, or of an answer file, become the first generation of the configuration.",
      summary: "Give the first answers (local socket only, while there is no configuration)",
      body: answers,
      response: { 201: result, default: problemDocument },
    },
    handler: async (request, reply) => {
      const source = request.principal?.source;
      if (source !== "local") throw new SteelyardError("forbidden", "the first answers are given on the console");
      const commit = await completeFirstBoot(control, machine, request.body);
      request.commit = { ...commit, message: "first boot" };
      const { generation, warnings } = commit;
      await writeFirstBootState(machine, { state: "done" });
      return reply.code(201).send({ generation, warnings: warnings.map(({ path, message }) => ({ path, message })) });
    },
  });
};
