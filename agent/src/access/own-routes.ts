import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { authorOf, isDryRun, keepCommit, plan, principalOf, sendPlan } from "../api/change.ts";
import type { ApiContext, Routes } from "../api/context.ts";
import { cookieToken } from "../api/cookie.ts";
import { dryRunAnswer, dryRunQuery } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { clientAddress } from "./address.ts";
import { SecondFactorRequired } from "./challenges.ts";
import { requireNoKey } from "./guard.ts";
import type { Principal } from "./permissions.ts";
import { findUser } from "./rights.ts";
import { newPassword, type User, user } from "./schema.ts";
import { csrfTokenOf } from "./sessions.ts";
import { hashNewPassword } from "./user-routes.ts";

const url = "/api/v1/access/me";
const tags = ["Sessions"];

const permission = z.object({
  permission: z.string().describe("resource:verb; either half may be *"),
  names: z.array(z.string()).exactOptional().describe("Only on these objects; * stands for any characters"),
});

const caller = z
  .object({
    user: z.string().describe("Name of the user"),
    fullName: z.string().describe("Shown to people"),
    source: z.string().describe("Address the request came from, or local"),
    means: z.enum(["session", "cookie", "api-key", "local"]).describe("How the caller proved who it is"),
    permissions: z.array(permission).describe("What the caller may do now"),
    ceiling: z.array(permission).exactOptional().describe("Of an API key: what its owner may do; both must allow"),
    csrfToken: z.string().exactOptional().describe("Of a cookie session: for the header X-CSRF-Token"),
  })
  .meta({
    id: "Caller",
    examples: [
      {
        user: "anna",
        fullName: "Anna Berg",
        source: "192.0.2.20",
        means: "session",
        permissions: [{ permission: "farms:*", names: ["shop-*"] }, { permission: "self:*" }],
      },
    ],
  });

const passwordChange = z
  .strictObject({
    current: newPassword.describe("The password of now"),
    password: newPassword.describe("The new one"),
  })
  .meta({
    id: "PasswordChange",
    examples: [{ current: "correct horse battery", password: "a better one than that" }],
  });

const ownKeys = z
  .strictObject({ sshKeys: user.shape.sshKeys })
  .meta({ id: "OwnSshKeys", examples: [{ sshKeys: [`ssh-ed25519 ${"A".repeat(68)} anna`] }] });

const show = (grants: Principal["grants"]) =>
  grants.map(({ resource, verb, names }) => ({
    permission: `${resource}:${verb}`,
    ...(names ? { names: [...names] } : {}),
  }));

/** What everybody may do with the own account. */
export const addOwnRoutes: Routes = (app, context) => {
  const { control, login, machine } = context;

  app.get(url, {
    config: { permission: "self:read" },
    schema: {
      operationId: "getCaller",
      tags,
      summary: "Read who is calling, and what it may do",
      description: "A browser finds the token for the header X-CSRF-Token here.",
      response: { 200: caller, default: problemDocument },
    },
    handler: async (request) => {
      const { user: name, source, means, grants, ceiling } = principalOf(request);
      const token = means === "cookie" ? cookieToken(request) : undefined;
      return {
        user: name,
        fullName: findUser(control.current().configuration, name)?.fullName ?? "",
        source,
        means,
        permissions: show(grants),
        ...(ceiling ? { ceiling: show(ceiling) } : {}),
        ...(token === undefined ? {} : { csrfToken: csrfTokenOf(token) }),
      };
    },
  });

  app.put(`${url}/password`, {
    config: { permission: "self:update", bodyPath: () => [], errors: ["invalid-configuration", "apply-failed"] },
    schema: {
      operationId: "changeOwnPassword",
      tags,
      summary: "Change the own password",
      description: "Ends all sessions of the caller, this one too.",
      querystring: dryRunQuery,
      body: passwordChange,
      response: { 200: dryRunAnswer, 204: z.null().describe("Changed"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const { user: name } = principalOf(request);
      requireNoKey(principalOf(request));
      const { current, password } = request.body as z.output<typeof passwordChange>;
      requireLocal(context, name);
      // The login's own way, so that a stolen session cannot guess faster than a stranger.
      await login.start({ user: name, password: current }, clientAddress(request)).catch((error) => {
        if (error instanceof SecondFactorRequired) return;
        throw error instanceof SteelyardError && error.code === "unauthenticated"
          ? new SteelyardError("forbidden", "current: wrong password")
          : error;
      });
      const passwordHash = await hashNewPassword(password, name, ["password"], machine.randomBytes);
      await changeOwn(request, reply, `change the password of ${name}`, (own) => ({ ...own, passwordHash }));
      return isDryRun(request) ? reply : reply.code(204).send();
    },
  });

  app.put(`${url}/ssh-keys`, {
    config: { permission: "self:update", bodyPath: () => [], errors: ["invalid-configuration", "apply-failed"] },
    schema: {
      operationId: "putOwnSshKeys",
      tags,
      summary: "Replace the own SSH keys",
      description: "For the shell of the box, which takes the permission shell:use.",
      querystring: dryRunQuery,
      body: ownKeys,
      response: {
        200: z.union([ownKeys, plan]).describe("The keys; for a dry run, the plan"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const { user: name } = principalOf(request);
      requireNoKey(principalOf(request));
      const { sshKeys } = request.body as z.output<typeof ownKeys>;
      await changeOwn(request, reply, `change the SSH keys of ${name}`, (own) => ({ ...own, sshKeys }));
      return isDryRun(request) ? reply : reply.send({ sshKeys });
    },
  });

  /** The fields above alone, so it takes no permission to change users. */
  async function changeOwn(
    request: FastifyRequest,
    reply: FastifyReply,
    message: string,
    change: (own: User) => User,
  ): Promise<void> {
    const { user: name } = principalOf(request);
    const dryRun = isDryRun(request);
    const result = await control.commit({
      author: authorOf(request),
      message,
      dryRun,
      // It can cut off nobody else, and whoever makes it may have no right to confirm: it would hold up the changes of all.
      confirmWithin: 0,
      change: (configuration) => ({
        ...configuration,
        users: { ...configuration.users, [name]: change(requireUser(configuration, name)) },
      }),
    });
    keepCommit(request, reply, message, result);
    if (dryRun) await sendPlan(reply, result);
  }
};

function requireUser(configuration: ReturnType<ApiContext["control"]["current"]>["configuration"], name: string): User {
  const found = findUser(configuration, name);
  if (!found) throw new SteelyardError("not-found", `there is no user ${name} in the configuration of this box`);
  return found;
}

function requireLocal({ control }: ApiContext, name: string): void {
  if (requireUser(control.current().configuration, name).source !== "local")
    throw new SteelyardError("forbidden", "the directory keeps the password of this user");
}
