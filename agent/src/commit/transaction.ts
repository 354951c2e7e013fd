import { hiddenSecret } from "../configuration/difference.ts";
import { describeIssues } from "../configuration/issues.ts";
import { applyMergePatch } from "../configuration/merge-patch.ts";
import {
  type CollectionName,
  type Configuration,
  collections,
  emptyConfiguration,
  type SingletonName,
  singletons,
} from "../configuration/schema.ts";
import { type Problem, SteelyardError } from "../errors.ts";

/** Many objects changed in one commit: from the current configuration to the wanted one, pure. */

/** One change of one object; `object` is its path in a generation without the ending: `farms/web`, `system`. */
export type ObjectChange =
  | { op: "put"; object: string; value: unknown }
  /** JSON merge patch, RFC 7396. */
  | { op: "patch"; object: string; value: unknown }
  | { op: "delete"; object: string };

type Objects = Record<string, object>;
type Place = {
  /** Where the object stands in the configuration: the beginning of each problem's path. */
  path: string[];
  schema: { safeParse: (typeof singletons)["system"]["object"]["safeParse"] };
  secrets: readonly string[];
  present: object | undefined;
  /** Puts an object there; undefined takes it away. */
  keep(object: object | undefined): void;
  single: boolean;
};

/**
 * Carries out changes in their order; one object may be changed more than once. Throws `bad-input` with every problem of
 * every object, their paths from the root of the configuration.
 */
export function applyTransaction(current: Configuration, changes: readonly ObjectChange[]): Configuration {
  const draft = copyCollections(current);
  const problems = changes.flatMap((change, at) => applyChange(draft, change, `changes.${at}`));
  refuse(problems);
  return draft;
}

/**
 * A whole configuration as the API shows it, in place of the current one: what it leaves out goes away or takes its default.
 * Throws `bad-input` as {@link applyTransaction} does.
 */
export function replaceConfiguration(current: Configuration, whole: Record<string, unknown>): Configuration {
  const draft: Configuration = emptyConfiguration();
  const problems: Problem[] = [];
  for (const [name, value] of Object.entries(whole)) {
    if (Object.hasOwn(singletons, name)) {
      problems.push(...put(placeOfSingleton(draft, name as SingletonName, current), value));
    } else if (!Object.hasOwn(collections, name)) {
      problems.push({ path: name, message: "there is no such field" });
    } else if (!isObject(value)) {
      problems.push({ path: name, message: "expected objects by name" });
    } else {
      for (const [key, object] of Object.entries(value))
        problems.push(...put(placeOfMember(draft, name as CollectionName, key, current), object));
    }
  }
  refuse(problems);
  return draft;
}

/** An object that a transaction speaks of, whether there is one or not; `value` is what it says of it. */
export type Mention = { name: CollectionName | SingletonName; key?: string; value?: unknown };

/** The objects that changes name, or a whole configuration; what is no object is left to those who apply it. */
export function listMentions({
  changes = [],
  replace = {},
}: {
  changes?: readonly ObjectChange[] | undefined;
  replace?: Record<string, unknown> | undefined;
}): Mention[] {
  return [
    ...changes.flatMap((change): Mention[] => {
      const found = locate(change.object);
      return found ? [{ ...found, value: change.op === "put" ? change.value : undefined }] : [];
    }),
    ...Object.entries(replace).flatMap(([name, value]): Mention[] => {
      if (Object.hasOwn(singletons, name)) return [{ name: name as SingletonName, value }];
      if (!Object.hasOwn(collections, name) || !isObject(value)) return [];
      return Object.entries(value).map(([key, object]) => ({ name: name as CollectionName, key, value: object }));
    }),
  ];
}

function applyChange(draft: Configuration, change: ObjectChange, where: string): Problem[] {
  const place = findPlace(draft, change.object);
  if (!place) {
    const kinds = [
      ...Object.keys(singletons),
      ...Object.values(collections).map(({ directory }) => `${directory}/NAME`),
    ];
    return [{ path: `${where}.object`, message: `expected one of ${kinds.join(", ")}` }];
  }
  const path = place.path.join(".");
  if (change.op === "put") return put(place, change.value);
  if (place.present === undefined) return [{ path, message: "there is no such object" }];
  if (change.op === "patch") return put(place, applyMergePatch(place.present, change.value));
  if (place.single) return [{ path, message: "expected put or patch: this object always exists" }];
  place.keep(undefined);
  return [];
}

function put(place: Place, value: unknown): Problem[] {
  const { value: revealed, problems } = keepSecrets(place, value);
  const named = nameProblems(place);
  const parsed = place.schema.safeParse(revealed);
  if (parsed.success && problems.length === 0 && named.length === 0) place.keep(parsed.data as object);
  return [...named, ...problems, ...(parsed.success ? [] : describeIssues(parsed.error, place.path))];
}

/** What the API hides keeps its present value, so that what was read can be applied again. */
function keepSecrets({ secrets, present, path }: Place, value: unknown): { value: unknown; problems: Problem[] } {
  if (!isObject(value)) return { value, problems: [] };
  const hidden = secrets.filter((key) => value[key] === hiddenSecret);
  const before = present as Record<string, unknown> | undefined;
  const kept = Object.fromEntries(hidden.map((key) => [key, before?.[key]]));
  const problems = hidden
    .filter((key) => kept[key] === undefined)
    .map((key) => ({ path: [...path, key].join("."), message: "expected a value: there is no present one to keep" }));
  // A missing secret has its own problem; the schema need not complain of the marker too.
  return { value: { ...value, ...kept }, problems };
}

function nameProblems({ path, single }: Place): Problem[] {
  const [collection, name] = path;
  if (single) return [];
  const result = collections[collection as CollectionName].name.safeParse(name);
  if (result.success) return [];
  return result.error.issues.map(({ message }) => ({ path: path.join("."), message: `the name: ${message}` }));
}

function findPlace(draft: Configuration, object: string): Place | undefined {
  const found = locate(object);
  if (!found) return undefined;
  const { name, key } = found;
  if (key === undefined) return placeOfSingleton(draft, name as SingletonName, draft);
  return placeOfMember(draft, name as CollectionName, key, draft);
}

function locate(object: string): Mention | undefined {
  if (Object.hasOwn(singletons, object)) return { name: object as SingletonName };
  const slash = object.lastIndexOf("/");
  const place = object.slice(0, slash);
  // As a generation has it, or as problems and `GET /api/v1/configuration` name it.
  const found = Object.entries(collections).find(([name, { directory }]) => directory === place || name === place);
  return found && { name: found[0] as CollectionName, key: object.slice(slash + 1) };
}

function placeOfSingleton(draft: Configuration, name: SingletonName, before: Configuration): Place {
  const { object: schema, secrets } = singletons[name];
  const keep = (object: object | undefined) => void Object.assign(draft, { [name]: object });
  return { path: [name], schema: schema as Place["schema"], secrets, present: before[name], keep, single: true };
}

function placeOfMember(draft: Configuration, name: CollectionName, key: string, before: Configuration): Place {
  const { object: schema, secrets } = collections[name];
  const objects = draft[name] as Objects;
  const old = before[name] as Objects;
  return {
    path: [name, key],
    schema: schema as unknown as Place["schema"],
    secrets,
    present: Object.hasOwn(old, key) ? old[key] : undefined,
    keep(object) {
      if (object === undefined) delete objects[key];
      else objects[key] = object;
    },
    single: false,
  };
}

/** A configuration whose collections may be written to; the objects in them are shared. */
function copyCollections(configuration: Configuration): Configuration {
  const copies = Object.keys(collections).map((name) => [name, { ...configuration[name as CollectionName] }]);
  return { ...configuration, ...Object.fromEntries(copies) };
}

function refuse(problems: Problem[]): void {
  if (problems.length === 0) return;
  const words = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new SteelyardError("bad-input", words, { problems });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
