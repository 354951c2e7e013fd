import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { bearerToken } from "../api/authentication.ts";
import { principalOf } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { cookieToken, formatCookie, requireSameOrigin } from "../api/cookie.ts";
import { problemDocument } from "../api/problem.ts";
import type { Configuration } from "../configuration/schema.ts";
import { clientAddress } from "./address.ts";
import { SecondFactorRequired } from "./challenges.ts";
import { type Account, LoginRefused } from "./login.ts";
import { findUser } from "./rights.ts";
import { csrfTokenOf } from "./sessions.ts";

const cookie = z
  .boolean("expected true or false")
  .default(false)
  .describe("true: a cookie for a browser instead of a token; every change then needs the header X-CSRF-Token");

const password = z
  .strictObject({
    user: z
      .string("expected a user name")
      .min(1, "expected a user name")
      .max(64, "expected a user name")
      .describe("Name of the user"),
    password: z
      .string("expected a password")
      .max(1024, "expected at most 1024 characters")
      .describe("In clear; the connection is encrypted"),
    cookie,
  })
  .meta({ id: "Credentials", examples: [{ user: "admin", password: "correct horse battery" }] });

const secondFactor = z
  .strictObject({
    challenge: z
      .string("expected the challenge of the first answer")
      .max(128, "expected a challenge")
      .describe("Of the answer second-factor-required"),
    code: z
      .string("expected a code")
      .min(1, "expected a code")
      .max(128, "expected a code")
      .describe("Such as the six digits of TOTP"),
    cookie,
  })
  .meta({
    id: "SecondFactor",
    examples: [{ challenge: "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4", code: "123456" }],
  });

const session = z
  .object({
    token: z.string().exactOptional().describe("For the header Authorization: Bearer …; shown once; none with cookie"),
    csrfToken: z.string().exactOptional().describe("With cookie: for the header X-CSRF-Token"),
    expires: z.iso.datetime().describe("Ends then at the latest; earlier after the idle time without a request"),
  })
  .meta({
    id: "Session",
    examples: [{ token: "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4", expires: "2026-01-01T20:00:00.000Z" }],
  });

type Given = z.output<typeof password> | z.output<typeof secondFactor>;

const tags = ["Sessions"];

/** Logging in and out. */
export const addSessionRoutes: Routes = (app, { control, login, sessions }) => {
  /** Leaves word on the request of whom it is about, for the audit log. */
  async function logIn(request: FastifyRequest, given: Given, source: string): Promise<Account> {
    try {
      const account = "challenge" in given ? await login.answer(given, source) : await login.start(given, source);
      request.attemptedBy = account.user;
      return account;
    } catch (error) {
      request.attemptedBy = attemptedBy(error, given, control.current().configuration);
      throw error;
    }
  }

  app.post("/api/v1/sessions", {
    config: { permission: "public", errors: ["unauthenticated", "second-factor-required", "forbidden"] },
    schema: {
      operationId: "createSession",
      tags,
      summary: "Log in",
      description:
        "Answers with a token for the header Authorization. When a second factor is wanted, 401 second-factor-required has a challenge: send it here with a code. Wrong passwords cost time: see Retry-After.",
      security: [],
      body: z.union([password, secondFactor]),
      response: { 201: session, default: problemDocument },
    },
    handler: async (request, reply) => {
      const given = request.body as Given;
      const source = clientAddress(request);
      if (given.cookie) requireSameOrigin(request);
      const account = await logIn(request, given, source);
      const { token, session } = sessions.open(account, { means: given.cookie ? "cookie" : "session", source });
      const until = sessions.expiryOf(session);
      const expires = until.toISOString();
      reply.code(201);
      if (!given.cookie) return reply.send({ token, expires });
      reply.header("Set-Cookie", formatCookie(token, (until.getTime() - session.opened.getTime()) / 1000));
      return reply.send({ csrfToken: csrfTokenOf(token), expires });
    },
  });

  app.delete("/api/v1/sessions", {
    config: { permission: "self:delete" },
    schema: {
      operationId: "deleteSession",
      tags,
      summary: "Log out",
      description: "The token of this request ends.",
      response: { 204: z.null().describe("Ended"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const token = principalOf(request).means === "cookie" ? cookieToken(request) : bearerToken(request);
      if (token !== undefined) sessions.close(token);
      if (principalOf(request).means === "cookie") reply.header("Set-Cookie", formatCookie("", 0));
      return reply.code(204).send();
    },
  });
};

/** Whom a failed login names. A name that nobody knows may be a password in the wrong field, so it goes no further. */
function attemptedBy(error: unknown, given: Given, configuration: Configuration): string {
  if (error instanceof LoginRefused) return error.user;
  if (!("user" in given)) return "";
  const isKnown = error instanceof SecondFactorRequired || findUser(configuration, given.user) !== undefined;
  return isKnown ? given.user : "";
}
