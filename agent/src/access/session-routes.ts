import { z } from "zod";
import { requirePermission } from "../api/authentication.ts";
import { isDryRun, plan, principalOf } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { isPermitted, type Principal } from "./permissions.ts";
import type { Session } from "./sessions.ts";

const tags = ["Sessions"];
const url = "/api/v1/access/sessions";
const userName = z.string().min(1, "expected a user name").max(64, "expected a user name");

const openSession = z
  .object({
    id: z.string().describe("For ending it; the token cannot be made from it"),
    user: z.string().describe("Whose it is"),
    source: z.string().describe("Address it was opened from"),
    means: z.enum(["session", "cookie"]).describe("session: a token in a header; cookie: a browser"),
    opened: z.iso.datetime().describe("When it was opened"),
    used: z.iso.datetime().describe("When the last request came"),
    expires: z.iso.datetime().describe("When it ends at the latest"),
    current: z.boolean().describe("The session of this request"),
  })
  .meta({
    id: "OpenSession",
    examples: [
      {
        id: "9f86d081884c7d65",
        user: "anna",
        source: "192.0.2.20",
        means: "session",
        opened: "2026-01-01T08:00:00.000Z",
        used: "2026-01-01T08:10:00.000Z",
        expires: "2026-01-01T20:00:00.000Z",
        current: true,
      },
    ],
  });

const lockout = z
  .object({
    user: z.string().describe("Who has to wait"),
    attempts: z.int().describe("Wrong ones in a row"),
    until: z.iso.datetime().describe("When the next attempt is looked at"),
  })
  .meta({ id: "Lockout", examples: [{ user: "anna", attempts: 14, until: "2026-01-01T08:00:08.000Z" }] });

const openSessions = defineList(openSession);
const lockouts = defineList(lockout);

/** Who is logged in, and who has to wait. Everybody sees and ends the own sessions, who may read or delete access those of all. */
export const addOpenSessionRoutes: Routes = (app, { sessions, login, control }) => {
  const mayOnAll = (principal: Principal, verb: "read" | "delete") => isPermitted(principal, `access:${verb}`);
  const describeEnd = ({ id, account, source }: Session) => ({
    subsystem: "access",
    kind: "end-session",
    summary: `end the session ${id} of ${account.user} from ${source}`,
  });
  const isOwn = ({ user }: Principal, { account }: Session) => account.user === user;

  app.get(url, {
    config: { permission: "self:read" },
    schema: {
      operationId: "listSessions",
      tags,
      summary: "List sessions",
      description: "The caller's own; everybody's for whom access:read is permitted. Newest first.",
      querystring: openSessions.query,
      response: { 200: openSessions.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const seen = sessions
        .list()
        .filter((session) => isOwn(principal, session) || mayOnAll(principal, "read"))
        .map((session) => ({
          id: session.id,
          user: session.account.user,
          source: session.source,
          means: session.means,
          opened: session.opened.toISOString(),
          used: session.used.toISOString(),
          expires: sessions.expiryOf(session).toISOString(),
          current: session.id === principal.id,
        }));
      return openSessions.send(request, reply, seen);
    },
  });

  app.delete(`${url}/:session`, {
    config: { permission: "self:delete" },
    schema: {
      operationId: "revokeSession",
      tags,
      summary: "End a session",
      description: "One's own; anybody's with access:delete.",
      params: z.strictObject({
        session: z
          .string()
          .regex(/^[0-9a-f]{16}$/, "expected the id of a session")
          .describe("Id of the session"),
      }),
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 204: z.null().describe("Ended"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const { session: id } = request.params as { session: string };
      const isMeant = (session: Session) =>
        session.id === id && (isOwn(principal, session) || mayOnAll(principal, "delete"));
      const found = sessions.list().filter(isMeant);
      if (found.length === 0) throw new SteelyardError("not-found", `there is no session ${id}`);
      if (isDryRun(request)) return sendSteps(reply, control, found.map(describeEnd));
      sessions.closeWhere(isMeant);
      return reply.code(204).send();
    },
  });

  app.delete(url, {
    config: { permission: "self:delete" },
    schema: {
      operationId: "revokeSessions",
      tags,
      summary: "End all sessions of a user",
      description: "The caller's own unless told; another's with access:delete. The session of this request ends too.",
      querystring: dryRunQuery.extend({ user: userName.optional().describe("Left out, the caller") }),
      response: {
        200: z
          .union([z.object({ ended: z.int().describe("How many") }), plan])
          .describe("Done; for a dry run, the plan"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const { user = principal.user } = request.query as { user?: string };
      if (user !== principal.user) requirePermission(principal, "access:delete");
      const isMeant = ({ account }: Session) => account.user === user;
      if (isDryRun(request)) return sendSteps(reply, control, sessions.list().filter(isMeant).map(describeEnd));
      return reply.send({ ended: sessions.closeWhere(isMeant) });
    },
  });

  app.get("/api/v1/access/lockouts", {
    config: { permission: "access:read" },
    schema: {
      operationId: "listLockouts",
      tags,
      summary: "List users who have to wait",
      description: "After too many wrong passwords; in memory, so gone when the agent restarts.",
      querystring: lockouts.query,
      response: { 200: lockouts.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const waiting = login.listLockouts().map(({ key, attempts, until }) => ({
        user: key,
        attempts,
        until: until.toISOString(),
      }));
      return lockouts.send(request, reply, waiting);
    },
  });

  app.delete("/api/v1/access/lockouts/:user", {
    config: { permission: "access:update" },
    schema: {
      operationId: "deleteLockout",
      tags,
      summary: "Let a user try again at once",
      description: "The delay of an address stays.",
      params: z.strictObject({ user: userName.describe("Name of the user") }),
      querystring: dryRunQuery,
      response: {
        200: dryRunAnswer,
        204: z.null().describe("Done, whether there was a delay or not"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const { user } = request.params as { user: string };
      if (isDryRun(request)) {
        const summary = `let ${user} try again at once`;
        const waits = login.listLockouts().some(({ key }) => key === user);
        return sendSteps(reply, control, waits ? [{ subsystem: "access", kind: "end-lockout", summary }] : []);
      }
      login.unlock(user);
      return reply.code(204).send();
    },
  });
};
