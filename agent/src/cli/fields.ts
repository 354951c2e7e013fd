import { SteelyardError } from "../errors.ts";
import type { Client } from "./client.ts";

/**
 * `field=value` arguments, typed by the schemas in the box's own OpenAPI document, so that the command holds no second model
 * of the objects and fits a box of another version.
 */

type Schema = {
  $ref?: string;
  type?: string;
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
};

type Document = {
  paths: Record<string, Record<string, { requestBody?: { content: Record<string, { schema: Schema }> } }>>;
  components: { schemas: Record<string, Schema> };
};

export type Fields = Record<string, unknown>;

/**
 * The merge patch that arguments describe, nested along the dots: `backends.b1.state=down`. Lists are written with commas;
 * `field=` alone is null, which takes a field back to its default; `field:=…` takes JSON as it stands.
 * `operation` names the request whose body they are for: `put /api/v1/farms/{farm}`.
 * Throws `bad-input` that names the argument.
 */
export async function readFields(client: Client, operation: string, words: readonly string[]): Promise<Fields> {
  if (words.length === 0) return {};
  const [method = "", path = ""] = operation.split(" ");
  const { body: document } = await client.send<Document>("GET", "/api/v1/openapi.json");
  const schema = document.paths[path]?.[method]?.requestBody?.content["application/json"]?.schema;
  if (!schema) throw new SteelyardError("internal", `the box knows no ${operation}: is its version another one?`);
  return mergeFields(words, (segments) => findSchema(document, schema, segments));
}

/** The work of {@link readFields}, with the schemas looked up by a function. */
export function mergeFields(words: readonly string[], schemaOf: (segments: string[]) => Schema | undefined): Fields {
  const fields: Fields = {};
  for (const word of words) {
    const match = /^([A-Za-z0-9_.-]+?)(:?=)(.*)$/s.exec(word);
    if (!match) throw new SteelyardError("bad-input", `${word}: expected field=value, like algorithm=round-robin`);
    const [, path = "", operator, text = ""] = match;
    const segments = path.split(".");
    if (segments.some((segment) => segment === "" || segment === "__proto__"))
      throw new SteelyardError("bad-input", `${path}: expected names separated by dots`);
    const value = operator === ":=" ? readJson(path, text) : readValue(schemaOf(segments), path, text);
    setField(fields, segments, value);
  }
  return fields;
}

/** The fields of a new object, where a default is had by leaving the field out. */
export function withoutNulls(fields: Fields): Fields {
  const kept = Object.entries(fields).filter(([, value]) => value !== null);
  return Object.fromEntries(
    kept.map(([key, value]) => [
      key,
      typeof value === "object" && !Array.isArray(value) ? withoutNulls(value as Fields) : value,
    ]),
  );
}

function setField(fields: Fields, segments: readonly string[], value: unknown): void {
  let place = fields;
  for (const segment of segments.slice(0, -1)) {
    const next = Object.hasOwn(place, segment) ? place[segment] : undefined;
    if (typeof next !== "object" || next === null) place[segment] = {};
    place = place[segment] as Fields;
  }
  place[segments.at(-1) ?? ""] = value;
}

function readJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SteelyardError("bad-input", `${path}: expected JSON after := (${(error as Error).message})`);
  }
}

function readValue(schema: Schema | undefined, path: string, text: string): unknown {
  const types = typesOf(schema);
  if (text === "") return null;
  if (types.has("array")) {
    const items = typesOf(itemsOf(schema));
    return text.split(",").map((part) => readScalar(items, path, part.trim()));
  }
  if (types.has("object"))
    throw new SteelyardError(
      "bad-input",
      `${path}: has fields of its own: write ${path}.field=value, or ${path}:=JSON`,
    );
  return readScalar(types, path, text);
}

function readScalar(types: ReadonlySet<string>, path: string, text: string): unknown {
  if (types.has("boolean") && !types.has("string")) {
    if (text === "true" || text === "yes" || text === "on") return true;
    if (text === "false" || text === "no" || text === "off") return false;
    throw new SteelyardError("bad-input", `${path}: expected true or false, not ${text}`);
  }
  if ((types.has("integer") || types.has("number")) && !types.has("string")) {
    if (!/^-?\d+(?:\.\d+)?$/.test(text))
      throw new SteelyardError("bad-input", `${path}: expected a number, not ${text}`);
    return Number(text);
  }
  return text;
}

function typesOf(schema: Schema | undefined): Set<string> {
  const types = new Set<string>();
  for (const each of [schema, ...(schema?.anyOf ?? []), ...(schema?.oneOf ?? [])]) if (each?.type) types.add(each.type);
  return types;
}

function itemsOf(schema: Schema | undefined): Schema | undefined {
  return schema?.items ?? schema?.anyOf?.find(({ items }) => items)?.items;
}

/** The schema of a field; undefined when there is none, which the box will say better. */
function findSchema(document: Document, root: Schema, segments: readonly string[]): Schema | undefined {
  let candidates = expand(document, root);
  for (const segment of segments) {
    candidates = candidates.flatMap((each) => {
      const { properties, additionalProperties } = each;
      const own = properties && Object.hasOwn(properties, segment) ? properties[segment] : undefined;
      const next = own ?? (typeof additionalProperties === "object" ? additionalProperties : undefined);
      return next ? expand(document, next) : [];
    });
  }
  return candidates[0];
}

/** A schema without references, and its alternatives when these are objects. */
function expand(document: Document, schema: Schema): Schema[] {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1) ?? "";
    const target = document.components.schemas[name];
    return target ? expand(document, target) : [];
  }
  const alternatives = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].filter(
    ({ $ref, properties }) => $ref || properties,
  );
  return alternatives.length > 0 ? alternatives.flatMap((each) => expand(document, each)) : [schema];
}
