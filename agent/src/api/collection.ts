import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Permission } from "../access/permissions.ts";
import { describeIssues } from "../configuration/issues.ts";
import type { Configuration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import { changeQuery, commitChange, conditionsOf, plan, sendObject } from "./change.ts";
import type { ApiContext } from "./context.ts";
import { requireConditions } from "./entity-tag.ts";
import { defineList, type ListDefinition } from "./list.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { splitName, withName } from "./named.ts";
import { badInput, problemDocument } from "./problem.ts";

type Parameters = Record<string, string>;
type Objects = Readonly<Record<string, object>>;

/** A kind of object that has a name: what the six routes of its collection need to know. */
export type CollectionDefinition = {
  /** `/api/v1/farms`; may hold parameters of its own. */
  url: string;
  /** The parameter that names one object, and its schema; and those of the parameters before it. */
  parameter: string;
  name: z.ZodType<string>;
  parents?: Record<string, z.ZodType<string>>;
  object: z.ZodType;
  /** The first half of the permissions. */
  resource: string;
  tag: string;
  /** What the `steelyard` command calls it, when its address does not give a good word. */
  command?: string;
  /** `farm`, and what operations are called in OpenAPI: `Farm`, `Farms`. */
  noun: string;
  operation: { one: string; many: string };
  example: object;
  /** The objects of a configuration. Throws `not-found` when a parent is not there. */
  read(configuration: Configuration, parameters: Parameters): Objects;
  replace(configuration: Configuration, parameters: Parameters, objects: Objects): Configuration;
  /** Where the collection stands in the configuration: `["farms"]`. */
  path(parameters: Parameters): string[];
};

/** GET and POST on the collection; GET, PUT, PATCH and DELETE on each object. */
export function addCollection(app: FastifyInstance, context: ApiContext, definition: CollectionDefinition): void {
  const { url, parameter, resource, noun, operation, tag, example } = definition;
  const { parents, params, shown, replacement, list } = schemasOf(definition);
  const one = `${url}/:${parameter}`;
  const article = /^[aeiou]/.test(noun) ? "an" : "a";
  const plural = noun.endsWith("s") ? `${noun}es` : `${noun}s`;
  const answers = (answer: z.ZodType) => z.union([answer, plan]).describe(`The ${noun}; for a dry run, the plan`);
  const { name: _name, ...replaced } = example as Record<string, unknown>;
  const responses = { default: problemDocument };
  const describe = (parameters: Parameters) => `${noun} ${[...Object.values(parameters)].join("/")}`;
  const pathOf = (parameters: Parameters) => [...definition.path(parameters), parameters[parameter] ?? ""];
  const named = definition.command === undefined ? {} : { "x-command": definition.command };
  const permit = (verb: string): Permission => `${resource}:${verb}`;
  const current = () => context.control.current().configuration;

  const find = (configuration: Configuration, parameters: Parameters): object | undefined => {
    const objects = definition.read(configuration, parameters);
    const name = parameters[parameter] ?? "";
    return Object.hasOwn(objects, name) ? objects[name] : undefined;
  };
  const require = (configuration: Configuration, parameters: Parameters): object => {
    const object = find(configuration, parameters);
    if (!object) throw new SteelyardError("not-found", `there is no ${describe(parameters)}`);
    return object;
  };
  const put = (configuration: Configuration, parameters: Parameters, object: object): Configuration => {
    const objects = definition.read(configuration, parameters);
    return definition.replace(configuration, parameters, { ...objects, [parameters[parameter] ?? ""]: object });
  };
  const send = (request: FastifyRequest, reply: FastifyReply, parameters: Parameters, object: object) =>
    sendObject(request, reply, object, { name: parameters[parameter], ...object });

  app.get(url, {
    config: { permission: permit("read") },
    schema: {
      ...named,
      operationId: `list${operation.many}`,
      tags: [tag],
      summary: `List ${plural}`,
      description: `Every ${noun} with all its fields; filtered, sorted and in pages when asked for.`,
      params: parents,
      querystring: list.query,
      response: { 200: list.answer, ...responses },
    },
    handler: async (request, reply) => {
      const objects = definition.read(current(), request.params as Parameters);
      const named = Object.entries(objects).map(([name, object]) => ({ name, ...object }));
      return list.send(request, reply, named);
    },
  });

  app.post(url, {
    config: {
      permission: permit("create"),
      entityTag: true,
      bodyPath: (request) => {
        const name = (request.body as { name?: unknown } | undefined)?.name;
        return [...definition.path(request.params as Parameters), ...(typeof name === "string" ? [name] : [])];
      },
    },
    schema: {
      ...named,
      operationId: `create${operation.one}`,
      tags: [tag],
      summary: `Create ${article} ${noun}`,
      description: `The ${noun} with its name. Fields that are left out get their defaults; a name that is taken is refused.`,
      params: parents,
      querystring: changeQuery,
      body: shown,
      response: { 200: plan.describe("The plan, for a dry run"), 201: shown, ...responses },
    },
    handler: async (request, reply) => {
      const { name, object } = splitName(request.body as Record<string, unknown>);
      const parameters = { ...(request.params as Parameters), [parameter]: name ?? "" };
      const done = await commitChange(context, request, reply, `create ${describe(parameters)}`, (configuration) => {
        if (find(configuration, parameters))
          throw new SteelyardError("exists", `there is a ${describe(parameters)} already`, {
            problems: [{ path: pathOf(parameters).join("."), message: "the name is taken" }],
          });
        return put(configuration, parameters, object);
      });
      if (!done) return reply;
      reply.code(201).header("Location", `${request.url.split("?")[0]}/${name}`);
      return send(request, reply, parameters, object);
    },
  });

  app.get(one, {
    config: { permission: permit("read"), entityTag: true },
    schema: {
      ...named,
      operationId: `get${operation.one}`,
      tags: [tag],
      summary: `Read ${article} ${noun}`,
      description: "With all its fields, defaults filled in: what was read can be put back as it is.",
      params,
      response: { 200: shown, ...responses },
    },
    handler: async (request, reply) => {
      const parameters = request.params as Parameters;
      return send(request, reply, parameters, require(current(), parameters));
    },
  });

  app.put(one, {
    config: {
      permission: permit("update"),
      entityTag: true,
      bodyPath: (request) => pathOf(request.params as Parameters),
    },
    schema: {
      ...named,
      operationId: `put${operation.one}`,
      tags: [tag],
      summary: `Create ${article} ${noun} or replace it whole`,
      description:
        "Fields that are left out get their defaults. `If-None-Match: *` only creates, `If-Match` only replaces.",
      params,
      querystring: changeQuery,
      body: replacement,
      response: { 200: answers(shown), 201: shown, ...responses },
    },
    handler: async (request, reply) => {
      const parameters = request.params as Parameters;
      const { name, object } = splitName(request.body as Record<string, unknown>);
      requireSameName(name, parameters);
      let created = false;
      const done = await commitChange(context, request, reply, `put ${describe(parameters)}`, (configuration) => {
        const before = find(configuration, parameters);
        requireConditions(conditionsOf(request), before, describe(parameters));
        created = before === undefined;
        return put(configuration, parameters, object);
      });
      if (!done) return reply;
      if (created) reply.code(201).header("Location", request.url.split("?")[0]);
      return send(request, reply, parameters, object);
    },
  });

  app.patch(one, {
    config: {
      permission: permit("update"),
      entityTag: true,
      bodyPath: (request) => pathOf(request.params as Parameters),
    },
    schema: {
      ...named,
      operationId: `patch${operation.one}`,
      tags: [tag],
      summary: `Change fields of ${article} ${noun} (JSON merge patch, RFC 7396)`,
      description: "Fields that are left out stay; null takes one back to its default, or removes a member.",
      params,
      querystring: changeQuery,
      consumes: ["application/merge-patch+json", "application/json"],
      body: mergePatch.meta({ examples: [examplePatch(replaced)] }),
      response: { 200: answers(shown), ...responses },
    },
    handler: async (request, reply) => {
      const parameters = request.params as Parameters;
      const { name, object: patch } = splitName(request.body as Record<string, unknown>);
      requireSameName(name, parameters);
      let object: object = {};
      const done = await commitChange(context, request, reply, `change ${describe(parameters)}`, (configuration) => {
        const before = require(configuration, parameters);
        requireConditions(conditionsOf(request), before, describe(parameters));
        object = parseObject(definition.object, applyMergePatch(before, patch), pathOf(parameters));
        return put(configuration, parameters, object);
      });
      return done ? send(request, reply, parameters, object) : reply;
    },
  });

  app.delete(one, {
    config: { permission: permit("delete"), entityTag: true },
    schema: {
      ...named,
      operationId: `delete${operation.one}`,
      tags: [tag],
      summary: `Delete ${article} ${noun}`,
      description: `Refused while something else needs the ${noun}.`,
      params,
      querystring: changeQuery,
      response: { 200: plan.describe("The plan, for a dry run"), 204: z.null().describe("Deleted"), ...responses },
    },
    handler: async (request, reply) => {
      const parameters = request.params as Parameters;
      const done = await commitChange(context, request, reply, `delete ${describe(parameters)}`, (configuration) => {
        requireConditions(conditionsOf(request), require(configuration, parameters), describe(parameters));
        const { [parameters[parameter] ?? ""]: _deleted, ...rest } = definition.read(configuration, parameters);
        return definition.replace(configuration, parameters, rest);
      });
      return done ? reply.code(204).send() : reply;
    },
  });

  function requireSameName(name: string | undefined, parameters: Parameters): void {
    const wanted = parameters[parameter] ?? "";
    if (name === undefined || name === wanted) return;
    const path = [...pathOf(parameters), "name"].join(".");
    throw badInput([{ path, message: `expected ${wanted}, as in the address: an object keeps its name` }]);
  }
}

type CollectionSchemas = {
  parents: z.ZodType;
  params: z.ZodType;
  shown: z.ZodType;
  replacement: z.ZodType;
  list: ListDefinition;
};

/** Made once per collection: a schema with an id may exist once, and applications are many. */
const known = new WeakMap<CollectionDefinition, CollectionSchemas>();

function schemasOf(definition: CollectionDefinition): CollectionSchemas {
  const made = known.get(definition);
  if (made) return made;
  const { parameter, name, object, noun, example } = definition;
  const { name: _name, ...replaced } = example as Record<string, unknown>;
  const parents = Object.fromEntries(
    Object.entries(definition.parents ?? {}).map(([key, schema]) => [key, schema.describe(`Name of the ${key}`)]),
  );
  const named = name.describe(`Name of the ${noun}`);
  const optional = name.optional().describe("When given, the name in the address: an object keeps its name");
  const { one } = definition.operation;
  const shown = withName(object, named).meta({ id: `Named${one}`, examples: [example] });
  const schemas = {
    list: defineList(shown, { sort: "name" }),
    parents: z.strictObject(parents),
    params: z.strictObject({ ...parents, [parameter]: named }),
    shown,
    replacement: withName(object, optional).meta({ id: `${one}Replacement`, examples: [replaced] }),
  };
  known.set(definition, schemas);
  return schemas;
}

/** An example of a merge patch: the last field that is no object, which is what people change. */
function examplePatch(example: Record<string, unknown>): Record<string, unknown> {
  const fields = Object.entries(example).filter(([, value]) => typeof value !== "object");
  return Object.fromEntries(fields.slice(-1));
}

/** The body of a PATCH: its result is what must fit the schema. */
export const mergePatch = z
  .looseObject({})
  .meta({ id: "MergePatch", description: "The fields to change; null takes a field back to its default" });

/** Parses an object against its schema. Throws `bad-input` with every problem, its path from the root of the configuration. */
export function parseObject(schema: z.ZodType, value: unknown, path: readonly string[]): object {
  const result = schema.safeParse(value);
  if (!result.success) throw badInput(describeIssues(result.error, path));
  return result.data as object;
}
