type Schema = {
  $ref?: string;
  type?: string;
  examples?: unknown[];
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  format?: string;
  minimum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: Schema | boolean;
  anyOf?: Schema[];
  oneOf?: Schema[];
};

/**
 * An example of a schema, put together from those of its parts: a list holds the example of its item. Undefined where a part
 * is a text that nothing is said about, for then somebody has to think of an example.
 */
export function composeExample(schema: Schema, schemas: Record<string, Schema>): unknown {
  if (schema.examples?.[0] !== undefined) return schema.examples[0];
  if (schema.$ref !== undefined) {
    const target = schemas[schema.$ref.replace("#/components/schemas/", "")];
    return target && composeExample(target, schemas);
  }
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum?.[0] !== undefined) return schema.enum[0];
  const [first] = schema.oneOf ?? schema.anyOf ?? [];
  if (first) return composeExample(first, schemas);
  switch (schema.type) {
    case "object":
      return composeObject(schema, schemas);
    case "array": {
      const item = schema.items && composeExample(schema.items, schemas);
      return item === undefined ? undefined : [item];
    }
    case "integer":
    case "number":
      return Math.max(schema.minimum ?? 1, 1);
    case "boolean":
      return true;
    case "string":
      return schema.format === "date-time" ? "2026-01-01T12:00:00.000Z" : undefined;
    default:
      return undefined;
  }
}

function composeObject({ properties = {}, required = [] }: Schema, schemas: Record<string, Schema>): unknown {
  const entries: [string, unknown][] = [];
  for (const [name, property] of Object.entries(properties)) {
    const value = composeExample(property, schemas);
    if (value !== undefined) entries.push([name, value]);
    else if (required.includes(name)) return undefined;
  }
  return Object.fromEntries(entries);
}

/**
 * What an answer shows for an example that was thought of as a request: with the defaults filled in. A choice between
 * schemas takes the first one whose required fields the example has, or could have.
 */
export function fillDefaults(schema: Schema, example: unknown, schemas: Record<string, Schema>): unknown {
  if (schema.$ref !== undefined) {
    const target = schemas[schema.$ref.replace("#/components/schemas/", "")];
    return target ? fillDefaults(target, example, schemas) : example;
  }
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) {
    const filled = choices.map((each) => fillDefaults(each, example, schemas));
    return filled.find((each, at) => hasRequired(choices[at] ?? {}, each, schemas)) ?? example;
  }
  if (Array.isArray(example)) return example.map((item) => fillDefaults(schema.items ?? {}, item, schemas));
  if (typeof example !== "object" || example === null) return example;
  const { properties = {}, additionalProperties } = schema;
  const rest = typeof additionalProperties === "object" ? additionalProperties : {};
  const given = Object.entries(example).map(([name, value]): [string, unknown] => [
    name,
    fillDefaults(properties[name] ?? rest, value, schemas),
  ]);
  const defaults = Object.entries(properties).filter(
    ([name, property]) => property.default !== undefined && !(name in example),
  );
  const missing = defaults.map(([name, property]): [string, unknown] => [name, property.default]);
  return Object.fromEntries([...given, ...missing]);
}

function hasRequired(schema: Schema, value: unknown, schemas: Record<string, Schema>): boolean {
  if (schema.$ref !== undefined)
    return hasRequired(schemas[schema.$ref.replace("#/components/schemas/", "")] ?? {}, value, schemas);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.some((each) => hasRequired(each, value, schemas));
  return typeof value === "object" && value !== null && (schema.required ?? []).every((name) => name in value);
}
