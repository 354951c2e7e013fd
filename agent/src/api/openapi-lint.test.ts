import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { FastifySchema } from "fastify";
import t from "tap";
import { z } from "zod";
import { setUpServer } from "./testing.ts";

type Json = Record<string, unknown>;
type Schema = Json & { properties?: Record<string, Schema>; $ref?: string; description?: string };
type Media = { schema: Schema; example?: unknown; examples?: Record<string, { value: unknown }> };
type Operation = {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  parameters: ({ name: string; description?: string } & { $ref?: string })[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, { $ref?: string; description: string; content?: Record<string, Media> }>;
};

const { https } = await setUpServer(t);
const document = (await https.inject("/api/v1/openapi.json")).json();
const schemas: Record<string, Schema> = document.components.schemas;
const operations = Object.entries(document.paths as Record<string, Record<string, Operation>>).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ line: `${method.toUpperCase()} ${path}`, operation })),
);

t.test("a public validator finds no fault in the OpenAPI document", async (t) => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  t.same(result.valid ? [] : result.errors, []);
  t.equal(validator.version, "3.1");
});

t.test("every operation tells what it does, what it takes and what it answers", async (t) => {
  const known = new Set((document.tags as { name: string; description?: string }[]).map(({ name }) => name));
  for (const { name, description } of document.tags) t.ok(description, `the tag ${name} is described`);
  const missing: string[] = [];
  for (const { line, operation } of operations) {
    const expect = (what: string, there: unknown) => !there && missing.push(`${line}: ${what}`);
    expect("summary", operation.summary);
    expect("description", operation.description);
    expect("a tag of openapi.ts", operation.tags.length > 0 && operation.tags.every((tag) => known.has(tag)));
    for (const { name, description, $ref } of operation.parameters)
      expect(`description of the parameter ${name}`, $ref ?? description);
    for (const [type, media] of Object.entries(operation.requestBody?.content ?? {}))
      expect(`example of the body ${type}`, exampleOf(media));
    const patch = operation.requestBody?.content["application/merge-patch+json"];
    if (patch) expect("example of a patch that changes something", Object.keys(exampleOf(patch) as object).length > 0);
    const statuses = Object.keys(operation.responses);
    expect(
      "a success",
      statuses.some((status) => status.startsWith("2")),
    );
    for (const status of ["400", "429", "500", "503"]) expect(`the error ${status}`, statuses.includes(status));
    if (operation.requestBody) expect("the error 413", statuses.includes("413"));
    for (const [status, { $ref, description, content }] of Object.entries(operation.responses)) {
      if ($ref) continue;
      expect(`description of ${status}`, description && description !== "Default Response");
      for (const media of Object.values(content ?? {})) expect(`example of ${status}`, exampleOf(media));
    }
  }
  t.same(missing, []);
});

t.test("every field says what it means", async (t) => {
  const missing: string[] = [];
  visit({ paths: document.paths, schemas }, "", (schema, path) => {
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const target = property.$ref === undefined ? undefined : schemas[property.$ref.split("/").at(-1) ?? ""];
      if (!property.description && !target?.description) missing.push(`${path}.${name}`);
    }
  });
  t.same(missing, []);
});

t.test("every example in the document fits its schema", async (t) => {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  ajv.addSchema({ $id: "http://box/openapi.json", ...document });
  let count = 0;
  const check = (schema: Schema, example: unknown, where: string) => {
    count += 1;
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"http://box/openapi.json#/'));
    const validate = ajv.compile(absolute);
    t.ok(validate(example), `${where}: ${ajv.errorsText(validate.errors)}`);
  };
  const checkMedia = (content: Record<string, Media> | undefined, where: string) => {
    for (const media of Object.values(content ?? {}))
      for (const example of examplesOf(media)) check(media.schema, example, where);
  };
  for (const { line, operation } of operations) {
    checkMedia(operation.requestBody?.content, `${line}, body`);
    for (const [status, { content }] of Object.entries(operation.responses)) checkMedia(content, `${line}, ${status}`);
  }
  for (const [name, response] of Object.entries(document.components.responses))
    checkMedia((response as Operation["responses"][string]).content, name);
  for (const [name, schema] of Object.entries(schemas))
    for (const example of (schema.examples as unknown[] | undefined) ?? []) check(schema, example, name);
  t.ok(count > 100, `${count} examples`);
});

t.test("every example of a zod schema passes that schema", async (t) => {
  const { server } = await setUpServer(t);
  const seen = new Set<unknown>();
  let count = 0;
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof z.ZodType) {
      const { examples = [], id } = z.globalRegistry.get(value) ?? {};
      for (const example of examples as unknown[]) {
        count += 1;
        const result = value.safeParse(example);
        t.ok(result.success, `${id ?? value.def.type}: ${JSON.stringify(example)} ${result.error?.message ?? ""}`);
      }
      walk(value.def);
    } else {
      for (const part of Object.values(value)) if (typeof part !== "function" || part instanceof z.ZodType) walk(part);
    }
  };
  for (const schema of server.local.knownRoutes.map((route) => route.schema as FastifySchema | undefined)) walk(schema);
  t.ok(count > 30, `${count} examples`);
});

function exampleOf(media: Media): unknown {
  return examplesOf(media)[0];
}

function examplesOf({ example, examples }: Media): unknown[] {
  if (example !== undefined) return [example];
  return Object.values(examples ?? {}).map(({ value }) => value);
}

/** Every schema below a value, with where it stands. */
function visit(value: unknown, path: string, see: (schema: Schema, path: string) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value) && typeof (value as Json).properties === "object") see(value as Schema, path);
  for (const [key, part] of Object.entries(value)) {
    if (key !== "example" && key !== "examples" && key !== "default") visit(part, `${path}/${key}`, see);
  }
}
