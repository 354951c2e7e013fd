import { z } from "zod";
import { isDryRun } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { badInput } from "../errors.ts";
import { askForReset, keepable, restartForReset } from "./apply.ts";

const wish = z
  .strictObject({
    hostname: z
      .string()
      .max(253, "expected at most 253 characters")
      .describe("Host name of the box, to show that it is this one that is meant"),
    keep: z
      .array(z.enum(keepable, `expected some of ${keepable.join(", ")}`))
      .max(keepable.length, "expected each once")
      .default([])
      .describe("What stays on /data: logs (journal and audit log), backups; all else goes"),
  })
  .meta({ id: "FactoryReset", examples: [{ hostname: "lb1", keep: ["logs"] }] });

const answer = z
  .object({ keep: z.array(z.enum(keepable)).describe("What stays"), message: z.string().describe("What happens now") })
  .meta({
    id: "FactoryResetBegun",
    examples: [{ keep: ["logs"], message: "lb1 starts again and asks its first questions" }],
  });

/** The way back to a box as it came. */
export const addResetRoutes: Routes = (app, { machine, control }) => {
  app.post("/api/v1/system/factory-reset", {
    config: { permission: "factory:reset", errors: ["disk-full"] },
    schema: {
      operationId: "resetToFactory",
      ...{ "x-command": "none" },
      tags: ["System"],
      summary: "Reset the box to its factory state, and start it again",
      description:
        "Takes away the configuration with its history, the users, the keys and certificates, the machine id and, unless kept, logs and backups. The box then asks its first questions on its console, or takes an answer file. There is no way back but a backup that is kept elsewhere. Names the host, lest it is another one that is reset.",
      querystring: dryRunQuery,
      body: wish,
      response: { 200: dryRunAnswer, 202: answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { hostname, keep } = request.body as z.output<typeof wish>;
      const own = control.current().configuration.system.hostname;
      if (hostname !== own)
        throw badInput([{ path: "hostname", message: "expected the host name of this box, which is another" }]);
      if (isDryRun(request)) {
        const kept = keep.length > 0 ? `all but ${keep.join(" and ")}` : "everything, logs and backups too";
        const step = (kind: string, summary: string) => ({ subsystem: "reset", kind, summary });
        return sendSteps(reply, control, [
          step("erase", `take ${kept} from ${own}`),
          step("restart", `start ${own} again, for its first questions`),
        ]);
      }
      await askForReset(machine, keep);
      machine.log.warn(`factory reset by ${request.principal?.user ?? ""} (${request.principal?.source ?? ""})`);
      // When the answer is out, and with it the record of the audit log.
      reply.raw.once("close", () => void restartForReset(machine));
      return reply.code(202).send({ keep, message: `${own} starts again and asks its first questions` });
    },
  });
};
