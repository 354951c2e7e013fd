import type { FastifyReply, FastifyRequest } from "fastify";
import { renderSVG, renderUnicodeCompact } from "uqr";
import { z } from "zod";
import { requirePermission } from "../../api/authentication.ts";
import { authorOf, isDryRun, keepCommit, plan, principalOf, sendPlan } from "../../api/change.ts";
import type { Routes } from "../../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../../api/dry-run.ts";
import { problemDocument } from "../../api/problem.ts";
import { SteelyardError } from "../../errors.ts";
import { requireNoKey } from "../guard.ts";
import { mayGrant } from "../permissions.ts";
import { findUser, grantsOfUser } from "../rights.ts";
import { userName } from "../schema.ts";
import type { Enrolment, FactorChange } from "./factor.ts";

const url = "/api/v1/access/me/second-factor";
const tags = ["Sessions"];

const given = z
  .strictObject({
    code: z
      .string("expected a code")
      .min(1, "expected a code")
      .max(64, "expected a code")
      .describe("Six digits of the app, or a recovery code"),
  })
  .meta({ id: "SecondFactorCode", examples: [{ code: "123456" }] });

const enrolment = z
  .object({
    secret: z.string().describe("Base 32, to type into an app; shown once"),
    uri: z.string().describe("otpauth:// with the secret, as apps read it from a QR code"),
    svg: z.string().describe("The QR code as a picture"),
    text: z.string().describe("The QR code for a terminal"),
  })
  .meta({
    id: "SecondFactorEnrolment",
    examples: [
      {
        secret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
        uri: "otpauth://totp/lb1:anna?issuer=lb1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30",
        svg: "<svg/>",
        text: "█▀▀▀▀▀█",
      },
    ],
  });

const codes = z
  .object({ recoveryCodes: z.array(z.string()).describe("Each is good once, in place of a code; shown once") })
  .meta({ id: "RecoveryCodes", examples: [{ recoveryCodes: ["abcd-efgh-ijkl-mnop"] }] });

const state = z
  .object({
    enabled: z.boolean().describe("A code is asked for at login"),
    recoveryCodes: z.int().describe("How many are left"),
  })
  .meta({ id: "SecondFactorState", examples: [{ enabled: true, recoveryCodes: 10 }] });

const challenge = z
  .strictObject({
    challenge: z
      .string("expected the challenge of the first answer")
      .max(128, "expected a challenge")
      .describe("Of the answer second-factor-required"),
  })
  .meta({ id: "SecondFactorChallenge", examples: [{ challenge: "b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4" }] });

const show = ({ secret, uri }: Enrolment) => ({ secret, uri, svg: renderSVG(uri), text: renderUnicodeCompact(uri) });
const errors = ["not-found", "exists", "forbidden", "invalid-configuration", "apply-failed"] as const;
const codeOf = ({ body }: { body: unknown }) => (body as z.output<typeof given>).code;

const codesAnswer = z.union([codes, plan]).describe("The codes; for a dry run, the plan");
const wishOf = (request: FastifyRequest) => ({ author: authorOf(request), dryRun: isDryRun(request) });

/** The plan of a dry run, or else what `answer` sends. */
async function sendChange(
  request: FastifyRequest,
  reply: FastifyReply,
  { commit, message, recoveryCodes }: FactorChange,
  answer: (recoveryCodes: string[]) => FastifyReply,
): Promise<FastifyReply> {
  keepCommit(request, reply, message, commit);
  return isDryRun(request) ? sendPlan(reply, commit) : answer(recoveryCodes);
}

/** Setting up a second factor, and ending it. */
export const addSecondFactorRoutes: Routes = (app, { control, login, sessions, totp }) => {
  const isFromDirectory = (request: FastifyRequest) => {
    const { id } = principalOf(request);
    return sessions.list().some((session) => session.id === id && session.account.source === "directory");
  };

  app.get(url, {
    config: { permission: "self:read", errors: ["not-found"] },
    schema: {
      operationId: "getOwnSecondFactor",
      tags,
      summary: "Read whether the caller has a second factor",
      description: "The secret is never shown again.",
      response: { 200: state, default: problemDocument },
    },
    handler: async (request) => {
      const user = findUser(control.current().configuration, principalOf(request).user);
      if (!user && isFromDirectory(request)) return { enabled: false, recoveryCodes: 0 };
      if (!user) throw new SteelyardError("not-found", "the caller is no user in the configuration of this box");
      return { enabled: user.totp !== undefined, recoveryCodes: user.totp?.recoveryCodes.length ?? 0 };
    },
  });

  app.post(url, {
    config: { permission: "self:update", showsSecret: true, errors: ["not-found", "exists", "forbidden"] },
    schema: {
      operationId: "beginSecondFactor",
      tags,
      summary: "Begin a second factor (TOTP) for the caller",
      description: "Put the secret into an authenticator app and confirm with its first code within ten minutes.",
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 201: enrolment, default: problemDocument },
    },
    handler: async (request, reply) => {
      requireNoKey(principalOf(request));
      const fromDirectory = isFromDirectory(request);
      if (isDryRun(request)) {
        const { user } = principalOf(request);
        totp.checkBegin(user, { fromDirectory });
        const summary = `make a secret for ${user}, which counts once a code confirms it`;
        return sendSteps(reply, control, [{ subsystem: "access", kind: "begin-second-factor", summary }]);
      }
      return reply.code(201).send(show(totp.begin(principalOf(request).user, { fromDirectory })));
    },
  });

  app.post(`${url}/confirm`, {
    config: { permission: "self:update", showsSecret: true, errors },
    schema: {
      operationId: "confirmSecondFactor",
      tags,
      summary: "Confirm the second factor by its first code",
      description: "From now on a code is asked for at login. Keep the recovery codes where the phone is not.",
      querystring: dryRunQuery,
      body: given,
      response: { 200: codesAnswer, default: problemDocument },
    },
    handler: async (request, reply) => {
      requireNoKey(principalOf(request));
      const done = await totp.confirm(principalOf(request).user, codeOf(request), wishOf(request));
      return await sendChange(request, reply, done, (recoveryCodes) => reply.send({ recoveryCodes }));
    },
  });

  app.post(`${url}/recovery-codes`, {
    config: { permission: "self:update", showsSecret: true, errors },
    schema: {
      operationId: "renewRecoveryCodes",
      tags,
      summary: "Make new recovery codes",
      description: "The old ones end. Takes a code.",
      querystring: dryRunQuery,
      body: given,
      response: { 200: codesAnswer, default: problemDocument },
    },
    handler: async (request, reply) => {
      requireNoKey(principalOf(request));
      const done = await totp.renew(principalOf(request).user, codeOf(request), wishOf(request));
      return await sendChange(request, reply, done, (recoveryCodes) => reply.send({ recoveryCodes }));
    },
  });

  app.post(`${url}/end`, {
    config: { permission: "self:update", errors },
    schema: {
      operationId: "endSecondFactor",
      tags,
      summary: "End the caller's second factor",
      description: "Takes a code, so that a stolen session alone cannot end it.",
      querystring: dryRunQuery,
      body: given,
      response: { 200: dryRunAnswer, 204: z.null().describe("Ended"), default: problemDocument },
    },
    handler: async (request, reply) => {
      requireNoKey(principalOf(request));
      const done = await totp.remove(principalOf(request).user, codeOf(request), wishOf(request));
      return await sendChange(request, reply, done, () => reply.code(204).send());
    },
  });

  app.delete("/api/v1/access/users/:user/second-factor", {
    config: { permission: "access:update", errors },
    schema: {
      operationId: "resetSecondFactor",
      tags: ["Users"],
      summary: "End a user's second factor",
      description: "For the day phone and recovery codes are lost. Takes all the rights of that user.",
      params: z.strictObject({ user: userName.describe("Name of the user") }),
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 204: z.null().describe("Ended"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const { user: name } = request.params as { user: string };
      const principal = principalOf(request);
      const { configuration } = control.current();
      const user = findUser(configuration, name);
      // As for a password: whoever takes away a factor of somebody must not gain by it.
      if (user && !mayGrant(principal, grantsOfUser(configuration, user)))
        throw new SteelyardError("forbidden", `expected somebody with all the rights of ${name}`);
      requirePermission(principal, "access:update");
      const done = await totp.reset(name, wishOf(request));
      return await sendChange(request, reply, done, () => reply.code(204).send());
    },
  });

  app.post("/api/v1/sessions/second-factor", {
    config: { permission: "public", errors: ["unauthenticated", "forbidden", "not-found", "exists"] },
    schema: {
      operationId: "beginRequiredSecondFactor",
      tags,
      summary: "Begin a second factor during login",
      description: "For a user of whom one is required and who has none: then send the challenge with the first code.",
      security: [],
      body: challenge,
      response: { 201: enrolment, default: problemDocument },
    },
    handler: async (request, reply) => {
      const account = login.accountOf((request.body as z.output<typeof challenge>).challenge);
      if (!account) throw new SteelyardError("unauthenticated", "the challenge has ended: log in again");
      request.attemptedBy = account.user;
      return reply.code(201).send(show(totp.begin(account.user, { fromDirectory: account.source === "directory" })));
    },
  });
};
