import { z } from "zod";
import { user } from "../access/schema.ts";
import { hashNewPassword } from "../access/user-routes.ts";
import { isDryRun, sendPlan } from "../api/change.ts";
import type { ApiContext, Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { writeResetNotice } from "./reset-notice.ts";

/** Minutes after a start in which the console may set a new password: whoever resets it has to restart the box, and that is noticed. */
const minutes = 15;

const state = z
  .object({
    possible: z.boolean().describe("It can be done now"),
    reason: z.string().optional().describe("Why not"),
  })
  .meta({ id: "PasswordResetState", examples: [{ possible: false, reason: "the box was started longer ago" }] });

const body = z
  .strictObject({ password: z.string("expected a password").describe("The new one, in clear; only its hash is kept") })
  .meta({ id: "PasswordReset", examples: [{ password: "correct horse battery" }] });

const done = z
  .object({ generation: z.int().describe("The generation it made") })
  .meta({ id: "PasswordResetDone", examples: [{ generation: 8 }] });

/** The way back in for whoever is at the console: local socket only, and only when the configuration has not switched it off. */
export const addRecoveryRoutes: Routes = (app, context) => {
  const { control, machine, events } = context;
  app.get("/api/v1/recovery/password", {
    config: { permission: "access:update" },
    schema: {
      operationId: "getPasswordReset",
      ...{ "x-command": "none" },
      tags: ["System"],
      summary: "Tell whether the console may set a new administrator's password",
      description: `Within ${minutes} minutes of a start, unless system.console.passwordReset is false.`,
      response: { 200: state, default: problemDocument },
    },
    handler: async () => {
      const reason = refusalOf(context);
      return { possible: reason === undefined, ...(reason === undefined ? {} : { reason }) };
    },
  });

  app.post("/api/v1/recovery/password", {
    config: { permission: "access:update" },
    schema: {
      operationId: "resetPassword",
      ...{ "x-command": "none" },
      tags: ["System"],
      summary: "Set a new password of admin from the console (local socket only)",
      description:
        "For whoever is at the machine and cannot log in: restarts show, and so does this, in the audit log, in the history, as an event and in the health of the box until the next start. A second factor of admin ends, sessions and all.",
      querystring: dryRunQuery,
      body,
      response: { 200: dryRunAnswer, 201: done, default: problemDocument },
    },
    handler: async (request, reply) => {
      // Root's socket, which the console uses: a user with a shell comes by one of its own, and that has an id.
      const { source, means, id } = request.principal ?? {};
      if (source !== "local" || means !== "local" || id !== undefined)
        throw new SteelyardError("forbidden", "a password is reset on the console");
      const reason = refusalOf(context);
      if (reason !== undefined) throw new SteelyardError("forbidden", reason);
      const { password } = request.body as z.output<typeof body>;
      const passwordHash = await hashNewPassword(password, "admin", ["password"], machine.randomBytes);
      const message = "reset the password of admin at the console";
      const commit = await control.commit({
        author: { user: "admin", source: "console" },
        message,
        confirmWithin: 0,
        dryRun: isDryRun(request),
        change: (configuration) => {
          const { totp: _, ...known } = configuration.users.admin ?? user.parse({});
          const roles = [...new Set([...known.roles, "admin"])];
          const admin = { ...known, roles, passwordHash, disabled: false };
          return { ...configuration, users: { ...configuration.users, admin } };
        },
      });
      if (isDryRun(request)) return sendPlan(reply, commit);
      request.commit = { ...commit, message };
      await writeResetNotice(machine);
      machine.log.warn("console: the password of admin was reset by somebody at the console");
      events.bus.publish("states", "password-reset", { user: "admin", source: "console" });
      return reply.code(201).send({ generation: commit.generation });
    },
  });
};

/** Why it cannot be done now; undefined when it can. */
function refusalOf({ control, machine }: ApiContext): string | undefined {
  const { generation, configuration } = control.current();
  if (generation === 0) return "the box has no configuration yet";
  if (!configuration.system.console.passwordReset)
    return "the configuration does not allow it (system.console.passwordReset)";
  if (machine.bootClock.seconds() > minutes * 60)
    return `only in the first ${minutes} minutes after a start: restart the box, and come back here`;
  return undefined;
}
