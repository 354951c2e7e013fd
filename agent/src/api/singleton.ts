import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import { applyMergePatch } from "../configuration/merge-patch.ts";
import { type Configuration, type SingletonName, singletons } from "../configuration/schema.ts";
import { changeQuery, commitChange, conditionsOf, plan, sendObject } from "./change.ts";
import { mergePatch, parseObject } from "./collection.ts";
import type { ApiContext } from "./context.ts";
import { requireConditions } from "./entity-tag.ts";
import { problemDocument } from "./problem.ts";

/** An object of which there is exactly one. */
export type SingletonDefinition = {
  url: string;
  /** Where it stands in the configuration. */
  name: SingletonName;
  tag: string;
  /** `the settings of logins`; and what operations are called in OpenAPI: `AccessSettings`. */
  noun: string;
  operation: string;
  description: string;
  examplePatch: object;
};

/** GET, PUT and PATCH. For objects without secrets. */
export function addSingleton(app: FastifyInstance, context: ApiContext, definition: SingletonDefinition): void {
  const { url, name, tag, noun, operation, description, examplePatch } = definition;
  const { object: schema, resource } = singletons[name];
  const bodyPath = () => [name];
  const answer = z.union([schema, plan]).describe("The settings; for a dry run, the plan");
  const commit = async (
    request: FastifyRequest,
    reply: Parameters<typeof commitChange>[2],
    message: string,
    change: (before: object) => object,
  ) => {
    let object: object = {};
    const done = await commitChange(context, request, reply, `${message} ${noun}`, (configuration) => {
      requireConditions(conditionsOf(request), configuration[name], noun);
      object = change(configuration[name]);
      return { ...configuration, [name]: object } as Configuration;
    });
    return done ? sendObject(request, reply, object, object) : reply;
  };

  app.get(url, {
    config: { permission: `${resource}:read`, entityTag: true },
    schema: {
      operationId: `get${operation}`,
      tags: [tag],
      summary: `Read ${noun}`,
      description,
      response: { 200: schema, default: problemDocument },
    },
    handler: async (request, reply) => {
      const object = context.control.current().configuration[name];
      return sendObject(request, reply, object, object);
    },
  });

  app.put(url, {
    config: { permission: `${resource}:update`, bodyPath, entityTag: true },
    schema: {
      operationId: `put${operation}`,
      tags: [tag],
      summary: `Replace ${noun}`,
      description: "Fields that are left out go back to their defaults.",
      querystring: changeQuery,
      body: schema,
      response: { 200: answer, default: problemDocument },
    },
    handler: (request, reply) => commit(request, reply, "replace", () => request.body as object),
  });

  app.patch(url, {
    config: { permission: `${resource}:update`, bodyPath, entityTag: true },
    schema: {
      operationId: `patch${operation}`,
      tags: [tag],
      summary: `Change some of ${noun} (JSON merge patch, RFC 7396)`,
      description: "Fields that are left out stay; null takes one back to its default.",
      querystring: changeQuery,
      consumes: ["application/merge-patch+json", "application/json"],
      body: mergePatch.meta({ examples: [examplePatch] }),
      response: { 200: answer, default: problemDocument },
    },
    handler: (request, reply) =>
      commit(request, reply, "change", (before) => parseObject(schema, applyMergePatch(before, request.body), [name])),
  });
}
