/** Reads the schemas of an OpenAPI document: what fields an object has, and what each takes. Pure. */

export type Schema = {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
  examples?: unknown[];
  minimum?: number;
  maximum?: number;
  /** Of a part of the configuration that holds objects by name: where they stand in a generation. */
  "x-directory"?: string;
};

export type Schemas = { components: { schemas: Record<string, Schema> } };

/** A field of an object, its name with dots: `ipv4.method`; `backends.<name>.port` for the members of a map. */
export type Field = {
  name: string;
  /** `tcp|udp`, `number`, `text`, `text,…` */
  takes: string;
  required: boolean;
  default?: unknown;
  description?: string;
  example?: unknown;
};

/** A schema without references, and its alternatives when these are objects. */
export function expand(document: Schemas, schema: Schema): Schema[] {
  if (schema.$ref) {
    const target = document.components.schemas[schema.$ref.split("/").at(-1) ?? ""];
    const words = schema.description === undefined ? {} : { description: schema.description };
    return target ? expand(document, { ...target, ...words }) : [];
  }
  const alternatives = [...(schema.oneOf ?? []), ...(schema.anyOf ?? []), ...(schema.allOf ?? [])].filter(
    ({ $ref, properties }) => $ref || properties,
  );
  return alternatives.length > 0 ? alternatives.flatMap((each) => expand(document, each)) : [schema];
}

/** The schema of a field; undefined when there is none, which the box will say better. */
export function findSchema(document: Schemas, root: Schema, segments: readonly string[]): Schema | undefined {
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

export function typesOf(schema: Schema | undefined): Set<string> {
  const types = new Set<string>();
  for (const each of [schema, ...(schema?.anyOf ?? []), ...(schema?.oneOf ?? [])])
    for (const type of [each?.type ?? []].flat()) types.add(type);
  return types;
}

/** A number, or one of a few words in its place: the number, as its own schema; undefined for anything else. */
export function numberBesideWords(schema: Schema | undefined): Schema | undefined {
  const alternatives = [...(schema?.anyOf ?? []), ...(schema?.oneOf ?? [])];
  const numeric = alternatives.find(({ type }) => type === "integer" || type === "number");
  const others = alternatives.filter((each) => each !== numeric);
  const named = others.every((each) => each.const !== undefined || each.enum !== undefined);
  return numeric && others.length > 0 && named ? numeric : undefined;
}

export function itemsOf(schema: Schema | undefined): Schema | undefined {
  return schema?.items ?? [...(schema?.anyOf ?? []), ...(schema?.oneOf ?? [])].find(({ items }) => items)?.items;
}

/** The values a field can have when these are few; a list's are those of its members. */
export function valuesOf(document: Schemas, schema: Schema | undefined): string[] {
  if (!schema) return [];
  const [first = schema] = expand(document, schema);
  const { items } = first;
  if (items) return valuesOf(document, items);
  const all = [first, ...(first.anyOf ?? []), ...(first.oneOf ?? [])];
  const values = all.flatMap((each) => (each.const === undefined ? (each.enum ?? []) : [each.const]));
  if (values.length > 0) return [...new Set(values.map(String))];
  return typesOf(first).has("boolean") ? ["true", "false"] : [];
}

/** Every field of an object, those of the alternatives together. */
export function listFields(document: Schemas, root: Schema, prefix = "", depth = 0): Field[] {
  const fields = new Map<string, Field>();
  const alternatives = expand(document, root);
  for (const { properties = {}, required = [] } of alternatives) {
    for (const [key, schema] of Object.entries(properties)) {
      for (const field of describeField(document, `${prefix}${key}`, schema, depth)) {
        const known = fields.get(field.name);
        const own = field.name === `${prefix}${key}`;
        const needed = own && required.includes(key) && (known?.required ?? true);
        const takes = known ? joinTakes(known.takes, field.takes) : field.takes;
        fields.set(field.name, { ...known, ...field, takes, required: own ? needed : field.required });
      }
    }
  }
  return [...fields.values()];
}

function describeField(document: Schemas, name: string, schema: Schema, depth: number): Field[] {
  const [first = schema] = expand(document, schema);
  const { additionalProperties: members } = first;
  if (depth < 4) {
    const nested = listFields(document, schema, `${name}.`, depth + 1);
    if (nested.length > 0) return nested;
    if (typeof members === "object") {
      const inner = listFields(document, members, `${name}.<name>.`, depth + 1);
      if (inner.length > 0) return inner;
    }
  }
  const description = schema.description ?? first.description;
  const fallback = schema.default ?? first.default;
  const [example] = schema.examples ?? first.examples ?? first.items?.examples ?? [];
  const field: Field = { name, takes: describeType(document, first), required: false };
  if (description) field.description = description;
  if (fallback !== undefined) field.default = fallback;
  if (example !== undefined) field.example = example;
  return [field];
}

function describeType(document: Schemas, schema: Schema): string {
  const types = typesOf(schema);
  const values = valuesOf(document, schema);
  if (types.has("array")) {
    const [item = {}] = itemsOf(schema) ? expand(document, itemsOf(schema) as Schema) : [];
    return item.properties ? "JSON" : `${values.join("|") || describeType(document, item)},…`;
  }
  if (types.has("boolean")) return "true|false";
  const number = numberBesideWords(schema);
  if (number) return [describeType(document, number), ...values].join("|");
  if (values.length > 0) return values.join("|");
  if (types.has("object")) return "JSON";
  if (types.has("string")) return "text";
  if (!types.has("integer") && !types.has("number")) return "value";
  const { minimum, maximum } = schema;
  return minimum !== undefined && maximum !== undefined ? `${minimum}-${maximum}` : "number";
}

function joinTakes(one: string, other: string): string {
  return one === other ? one : [...new Set([...one.split("|"), ...other.split("|")])].join("|");
}
