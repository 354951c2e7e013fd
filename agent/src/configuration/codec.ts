import { createHash } from "node:crypto";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { messageOf, type Problem, SteelyardError } from "../errors.ts";
import {
  type CollectionName,
  type Configuration,
  collections,
  emptyConfiguration,
  type SingletonName,
  singletons,
} from "./schema.ts";

/** Between a configuration and the files of a generation: path -> text, pure. */

/** One file of a generation, below its directory. */
export type ObjectFile = { path: string; text: string; secret: boolean };

/** Objects are immutable values shared between generations, so each is turned to YAML once. */
const texts = new WeakMap<object, string>();

function toYaml(object: object): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = stringify(object, { lineWidth: 0, aliasDuplicateObjects: false });
  texts.set(object, text);
  return text;
}

/** The files of a configuration, ordered by path. */
export function encodeConfiguration(configuration: Configuration): ObjectFile[] {
  const files: ObjectFile[] = Object.entries(singletons).map(([name, { secrets }]) => ({
    path: `${name}.yaml`,
    text: toYaml(configuration[name as SingletonName]),
    secret: secrets.length > 0,
  }));
  for (const [name, { directory, secrets }] of Object.entries(collections)) {
    for (const [key, object] of Object.entries(configuration[name as CollectionName])) {
      files.push({ path: `${directory}/${key}.yaml`, text: toYaml(object), secret: secrets.length > 0 });
    }
  }
  return files.sort((one, other) => (one.path < other.path ? -1 : 1));
}

/** SHA-256 over paths and contents: the same for the same configuration, whatever its history. */
export function digestFiles(files: readonly Omit<ObjectFile, "secret">[]): string {
  const hash = createHash("sha256");
  for (const { path, text } of files) hash.update(`${path}\0${Buffer.byteLength(text)}\0`).update(text);
  return hash.digest("hex");
}

/**
 * The configuration that files of a generation hold.
 * Throws `corrupt` with every problem, each path being `file:field`.
 */
export function decodeConfiguration(files: readonly Omit<ObjectFile, "secret">[]): Configuration {
  const problems: Problem[] = [];
  const decoded: Record<string, unknown> = { ...emptyConfiguration() };
  const members = new Map<string, Record<string, unknown>>();
  for (const [name, { directory }] of Object.entries(collections)) {
    const objects: Record<string, unknown> = {};
    decoded[name] = objects;
    members.set(directory, objects);
  }
  for (const { path, text } of files) {
    const slash = path.lastIndexOf("/");
    const directory = path.slice(0, Math.max(slash, 0));
    const name = path.slice(slash + 1, -".yaml".length);
    try {
      const schema = schemaOf(directory, name);
      const object = schema.parse(parse(text));
      if (directory === "") decoded[name] = object;
      else (members.get(directory) as Record<string, unknown>)[name] = object;
      if (typeof object === "object" && object !== null) texts.set(object, text);
    } catch (error) {
      problems.push(...describe(path, error));
    }
  }
  if (problems.length > 0) {
    const first = problems[0] as Problem;
    throw new SteelyardError("corrupt", `${first.path}: ${first.message}`, { problems });
  }
  return decoded as Configuration;
}

function schemaOf(directory: string, name: string): z.ZodType {
  if (directory === "" && Object.hasOwn(singletons, name)) return singletons[name as SingletonName].object;
  const collection = Object.values(collections).find((each) => each.directory === directory);
  if (!collection) throw new Error("not a file of a configuration");
  collection.name.parse(name);
  return collection.object;
}

function describe(path: string, error: unknown): Problem[] {
  if (error instanceof z.ZodError) {
    return error.issues.map((issue) => ({ path: `${path}:${issue.path.join(".")}`, message: issue.message }));
  }
  return [{ path, message: messageOf(error) }];
}
