import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { type BindingKind, isPermitted, type Permission, type Scope } from "../access/permissions.ts";
import type { Machine } from "../adapters/machine.ts";
import { hiddenSecret } from "../configuration/difference.ts";
import { describeIssues } from "../configuration/issues.ts";
import { applyMergePatch } from "../configuration/merge-patch.ts";
import type { Configuration } from "../configuration/schema.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { requirePermission } from "./authentication.ts";
import { changeQuery, commitChange, conditionsOf, plan, principalOf, sendObject } from "./change.ts";
import type { ApiContext, RouteObject } from "./context.ts";
import { requireConditions } from "./entity-tag.ts";
import { defineList, type ListDefinition } from "./list.ts";
import { splitName, withName } from "./named.ts";
import { problemDocument } from "./problem.ts";

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
  /**
   * For kinds that a role can be bound to: the parameter that names the object that counts, or the field, where it is another
   * object's name.
   */
  binding?: { kind: BindingKind; parameter: string } | { kind: BindingKind; field: string };
  /** Where callers send and see something else than what is kept. */
  view?: CollectionView;
  tag: string;
  /** What the `steelyard` command calls it, when its address does not give a good word. */
  command?: string;
  /** `farm`, and what operations are called in OpenAPI: `Farm`, `Farms`. */
  noun: string;
  operation: { one: string; many: string };
  example: object;
  /** Where what is shown differs from what is sent. */
  shownExample?: object;
  /** The objects of a configuration. Throws `not-found` when a parent is not there. */
  read(configuration: Configuration, parameters: Parameters): Objects;
  replace(configuration: Configuration, parameters: Parameters, objects: Objects): Configuration;
  /** Where the collection stands in the configuration: `["farms"]`. */
  path(parameters: Parameters): string[];
};

/** Objects with secrets: what callers send and see of them. */
export type CollectionView = {
  given: z.ZodType;
  shown: z.ZodType;
  /** From what callers send to what is kept; in a patch, null takes a field away. */
  accept(given: Record<string, unknown>, path: readonly string[], machine: Machine): Promise<Record<string, unknown>>;
  /** Fields that are never shown; a PUT that leaves them out keeps them. */
  secrets: readonly string[];
};

/** GET and POST on the collection; GET, PUT, PATCH and DELETE on each object. */
export function addCollection(app: FastifyInstance, context: ApiContext, definition: CollectionDefinition): void {
  const { url, parameter, resource, noun, operation, tag, example } = definition;
  const { parents, params, shown, given, replacement, list } = schemasOf(definition);
  const { binding, view } = definition;
  const one = `${url}/:${parameter}`;
  const article = /^(?!us)[aeiou]/.test(noun) ? "an" : "a";
  const plural = noun
    .replace(/(?<=[^aeiou])y$/, "ie")
    .replace(/s$/, "se")
    .concat("s");
  const answers = (answer: z.ZodType) => z.union([answer, plan]).describe(`The ${noun}; for a dry run, the plan`);
  const { name: _name, ...replaced } = example as Record<string, unknown>;
  const responses = { default: problemDocument };
  const describe = (parameters: Parameters) => `${noun} ${[...Object.values(parameters)].join("/")}`;
  const pathOf = (parameters: Parameters) => [...definition.path(parameters), parameters[parameter] ?? ""];
  const named = definition.command === undefined ? {} : { "x-command": definition.command };
  // What stands inside another object is part of it: adding a backend is a change of its farm.
  const permit = (verb: string): Permission => `${resource}:${definition.parents && verb !== "read" ? "update" : verb}`;
  const bound = (parameters: readonly string[]): { object?: RouteObject } => {
    if (!binding) return {};
    return "parameter" in binding && parameters.includes(binding.parameter) ? { object: binding } : { object: "some" };
  };
  const ofMany = bound(Object.keys(definition.parents ?? {}));
  const ofOne = bound([...Object.keys(definition.parents ?? {}), parameter]);
  const scopeOf = (parameters: Parameters, object: object): Scope => {
    if (!binding) return "every";
    const name = "parameter" in binding ? parameters[binding.parameter] : (object as Parameters)[binding.field];
    return { name: name ?? "" };
  };
  // What other routes show in place of a secret is no secret: given back, it leaves the present one as it is.
  const accept = async (given: Record<string, unknown>, parameters: Parameters) => {
    if (!view) return given;
    const hidden = view.secrets.filter((key) => given[key] === hiddenSecret);
    const before = hidden.length > 0 ? (find(current(), parameters) as Record<string, unknown> | undefined) : undefined;
    const missing = hidden.filter((key) => before?.[key] === undefined);
    if (missing.length > 0)
      throw badInput(
        missing.map((key) => ({
          path: [...pathOf(parameters), key].join("."),
          message: "expected a value: there is no present one to keep",
        })),
      );
    const rest = Object.entries(given).filter(([key]) => !hidden.includes(key));
    return await view.accept(Object.fromEntries(rest), pathOf(parameters), context.machine);
  };
  // What was asked for has passed the schema of what is given, not that of what is kept.
  const complete = (object: Record<string, unknown>, parameters: Parameters): object => {
    const present = Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
    return view ? parseObject(definition.object, present, pathOf(parameters)) : object;
  };
  const keepSecrets = (object: Record<string, unknown>, before: object | undefined) => {
    const kept = view?.secrets.flatMap((key) => {
      const value = (before as Record<string, unknown> | undefined)?.[key];
      return value === undefined || key in object ? [] : [[key, value] as const];
    });
    return { ...object, ...Object.fromEntries(kept ?? []) };
  };
  const show = (object: object): object =>
    view ? Object.fromEntries(Object.entries(object).filter(([key]) => !view.secrets.includes(key))) : object;
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
    sendObject(request, reply, object, { name: parameters[parameter], ...show(object) });

  app.get(url, {
    config: { permission: permit("read"), ...ofMany },
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
      const parameters = request.params as Parameters;
      const objects = Object.entries(definition.read(current(), parameters)).filter(([name, object]) =>
        isPermitted(principalOf(request), permit("read"), scopeOf({ ...parameters, [parameter]: name }, object)),
      );
      return list.send(
        request,
        reply,
        objects.map(([name, object]) => ({ name, ...show(object) })),
      );
    },
  });

  app.post(url, {
    config: {
      permission: permit("create"),
      ...ofMany,
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
      body: given,
      response: { 200: plan.describe("The plan, for a dry run"), 201: shown, ...responses },
    },
    handler: async (request, reply) => {
      const { name, object: body } = splitName(request.body as Record<string, unknown>);
      const parameters = { ...(request.params as Parameters), [parameter]: name ?? "" };
      // Before the name is looked up: whether there is such an object is not for everybody to know.
      requirePermission(principalOf(request), permit("create"), scopeOf(parameters, body));
      const object = complete(await accept(body, parameters), parameters);
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
    config: { permission: permit("read"), ...ofOne, entityTag: true },
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
      const object = require(current(), parameters);
      requirePermission(principalOf(request), permit("read"), scopeOf(parameters, object));
      return send(request, reply, parameters, object);
    },
  });

  app.put(one, {
    config: {
      permission: permit("update"),
      ...ofOne,
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
      const { name, object: body } = splitName(request.body as Record<string, unknown>);
      requireSameName(name, parameters);
      const accepted = await accept(body, parameters);
      let object: object = accepted;
      let created = false;
      const done = await commitChange(context, request, reply, `put ${describe(parameters)}`, (configuration) => {
        const before = find(configuration, parameters);
        requireConditions(conditionsOf(request), before, describe(parameters));
        created = before === undefined;
        object = complete(keepSecrets(accepted, before), parameters);
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
      ...ofOne,
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
      body: mergePatch.meta({ examples: [examplePatch(definition.object, replaced)] }),
      response: { 200: answers(shown), ...responses },
    },
    handler: async (request, reply) => {
      const parameters = request.params as Parameters;
      const { name, object: body } = splitName(request.body as Record<string, unknown>);
      requireSameName(name, parameters);
      const patch = await accept(body, parameters);
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
    config: { permission: permit("delete"), ...ofOne, entityTag: true },
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

type CollectionSchemas = Record<"parents" | "params" | "shown" | "given" | "replacement", z.ZodType> & {
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
  const { shown = object, given = object } = definition.view ?? {};
  const answered = withName(shown, named).meta({ id: `Named${one}`, examples: [definition.shownExample ?? example] });
  const schemas = {
    list: defineList(answered, { sort: "name" }),
    parents: z.strictObject(parents),
    params: z.strictObject({ ...parents, [parameter]: named }),
    shown: answered,
    given: given === shown ? answered : withName(given, named).meta({ id: `New${one}`, examples: [example] }),
    replacement: withName(given, optional).meta({ id: `${one}Replacement`, examples: [replaced] }),
  };
  known.set(definition, schemas);
  return schemas;
}

/** An example of a merge patch: the last field that is no object, or else the last one; not the one that says what kind it is. */
function examplePatch(object: z.ZodType, example: Record<string, unknown>): Record<string, unknown> {
  const kind = object instanceof z.ZodDiscriminatedUnion ? object.def.discriminator : undefined;
  const fields = Object.entries(example).filter(([name]) => name !== kind);
  const plain = fields.filter(([, value]) => typeof value !== "object");
  return Object.fromEntries((plain.length > 0 ? plain : fields).slice(-1));
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
