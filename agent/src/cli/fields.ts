import type { Client } from "../client/client.ts";
import { SteelyardError } from "../errors.ts";
import { type ApiDocument, type ApiOperation, bodyOf } from "./model.ts";
import { findSchema, itemsOf, numberBesideWords, type Schema, typesOf } from "./schemas.ts";

/**
 * `field=value` arguments, typed by the schemas in the box's own OpenAPI document, so that the command holds no second model
 * of the objects and fits a box of another version.
 */

export type Fields = Record<string, unknown>;

/** Reads what `field@=file` names; told the field too, for whoever asks a person. */
export type ReadText = (file: string, path: string) => Promise<string>;

/** The schema of the object that a request changes: a merge patch has none of its own, a replacement of the object has. */
export function schemaOfBody(document: ApiDocument, method: string, path: string): Schema | undefined {
  const item = document.paths[path] ?? {};
  const operation: ApiOperation | undefined = (method === "patch" ? item.put : undefined) ?? item[method];
  return operation && bodyOf(operation)?.schema;
}

/**
 * The merge patch that arguments describe, nested along the dots: `backends.b1.state=down`. Lists are written with commas;
 * `field=` alone is null, which takes a field back to its default; `field:=…` takes JSON as it stands; `field@=file` the text
 * of a file. `operation` names the request they are for: `patch /api/v1/farms/{farm}`. Throws `bad-input` that names the argument.
 */
export async function readFields(
  client: Client,
  operation: string,
  words: readonly string[],
  readText: ReadText,
): Promise<Fields> {
  if (words.length === 0) return {};
  const [method = "", path = ""] = operation.split(" ");
  const { body: document } = await client.send<ApiDocument>("GET", "/api/v1/openapi.json");
  const schema = schemaOfBody(document, method, path);
  if (!schema) throw new SteelyardError("internal", `the box knows no ${operation}: is its version another one?`);
  const texts = new Map<string, string>();
  for (const word of words) {
    const [, path = "", file] = /^([A-Za-z0-9_.-]+)@=(.*)$/s.exec(word) ?? [];
    if (file !== undefined) texts.set(word, await readText(file, path));
  }
  return mergeFields(words, (segments) => findSchema(document, schema, segments), texts);
}

/** The work of {@link readFields}, with the schemas looked up by a function and the files read. */
export function mergeFields(
  words: readonly string[],
  schemaOf: (segments: string[]) => Schema | undefined,
  texts: ReadonlyMap<string, string> = new Map(),
): Fields {
  const fields: Fields = {};
  for (const word of words) {
    const match = /^([A-Za-z0-9_.-]+?)([:@]?=)(.*)$/s.exec(word);
    if (!match) throw new SteelyardError("bad-input", `${word}: expected field=value, like algorithm=round-robin`);
    const [, path = "", operator, text = ""] = match;
    const segments = path.split(".");
    if (segments.some((segment) => segment === "" || segment === "__proto__"))
      throw new SteelyardError("bad-input", `${path}: expected names separated by dots`);
    if (operator === ":=") setField(fields, segments, readJson(path, text));
    else if (operator === "@=") setField(fields, segments, texts.get(word) ?? "");
    else setField(fields, segments, readValue(schemaOf(segments), path, text));
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
    // Nothing else could be meant.
    if (items.has("object") && text.startsWith("[")) return readJson(path, text);
    return text.split(",").map((part) => readScalar(items, path, part.trim()));
  }
  if (types.has("object") && text.startsWith("{")) return readJson(path, text);
  if (types.has("object"))
    throw new SteelyardError(
      "bad-input",
      `${path}: has fields of its own: write ${path}.field=value, or ${path}:=JSON`,
    );
  const number = numberBesideWords(schema);
  return readScalar(number && /^-?\d/.test(text) ? typesOf(number) : types, path, text);
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
