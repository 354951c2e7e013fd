import { z } from "zod";

/** What a list can be filtered and sorted by: the fields of its items, worked out from their schema. */
export type Field = {
  /** As a query names it: `enabled`, `ipv4.method`; members of a map by their fields alone: `backends.address`. */
  name: string;
  kind: "text" | "number" | "boolean";
  /** How to get there: names, and for a map {@link everyMember} or {@link memberNames}. */
  steps: readonly Step[];
};

const everyMember = Symbol("every member");
const memberNames = Symbol("the names of the members");
type Step = string | typeof everyMember | typeof memberNames;

/** Deeper than this no object of ours goes. */
const greatestDepth = 5;

/** Fields by name. A field that several kinds of item have stands once. */
export function fieldsOf(item: z.ZodType): Map<string, Field> {
  const found = new Map<string, Field>();
  collect(item, [], found, 0);
  return found;
}

function collect(schema: z.ZodType, steps: Step[], found: Map<string, Field>, depth: number): void {
  const inner = unwrap(schema);
  if (depth > greatestDepth) return;
  if (inner instanceof z.ZodObject) {
    for (const [name, field] of Object.entries(inner.shape))
      collect(field as z.ZodType, [...steps, name], found, depth + 1);
  } else if (inner instanceof z.ZodRecord) {
    add(found, { steps: [...steps, memberNames], kind: "text" });
    collect(inner.valueType as z.ZodType, [...steps, everyMember], found, depth + 1);
  } else if (inner instanceof z.ZodArray) {
    collect(inner.element as z.ZodType, steps, found, depth + 1);
  } else if (inner instanceof z.ZodUnion) {
    for (const option of inner.options) collect(option as z.ZodType, steps, found, depth);
  } else {
    const kind = kindOf(inner);
    if (kind) add(found, { steps, kind });
  }
}

function add(found: Map<string, Field>, { steps, kind }: Omit<Field, "name">): void {
  const name = steps.filter((step) => typeof step === "string").join(".");
  const known = found.get(name);
  // A field that is a number here and a text there is compared as text.
  if (name !== "") found.set(name, { name, steps, kind: known && known.kind !== kind ? "text" : kind });
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodReadonly)
    return unwrap(schema.def.innerType as z.ZodType);
  if (schema instanceof z.ZodDefault) return unwrap(schema.def.innerType as z.ZodType);
  if (schema instanceof z.ZodPipe) return unwrap(schema.def.in as z.ZodType);
  return schema;
}

function kindOf(schema: z.ZodType): Field["kind"] | undefined {
  if (schema instanceof z.ZodBoolean) return "boolean";
  if (schema instanceof z.ZodNumber) return "number";
  if (schema instanceof z.ZodLiteral || schema instanceof z.ZodEnum) return "text";
  return schema.def.type === "string" ? "text" : undefined;
}

/** The values of a field in an item: none when it is left out, many in lists and maps. */
export function valuesOf(item: unknown, steps: readonly Step[]): unknown[] {
  if (Array.isArray(item)) return item.flatMap((each) => valuesOf(each, steps));
  const [step, ...rest] = steps;
  if (step === undefined) return item === undefined || item === null ? [] : [item];
  if (typeof item !== "object" || item === null) return [];
  if (step === memberNames) return Object.keys(item);
  if (step === everyMember) return Object.values(item).flatMap((member) => valuesOf(member, rest));
  return Object.hasOwn(item, step) ? valuesOf((item as Record<string, unknown>)[step], rest) : [];
}
