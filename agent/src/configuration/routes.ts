import { z } from "zod";
import { authorOf, changeQuery, commitChange, isDryRun, keepCommit, plan, toPlan } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { entityTag } from "../api/entity-tag.ts";
import { listOf, listQuery, takePage } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { system } from "../system/schema.ts";
import { redact } from "./difference.ts";
import { type CollectionName, type Configuration, collections } from "./schema.ts";

const url = "/api/v1/configuration";
const tags = ["Configuration"];

const generationNumber = z.coerce
  .number("expected the number of a generation")
  .int("expected the number of a generation")
  .min(0, "expected the number of a generation");

const generation = z
  .object({
    generation: z.int(),
    parent: z.int().describe("The generation it was made from; 0 for the first"),
    author: z.string(),
    source: z.string().describe("Address of the client, or local, console, answer-file, boot"),
    time: z.iso.datetime(),
    message: z.string(),
    schemaVersion: z.int(),
  })
  .meta({ id: "Generation" });

/** Every object, secrets hidden; the members of a collection by name. */
const wholeConfiguration = z
  .object({
    system,
    interfaces: z.record(z.string(), collections.interfaces.object),
    virtualAddresses: z.record(z.string(), collections.virtualAddresses.object),
    farms: z.record(z.string(), collections.farms.object),
    users: z.record(z.string(), z.looseObject({}).describe("Secret fields are hidden")),
  })
  .meta({ id: "Configuration" });

const difference = z
  .object({
    object: z.string().describe("Such as farms/web"),
    change: z.enum(["added", "removed", "changed"]),
    text: z.string().describe("Unified diff of its YAML"),
  })
  .meta({ id: "Difference" });

/** The whole configuration and its history. */
export const addConfigurationRoutes: Routes = (app, context) => {
  const { control } = context;

  app.get(url, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "getConfiguration",
      tags,
      summary: "Read the whole configuration, secrets hidden",
      response: { 200: wholeConfiguration, default: problemDocument },
    },
    handler: async (_request, reply) => {
      const { generation, configuration } = control.current();
      return reply
        .header("ETag", entityTag(configuration))
        .header("Steelyard-Generation", generation)
        .send(redactConfiguration(configuration));
    },
  });

  app.get(`${url}/generations`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "listGenerations",
      tags,
      summary: "The history, newest first",
      querystring: listQuery,
      response: { 200: listOf(generation), default: problemDocument },
    },
    handler: async (request) => takePage(await control.history(), request.query as z.output<typeof listQuery>),
  });

  app.get(`${url}/generations/:generation`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "getGeneration",
      tags,
      summary: "One generation: who made it, and the whole configuration it holds",
      params: z.strictObject({ generation: generationNumber }),
      response: { 200: generation.extend({ configuration: wholeConfiguration }), default: problemDocument },
    },
    handler: async (request) => {
      const number = (request.params as { generation: number }).generation;
      const metadata = (await control.history()).find((each) => each.generation === number);
      if (!metadata) throw new SteelyardError("not-found", `there is no generation ${number}`);
      return { ...metadata, configuration: redactConfiguration(await control.read(number)) };
    },
  });

  app.get(`${url}/diff`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "diffGenerations",
      tags,
      summary: "What differs between two generations, object by object",
      querystring: z.strictObject({
        from: generationNumber.optional().describe("Left out, the parent of to; 0 is the empty configuration"),
        to: generationNumber.optional().describe("Left out, the current generation"),
      }),
      response: {
        200: z.object({ from: z.int(), to: z.int(), differences: z.array(difference) }),
        default: problemDocument,
      },
    },
    handler: async (request) => {
      const query = request.query as { from?: number; to?: number };
      const to = query.to ?? control.current().generation;
      const from = query.from ?? (await control.history()).find((each) => each.generation === to)?.parent ?? 0;
      return { from, to, differences: await control.diff(from, to) };
    },
  });

  app.post(`${url}/rollback`, {
    config: { permission: "configuration:update" },
    schema: {
      operationId: "rollbackConfiguration",
      tags,
      summary: "Make a new generation with the content of an old one",
      querystring: changeQuery,
      body: z
        .strictObject({ generation: z.int("expected the number of a generation").min(1, "expected a generation") })
        .meta({ examples: [{ generation: 6 }] }),
      response: { 200: plan, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { generation } = request.body as { generation: number };
      const message = `roll back to generation ${generation}`;
      if (isDryRun(request)) {
        const old = await control.read(generation);
        await commitChange(context, request, reply, message, () => old);
        return reply;
      }
      const result = await control.rollback(generation, authorOf(request));
      keepCommit(request, message, result);
      return reply.header("Steelyard-Generation", result.generation).send(toPlan(result));
    },
  });
};

/** A configuration as it may leave the box. */
export function redactConfiguration(configuration: Configuration): Record<string, unknown> {
  const result: Record<string, unknown> = { ...configuration };
  for (const [name, { secrets }] of Object.entries(collections)) {
    const objects = Object.entries(configuration[name as CollectionName]);
    if (secrets.length > 0)
      result[name] = Object.fromEntries(objects.map(([key, object]) => [key, redact({ ...object }, secrets)]));
  }
  return result;
}
