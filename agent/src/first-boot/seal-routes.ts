import { z } from "zod";
import { isDryRun } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";

const body = z
  .strictObject({
    hostname: z.string("expected the host name").describe("Of this box, lest it is another one that is sealed"),
    keepConfiguration: z
      .boolean("expected true or false")
      .default(false)
      .describe("true: the copies serve with this configuration; false: each has a first boot"),
  })
  .meta({ id: "Seal", examples: [{ hostname: "lb1", keepConfiguration: false }] });

const answer = z
  .object({ message: z.string().describe("What happens now") })
  .meta({ id: "SealBegun", examples: [{ message: "lb1 is sealed and powers off" }] });

/** Makes a template for clones of the box: the unit does it when the agent has stopped, for an agent writes while it runs. */
export const addSealRoutes: Routes = (app, { control, machine }) => {
  app.post("/api/v1/system/seal", {
    config: { permission: "factory:seal" },
    schema: {
      operationId: "sealSystem",
      ...{ "x-command": "none" },
      tags: ["System"],
      summary: "Take the identity from the box and power it off, to clone its disk",
      description:
        "Takes away the machine id, SSH host keys, the API's key and certificate, the names bound to cards, sessions, journals, audit log, history and backups; the configuration too, unless it is kept. What starts from the disk next makes an identity of its own.",
      querystring: dryRunQuery,
      body,
      response: { 200: dryRunAnswer, 202: answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { hostname, keepConfiguration } = request.body as z.output<typeof body>;
      const own = control.current().configuration.system.hostname;
      if (hostname !== own) {
        const message = "expected the host name of this box, which is another";
        throw new SteelyardError("bad-input", `hostname: ${message}`, { problems: [{ path: "hostname", message }] });
      }
      if (control.pending())
        throw new SteelyardError(
          "awaiting-confirmation",
          "a change awaits its confirmation: confirm it or take it back",
        );
      if (isDryRun(request)) {
        const rest = keepConfiguration ? "the configuration stays" : "the configuration goes too";
        const step = (kind: string, summary: string) => ({ subsystem: "seal", kind, summary });
        return sendSteps(reply, control, [
          step("seal", `take identity, sessions, logs and backups from ${own}; ${rest}`),
          step("power-off", `power ${own} off`),
        ]);
      }
      machine.log.warn(`sealed by ${request.principal?.user ?? ""} (${request.principal?.source ?? ""})`);
      const unit = `steelyard-seal@${keepConfiguration ? "keep" : "drop"}.service`;
      reply.raw.once("close", () => void machine.run(["systemctl", "--no-block", "start", unit]));
      return reply.code(202).send({ message: `${own} is sealed and powers off` });
    },
  });
};
