import type { FastifyReply } from "fastify";
import { z } from "zod";
import { requirePermission } from "../api/authentication.ts";
import { authorOf, isDryRun, keepCommit, principalOf, sendPlan } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery } from "../api/dry-run.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { makeApiKey } from "./api-keys.ts";
import { requireNoEscalation } from "./escalation.ts";
import { requireNoKey } from "./guard.ts";
import { isPermitted, type Principal } from "./permissions.ts";
import { type ApiKey, apiKey } from "./schema.ts";

const url = "/api/v1/access/api-keys";
const tags = ["API keys"];
const { description, owner, roles, networks, created, expires } = apiKey.shape;

const shown = z.object({
  id: z.string().describe("Also the beginning of the key, after sty_"),
  description,
  owner,
  roles,
  networks,
  created,
  expires,
  lastUsed: z
    .object({ time: z.iso.datetime().describe("When"), source: z.string().describe("Address of the client") })
    .exactOptional()
    .describe("Left out: never"),
});

const example = {
  id: "k7mq2xwp",
  description: "nightly report",
  owner: "anna",
  roles: ["read-only"],
  networks: ["192.0.2.0/24"],
  created: "2026-01-01T08:00:00.000Z",
  expires: "2027-01-01T00:00:00.000Z",
};

const apiKeyShown = shown.meta({ id: "ShownApiKey", examples: [example] });

const keys = defineList(apiKeyShown);

const apiKeyMade = shown.extend({ key: z.string().describe("For Authorization: Bearer …; shown once") }).meta({
  id: "MadeApiKey",
  examples: [{ ...example, key: "sty_k7mq2xwp_b3Jhbmdlcy1hcmUtbm90LXRoZS1vbmx5LWZydWl0cy4" }],
});

const wanted = z
  .strictObject({
    description,
    owner: owner.optional().describe("Left out, the caller; another takes access:create"),
    roles,
    networks,
    expires,
  })
  .meta({
    id: "NewApiKey",
    examples: [{ description: "nightly report", roles: ["read-only"], networks: ["192.0.2.0/24"] }],
  });

const parameters = z.strictObject({
  key: z
    .string()
    .regex(/^[a-z0-9]{1,63}$/, "expected the id of an API key")
    .describe("Id of the key"),
});

/** Keys for programs. Everybody keeps the own ones; those of others take the permissions of access. */
export const addKeyRoutes: Routes = (app, { control, machine, keyUses }) => {
  const show = (id: string, { hash: _secret, ...key }: ApiKey) => {
    const lastUsed = keyUses.find(id);
    return { id, ...key, ...(lastUsed ? { lastUsed } : {}) };
  };
  const maySee = (principal: Principal, key: ApiKey) =>
    key.owner === principal.user || isPermitted(principal, "access:read");
  const find = (id: string, principal: Principal): ApiKey => {
    const { apiKeys } = control.current().configuration;
    const key = Object.hasOwn(apiKeys, id) ? apiKeys[id] : undefined;
    if (!key || !maySee(principal, key)) throw new SteelyardError("not-found", `there is no API key ${id}`);
    return key;
  };

  app.get(url, {
    config: { permission: "self:read" },
    schema: {
      operationId: "listApiKeys",
      tags,
      summary: "List API keys",
      description:
        "The caller's own; everybody's for whom access:read is permitted. The keys themselves are shown once, when made.",
      querystring: keys.query,
      response: { 200: keys.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const seen = Object.entries(control.current().configuration.apiKeys)
        .filter(([, key]) => maySee(principal, key))
        .map(([id, key]) => show(id, key));
      return keys.send(request, reply, seen);
    },
  });

  app.get(`${url}/:key`, {
    config: { permission: "self:read" },
    schema: {
      operationId: "getApiKey",
      tags,
      summary: "Read an API key",
      description: "What it may do and when it was last used; not the key itself.",
      params: parameters,
      response: { 200: apiKeyShown, default: problemDocument },
    },
    handler: async (request) => {
      const { key: id } = request.params as { key: string };
      return show(id, find(id, principalOf(request)));
    },
  });

  app.post(url, {
    config: {
      permission: "self:create",
      showsSecret: true,
      bodyPath: () => ["apiKeys"],
      errors: ["invalid-configuration", "apply-failed"],
    },
    schema: {
      operationId: "createApiKey",
      tags,
      summary: "Make an API key",
      description:
        "Its roles may allow no more than the caller may do; what it may do is looked up at each use and ends with the rights of its owner.",
      querystring: dryRunQuery,
      body: wanted,
      response: { 200: dryRunAnswer, 201: apiKeyMade, default: problemDocument },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      requireNoKey(principal);
      const now = machine.now();
      const { owner: given, ...rest } = request.body as z.output<typeof wanted>;
      const name = given ?? principal.user;
      if (name !== principal.user) requirePermission(principal, "access:create");
      if (rest.expires !== undefined && Date.parse(rest.expires) <= now.getTime())
        throw badInput([{ path: "apiKeys.expires", message: "expected a time to come" }]);
      const { id, key, hash } = makeApiKey(machine.randomBytes);
      const object: ApiKey = { ...rest, owner: name, hash, created: now.toISOString() };
      const message = `create API key ${id}`;
      const result = await control.commit({
        author: authorOf(request),
        message,
        dryRun: isDryRun(request),
        change: (configuration) => {
          const after = { ...configuration, apiKeys: { ...configuration.apiKeys, [id]: object } };
          requireNoEscalation(principal, configuration, after, now);
          return after;
        },
      });
      keepCommit(request, reply as FastifyReply, message, result);
      if (isDryRun(request)) return sendPlan(reply as FastifyReply, result);
      reply.code(201).header("Location", `${url}/${id}`);
      return reply.send({ ...show(id, object), key });
    },
  });

  app.delete(`${url}/:key`, {
    config: { permission: "self:delete", errors: ["apply-failed"] },
    schema: {
      operationId: "deleteApiKey",
      tags,
      summary: "Delete an API key",
      description: "It is refused from then on. Another's takes access:delete.",
      params: parameters,
      querystring: dryRunQuery,
      response: {
        200: dryRunAnswer,
        204: z.null().describe("Deleted"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const { key: id } = request.params as { key: string };
      const message = `delete API key ${id}`;
      const result = await control.commit({
        author: authorOf(request),
        message,
        dryRun: isDryRun(request),
        change: (configuration) => {
          if (find(id, principal).owner !== principal.user) requirePermission(principal, "access:delete");
          const { [id]: _deleted, ...apiKeys } = configuration.apiKeys;
          return { ...configuration, apiKeys };
        },
      });
      keepCommit(request, reply as FastifyReply, message, result);
      if (isDryRun(request)) return sendPlan(reply as FastifyReply, result);
      return reply.code(204).send();
    },
  });
};
