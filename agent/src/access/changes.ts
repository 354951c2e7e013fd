import { isDeepStrictEqual } from "node:util";
import type { Mention } from "../commit/transaction.ts";
import {
  type Collection,
  type CollectionName,
  type Configuration,
  collections,
  type SingletonName,
  singletons,
} from "../configuration/schema.ts";
import { type Problem, SteelyardError } from "../errors.ts";
import { isPermitted, type Permission, type Principal, type Scope } from "./permissions.ts";

/** What a commit does to one object, as a permission that it takes. */
export type Change = {
  /** Path from the root of the configuration: `farms.web`. */
  path: string;
  permission: Permission;
  scope: Scope;
  /** On what the object itself is read, where the permission is wanted on another. */
  readBy?: Scope;
};

type Objects = Record<string, object>;

/**
 * The permissions it takes to get from one configuration to another: `create`, `update` or `delete` on each object that
 * differs. An object that belongs to another before and after (a virtual address that moves between interfaces) takes both.
 */
export function listPermissions(before: Configuration, after: Configuration): Change[] {
  const changes: Change[] = [];
  for (const [name, { resource }] of Object.entries(singletons)) {
    const key = name as SingletonName;
    if (differ(before[key], after[key])) changes.push({ path: name, permission: `${resource}:update`, scope: "every" });
  }
  for (const name of Object.keys(collections) as CollectionName[]) {
    if (before[name] === after[name]) continue;
    const [old, wanted]: [Objects, Objects] = [before[name], after[name]];
    for (const key of new Set([...Object.keys(old), ...Object.keys(wanted)]))
      changes.push(...changesOfObject(name, key, old[key], wanted[key]));
  }
  return changes;
}

function changesOfObject(name: CollectionName, key: string, before?: object, after?: object): Change[] {
  if (!differ(before, after)) return [];
  const verb = before === undefined ? "create" : after === undefined ? "delete" : "update";
  const permission: Permission = `${collections[name].resource}:${verb}`;
  const scopes = [before, after].flatMap((object) => (object ? [scopeOfObject(name, key, object)] : []));
  const [first, second] = scopes;
  const distinct = isDeepStrictEqual(first, second) ? [first] : scopes;
  return [
    ...distinct.flatMap((scope) => (scope === undefined ? [] : [{ path: `${name}.${key}`, permission, scope }])),
    ...changesOfTaken(name, key, before, after),
  ];
}

/** Who is bound to a bond must not seize another's card with it, nor let one of its cards go: both change that card. */
function changesOfTaken(name: CollectionName, key: string, before?: object, after?: object): Change[] {
  const { takes, resource }: Collection = collections[name];
  if (!takes) return [];
  const [old, wanted] = [before, after].map((object) => new Set(object ? takes(object as never) : []));
  const moved = [...new Set([...(old ?? []), ...(wanted ?? [])])].filter(
    (each) => old?.has(each) !== wanted?.has(each) && each !== key,
  );
  return moved.map((each) => ({
    path: `${name}.${key}`,
    permission: `${resource}:update`,
    scope: each === "*" ? "every" : { name: each },
    readBy: { name: key },
  }));
}

/** Values that stayed are shared, so most comparisons end at once. */
function differ(one: object | undefined, other: object | undefined): boolean {
  return one !== other && !isDeepStrictEqual(one, other);
}

/** The name by which a role may be bound to an object: its own, or that of what it belongs to. */
export function scopeOfObject(name: CollectionName, key: string, object: object): Scope {
  const { boundBy }: Collection = collections[name];
  if (boundBy === undefined) return "every";
  return { name: boundBy === "name" ? key : String((object as Record<string, unknown>)[boundBy]) };
}

const verbs = ["read", "create", "update", "delete"];

/**
 * Throws `forbidden` for objects that a caller names and may do nothing with at all, before anybody looks whether they are there
 * and what they hold: the answer must not tell.
 */
export function requireConcern(principal: Principal, current: Configuration, mentions: readonly Mention[]): void {
  const foreign = mentions.filter((mention) => {
    const { resource } = { ...collections, ...singletons }[mention.name];
    const scope = scopeOfMention(current, mention);
    return !verbs.some((verb) => isPermitted(principal, `${resource}:${verb}`, scope));
  });
  if (foreign.length === 0) return;
  const problems = foreign.map(({ name, key }) => ({
    path: key === undefined ? name : `${name}.${key}`,
    message: `takes a permission of ${{ ...collections, ...singletons }[name].resource}`,
  }));
  throw forbid(principal, problems);
}

/** What is bound by another object's name, and is not there and not described, is for those who may do so with all. */
function scopeOfMention(current: Configuration, { name, key, value }: Mention): Scope {
  if (key === undefined || name in singletons) return "every";
  const collection = name as CollectionName;
  if ((collections[collection] as Collection).boundBy === "name") return { name: key };
  const objects: Objects = current[collection];
  const present = Object.hasOwn(objects, key) ? objects[key] : value;
  return typeof present === "object" && present !== null ? scopeOfObject(collection, key, present) : "every";
}

/** Throws `forbidden` with every change that the principal may not make. Of objects it may not read no name is told. */
export function requirePermissions(principal: Principal, changes: readonly Change[]): void {
  const refused = changes.filter(({ permission, scope }) => !isPermitted(principal, permission, scope));
  if (refused.length === 0) return;
  const problems = refused.map(({ path, permission, scope, readBy = scope }) => {
    const [kind = ""] = path.split(".");
    const [resource] = permission.split(":");
    if (!isPermitted(principal, `${resource}:read`, readBy))
      return { path: kind, message: `takes the permission ${permission} on what you may not see` };
    return {
      path,
      message: `takes the permission ${permission}${typeof scope === "object" ? ` on ${scope.name}` : ""}`,
    };
  });
  // One for all of a kind that must not be told apart, nor counted.
  throw forbid(principal, [...new Map(problems.map((each) => [`${each.path} ${each.message}`, each])).values()]);
}

function forbid({ user }: Principal, problems: Problem[]): SteelyardError {
  const words = problems.map(({ path, message }) => `${path} ${message}`).join("; ");
  return new SteelyardError("forbidden", `user ${user} may not: ${words}`, { problems });
}

/** A configuration as far as the principal may read it: objects it may not are left out. */
export function readablePart(principal: Principal, configuration: Configuration): Partial<Configuration> {
  const part: Record<string, unknown> = {};
  for (const [name, { resource }] of Object.entries(singletons))
    if (isPermitted(principal, `${resource}:read`)) part[name] = configuration[name as SingletonName];
  for (const name of Object.keys(collections) as CollectionName[]) {
    const readable = Object.entries(configuration[name] as Objects).filter(([key, object]) =>
      isPermitted(principal, `${collections[name].resource}:read`, scopeOfObject(name, key, object)),
    );
    part[name] = Object.fromEntries(readable);
  }
  return part as Partial<Configuration>;
}
