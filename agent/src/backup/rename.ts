import type { z } from "zod";
import { interfaceName } from "../configuration/fields.ts";
import { type Configuration, configuration } from "../configuration/schema.ts";

/**
 * Gives network interfaces other names wherever a configuration speaks of them. The schema says where that is: every text and
 * every key that has the form of `interfaceName`, so that an object of tomorrow needs nothing here. Pure.
 */

type Schema = { _zod: { def: Record<string, unknown> & { type: string } } };
type Visit = (name: string) => string;

/** VLANs that are called after their card follow it: `eth0.100` becomes `eth2.100`. */
export function renameInterfaces(wanted: Configuration, names: ReadonlyMap<string, string>): Configuration {
  const rename: Visit = (name) => {
    const [card = "", ...rest] = name.split(".");
    return names.get(name) ?? (rest.length > 0 ? [names.get(card) ?? card, ...rest].join(".") : name);
  };
  const renamed = visit(configuration as unknown as Schema, wanted, rename) as Configuration;
  const roles = Object.entries(renamed.roles).map(([name, role]) => [name, renameBindings(role, rename)]);
  return { ...renamed, roles: Object.fromEntries(roles) };
}

/** Every interface that the configuration speaks of. */
export function listInterfaceNames(wanted: Configuration): string[] {
  const found = new Set<string>();
  visit(configuration as unknown as Schema, wanted, (name) => {
    found.add(name);
    return name;
  });
  return [...found];
}

/** Of patterns those that are a name as it stands. */
function renameBindings(role: Configuration["roles"][string], rename: Visit): Configuration["roles"][string] {
  const { interfaces } = role.bindings;
  return interfaces ? { ...role, bindings: { ...role.bindings, interfaces: interfaces.map(rename) } } : role;
}

const pattern = patternOf(interfaceName as unknown as Schema);

function patternOf({ _zod: { def } }: Schema): string | undefined {
  const checks = (def.checks ?? []) as { _zod: { def: { pattern?: RegExp } } }[];
  return checks.map((each) => each._zod.def.pattern?.source).find((each) => each !== undefined);
}

/** The value with each name replaced; the very same one when nothing in it changed, so that diffs stay small. */
function visit(schema: Schema, value: unknown, change: Visit): unknown {
  const { def } = schema._zod;
  const inner = def.innerType as Schema | undefined;
  if (value === undefined || value === null) return value;
  switch (def.type) {
    case "string":
      return patternOf(schema) === pattern && typeof value === "string" ? change(value) : value;
    case "object":
      return visitFields(value, (key) => (def.shape as Record<string, Schema>)[key], change);
    case "record":
      return visitRecord(def as unknown as { keyType: Schema; valueType: Schema }, value, change);
    case "array":
      return visitList(def.element as Schema, value as unknown[], change);
    case "union": {
      const options = def.options as (Schema & z.ZodType)[];
      const fitting = options.find((each) => each.safeParse(value).success);
      return fitting ? visit(fitting, value, change) : value;
    }
    case "pipe":
      return visit(def.in as Schema, value, change);
    default:
      return inner ? visit(inner, value, change) : value;
  }
}

function visitFields(value: unknown, schemaOf: (key: string) => Schema | undefined, change: Visit): unknown {
  const before = value as Record<string, unknown>;
  const after = Object.entries(before).map(([key, each]): [string, unknown] => {
    const schema = schemaOf(key);
    return [key, schema ? visit(schema, each, change) : each];
  });
  return after.every(([key, each]) => each === before[key]) ? value : Object.fromEntries(after);
}

function visitRecord({ keyType, valueType }: { keyType: Schema; valueType: Schema }, value: unknown, change: Visit) {
  const before = value as Record<string, unknown>;
  const after = Object.entries(before).map(([key, each]): [string, unknown] => [
    visit(keyType, key, change) as string,
    visit(valueType, each, change),
  ]);
  return after.every(([key, each]) => each === before[key]) ? value : Object.fromEntries(after);
}

function visitList(element: Schema, value: unknown[], change: Visit): unknown[] {
  const after = value.map((each) => visit(element, each, change));
  return after.every((each, at) => each === value[at]) ? value : after;
}
