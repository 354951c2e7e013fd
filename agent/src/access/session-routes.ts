import { z } from "zod";
import { requirePermission } from "../api/authentication.ts";
import { principalOf } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { listOf, listQuery, takePage } from "../api/list.ts";
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

/** Who is logged in, and who has to wait. Everybody sees and ends the own sessions, who may read or delete access those of all. */
export const addOpenSessionRoutes: Routes = (app, { sessions, login }) => {
  const mayOnAll = (principal: Principal, verb: "read" | "delete") => isPermitted(principal, `access:${verb}`);
  const isOwn = ({ user }: Principal, { account }: Session) => account.user === user;

  app.get(url, {
    config: { permission: "self:read" },
    schema: {
      operationId: "listSessions",
      tags,
      summary: "List sessions",
      description: "The caller's own; everybody's for whom access:read is permitted. Newest first.",
      querystring: listQuery.extend({ user: userName.optional().describe("Only sessions of this user") }),
      response: { 200: listOf(openSession), default: problemDocument },
    },
    handler: async (request) => {
      const principal = principalOf(request);
      const query = request.query as z.output<typeof listQuery> & { user?: string };
      const seen = sessions
        .list()
        .filter((session) => isOwn(principal, session) || mayOnAll(principal, "read"))
        .filter(({ account }) => query.user === undefined || account.user === query.user)
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
      return takePage(seen, query);
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
      response: { 204: z.null().describe("Ended"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const { session: id } = request.params as { session: string };
      const closed = sessions.closeWhere(
        (session) => session.id === id && (isOwn(principal, session) || mayOnAll(principal, "delete")),
      );
      if (closed === 0) throw new SteelyardError("not-found", `there is no session ${id}`);
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
      querystring: z.strictObject({ user: userName.optional().describe("Left out, the caller") }),
      response: { 200: z.object({ ended: z.int().describe("How many") }).describe("Done"), default: problemDocument },
    },
    handler: async (request) => {
      const principal = principalOf(request);
      const { user = principal.user } = request.query as { user?: string };
      if (user !== principal.user) requirePermission(principal, "access:delete");
      return { ended: sessions.closeWhere(({ account }) => account.user === user) };
    },
  });

  app.get("/api/v1/access/lockouts", {
    config: { permission: "access:read" },
    schema: {
      operationId: "listLockouts",
      tags,
      summary: "List users who have to wait",
      description: "After too many wrong passwords; in memory, so gone when the agent restarts.",
      querystring: listQuery,
      response: { 200: listOf(lockout), default: problemDocument },
    },
    handler: async (request) => {
      const waiting = login.listLockouts().map(({ key, attempts, until }) => ({
        user: key,
        attempts,
        until: until.toISOString(),
      }));
      return takePage(waiting, request.query as z.output<typeof listQuery>);
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
      response: { 204: z.null().describe("Done, whether there was a delay or not"), default: problemDocument },
    },
    handler: async (request, reply) => {
      login.unlock((request.params as { user: string }).user);
      return reply.code(204).send();
    },
  });
};
