import { z } from "zod";
import { readablePart } from "../access/changes.ts";
import type { Principal } from "../access/permissions.ts";
import { accessSettings, user } from "../access/schema.ts";
import { withoutUsedCodes } from "../access/totp/used-codes.ts";
import { changeQuery, commitChange, difference, plan, principalOf, sendTagged, toPlan } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { compositeTag } from "../api/entity-tag.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { backups } from "../backup/schema.ts";
import { SteelyardError } from "../errors.ts";
import { system } from "../system/schema.ts";
import { compareConfigurations, redact } from "./difference.ts";
import { type CollectionName, type Configuration, collections, emptyConfiguration, singletons } from "./schema.ts";

const url = "/api/v1/configuration";
const tags = ["Configuration"];

const generationNumber = z.coerce
  .number("expected the number of a generation")
  .int("expected the number of a generation")
  .min(0, "expected the number of a generation")
  .describe("Number of the generation")
  .meta({ examples: [7] });

const generationExample = {
  generation: 7,
  parent: 6,
  author: "admin",
  source: "192.0.2.20",
  time: "2026-01-01T12:00:00.000Z",
  message: "create farm web",
  schemaVersion: 2,
  compatible: true,
};

const generation = z
  .object({
    generation: z.int().describe("Its number; they are counted up"),
    parent: z.int().describe("The generation it was made from; 0 for the first"),
    author: z.string().describe("The user who made it"),
    source: z
      .string()
      .describe(
        "Address of the client (ssh and an address: the command on the box, over SSH), or local, console, answer-file, boot",
      ),
    time: z.iso.datetime().describe("When it was made, UTC"),
    message: z.string().describe("What was done"),
    schemaVersion: z.int().describe("Of the format its objects are kept in"),
    compatible: z.boolean().describe("false: a newer system wrote it, and this one can neither read nor restore it"),
  })
  .meta({ id: "Generation", examples: [generationExample] });

const generations = defineList(generation);

const configurationExample = {
  ...emptyConfiguration(),
  users: { admin: user.parse({ roles: ["admin"] }) },
};

/** With the directory that the objects have in a generation and in a backup: from there they can be applied again. */
const members = (name: CollectionName, description = "By name") => ({
  description,
  "x-directory": collections[name].directory,
});

/** Every object, secrets hidden; the members of a collection by name. */
const wholeConfiguration = z
  .object({
    system: system.exactOptional().describe("The box itself"),
    interfaces: z.record(z.string(), collections.interfaces.object).meta(members("interfaces")),
    virtualAddresses: z.record(z.string(), collections.virtualAddresses.object).meta(members("virtualAddresses")),
    routingTables: z.record(z.string(), collections.routingTables.object).meta(members("routingTables")),
    routingRules: z.record(z.string(), collections.routingRules.object).meta(members("routingRules")),
    routingRoutes: z.record(z.string(), collections.routingRoutes.object).meta(members("routingRoutes")),
    uplinkFarms: z.record(z.string(), collections.uplinkFarms.object).meta(members("uplinkFarms")),
    farms: z.record(z.string(), collections.farms.object).meta(members("farms")),
    certificates: z.record(z.string(), z.looseObject({})).meta(members("certificates", "By name; keys are hidden")),
    access: accessSettings.exactOptional().describe("How long a login lasts"),
    users: z.record(z.string(), z.looseObject({})).meta(members("users", "By name; secret fields are hidden")),
    groups: z.record(z.string(), collections.groups.object).meta(members("groups")),
    roles: z
      .record(z.string(), collections.roles.object)
      .meta(members("roles", "By name; those that are built in are not among them")),
    apiKeys: z.record(z.string(), z.looseObject({})).meta(members("apiKeys", "By id; secret fields are hidden")),
    backups: backups.exactOptional().describe("Backups the box makes by itself"),
    directories: z
      .record(z.string(), z.looseObject({}))
      .meta(members("directories", "By name; secret fields are hidden")),
    auditTargets: z.record(z.string(), collections.auditTargets.object).meta(members("auditTargets")),
  })
  .meta({
    id: "Configuration",
    description: "Every object, secrets hidden",
    examples: [configurationExample],
  });

/** The whole configuration and its history. */
export const addConfigurationRoutes: Routes = (app, context) => {
  const { control } = context;

  app.get(url, {
    config: { permission: "configuration:read", entityTag: true },
    schema: {
      operationId: "getConfiguration",
      tags,
      summary: "Read the whole configuration, secrets hidden",
      description: "Every object by name, as the current generation has it, as far as the caller may read it.",
      response: { 200: wholeConfiguration, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { generation, configuration } = control.current();
      reply.header("Steelyard-Generation", generation);
      const shown = showConfiguration(principalOf(request), configuration);
      return sendTagged(request, reply, compositeTag(configuration), shown);
    },
  });

  app.get(`${url}/generations`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "listGenerations",
      tags,
      summary: "The history, newest first",
      description: "Each commit made one generation: who, from where, when and what.",
      querystring: generations.query,
      response: { 200: generations.answer, default: problemDocument },
    },
    handler: async (request, reply) => generations.send(request, reply, await control.history()),
  });

  app.get(`${url}/generations/:generation`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "getGeneration",
      tags,
      summary: "Read one generation",
      description: "Who made it, and the whole configuration it holds, secrets hidden.",
      params: z.strictObject({ generation: generationNumber }),
      response: {
        200: generation
          .extend({ configuration: wholeConfiguration })
          .meta({ examples: [{ ...generationExample, configuration: configurationExample }] }),
        default: problemDocument,
      },
    },
    handler: async (request) => {
      const number = (request.params as { generation: number }).generation;
      const metadata = (await control.history()).find((each) => each.generation === number);
      if (!metadata) throw new SteelyardError("not-found", `there is no generation ${number}`);
      return { ...metadata, configuration: showConfiguration(principalOf(request), await control.read(number)) };
    },
  });

  app.get(`${url}/diff`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "diffGenerations",
      tags,
      summary: "What differs between two generations, object by object",
      description: "Each object that was added, removed or changed, as unified diff of its YAML, secrets hidden.",
      querystring: z.strictObject({
        from: generationNumber.optional().describe("Left out, the parent of to; 0 is the empty configuration"),
        to: generationNumber.optional().describe("Left out, the current generation"),
      }),
      response: {
        200: z.object({
          from: z.int().describe("The older generation"),
          to: z.int().describe("The newer generation"),
          differences: z.array(difference).describe("Object by object"),
        }),
        default: problemDocument,
      },
    },
    handler: async (request) => {
      const query = request.query as { from?: number; to?: number };
      const to = query.to ?? control.current().generation;
      const from = query.from ?? (await control.history()).find((each) => each.generation === to)?.parent ?? 0;
      const principal = principalOf(request);
      const read = async (number: number) => {
        const whole = number === 0 ? emptyConfiguration() : await control.read(number);
        return { ...emptyConfiguration(), ...readablePart(principal, whole) };
      };
      return { from, to, differences: compareConfigurations(await read(from), await read(to)) };
    },
  });

  app.post(`${url}/rollback`, {
    config: { permission: "configuration:update" },
    schema: {
      operationId: "rollbackConfiguration",
      tags,
      summary: "Make a new generation with the content of an old one",
      description: "A commit like any other: checked, applied, and undone when it cannot be applied.",
      querystring: changeQuery,
      body: z
        .strictObject({
          generation: z
            .int("expected the number of a generation")
            .min(1, "expected a generation")
            .describe("The generation whose content is wanted back"),
        })
        .meta({ examples: [{ generation: 6 }] }),
      response: { 200: plan, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { generation } = request.body as { generation: number };
      const message = `roll back to generation ${generation}`;
      const old = await control.read(generation);
      const result = await commitChange(context, request, reply, message, (current) => withoutUsedCodes(current, old));
      return result ? reply.send(toPlan(result)) : reply;
    },
  });
};

/** A configuration as it may leave the box: what the caller may read, secrets hidden. */
export function showConfiguration(principal: Principal, configuration: Configuration): Record<string, unknown> {
  const result: Record<string, unknown> = readablePart(principal, configuration);
  const hide = (object: unknown, secrets: readonly string[]) => redact({ ...(object as object) }, secrets);
  for (const [name, { secrets }] of Object.entries({ ...singletons, ...collections })) {
    if (secrets.length === 0 || result[name] === undefined) continue;
    const objects = Object.entries(result[name] as Record<string, object>);
    result[name] =
      name in singletons
        ? hide(result[name], secrets)
        : Object.fromEntries(objects.map(([key, object]) => [key, hide(object, secrets)]));
  }
  return result;
}
