import { createHash } from "node:crypto";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { messageOf, type Problem, SteelyardError } from "../errors.ts";
import { readPlainYaml } from "./plain-yaml.ts";
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

/** A configuration is written next to the one before it, which was encoded when it was written itself. */
const encoded = new WeakMap<Configuration, readonly ObjectFile[]>();

/** The files of a configuration, ordered by path. */
export function encodeConfiguration(configuration: Configuration): readonly ObjectFile[] {
  const known = encoded.get(configuration);
  if (known) return known;
  const files = listFiles(configuration);
  encoded.set(configuration, files);
  return files;
}

function listFiles(configuration: Configuration): ObjectFile[] {
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

/** Objects that were decoded already, by path: those of a file that has the same text are the same. */
export type KnownObjects = Map<string, { text: string; object: object }>;

/** The objects of a configuration as they may be shared with others that are decoded. */
export function knowObjects(configuration: Configuration | undefined): KnownObjects {
  const known: KnownObjects = new Map();
  if (!configuration) return known;
  for (const name of Object.keys(singletons) as SingletonName[]) note(`${name}.yaml`, configuration[name]);
  for (const [name, { directory }] of Object.entries(collections))
    for (const [key, object] of Object.entries(configuration[name as CollectionName]))
      note(`${directory}/${key}.yaml`, object);
  return known;

  function note(path: string, object: object): void {
    const text = texts.get(object);
    if (text !== undefined) known.set(path, { text, object });
  }
}

/**
 * The configuration that files of a generation hold. Objects of `known` whose text is the same are shared, and new ones are
 * added to it.
 * Throws `corrupt` with every problem, each path being `file:field`.
 */
export function decodeConfiguration(
  files: readonly Omit<ObjectFile, "secret">[],
  known: KnownObjects = new Map(),
): Configuration {
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
      const same = known.get(path);
      const object = same?.text === text ? same.object : decodeObject(directory, name, text);
      if (directory === "") decoded[name] = object;
      else (members.get(directory) as Record<string, unknown>)[name] = object;
      known.set(path, { text, object });
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

function decodeObject(directory: string, name: string, text: string): object {
  const object = schemaOf(directory, name).parse(readPlainYaml(text) ?? parse(text)) as object;
  texts.set(object, text);
  return object;
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
