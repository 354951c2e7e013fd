import fc from "fast-check";

/** Requests made from the OpenAPI document: right ones, almost right ones, and such as only an enemy sends. For tests. */

type Schema = {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  examples?: unknown[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  propertyNames?: Schema;
  additionalProperties?: Schema | boolean;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
};
type Parameter = { name: string; in: string; schema: Schema; example?: unknown; required?: boolean; $ref?: string };
export type Operation = {
  operationId: string;
  parameters: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema; example?: unknown }> };
  responses: Record<string, { $ref?: string; content?: Record<string, { schema: Schema }> }>;
};
export type Document = {
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Schema>;
    parameters: Record<string, Parameter>;
    responses: Operation["responses"];
  };
};
export type FuzzRequest = {
  operationId: string;
  method: string;
  url: string;
  headers: Record<string, string>;
  payload: string | undefined;
};

/** Used again and again, so that requests meet objects that other requests made. */
const names = ["web", "b1", "nic0", "mail", "admin"];

const nasty: unknown[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  -(2 ** 63),
  1e308,
  "",
  " ",
  "\u0000",
  "a\r\nX-Header: 1",
  "\ud800",
  "../../etc/passwd",
  "%s%n",
  "__proto__",
  "constructor",
  "'; flush ruleset; #",
  "$(reboot)",
  "x".repeat(5000),
  "é".repeat(64),
  "١٢٣",
  "192.0.2.1/33",
  "::ffff:192.0.2.1",
  "fe80::1%nic0",
  "0x7f.1",
  "1-0",
  "65536",
  [],
  {},
  [[[[[[[[[[[[]]]]]]]]]]]],
  { __proto__: null, constructor: { prototype: {} } },
  JSON.parse('{"__proto__": {"polluted": true}}'),
];

/** A value of the schema. */
export function makeExample(schema: Schema, document: Document, depth = 0): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) {
    const target = document.components.schemas[schema.$ref.split("/").at(-1) ?? ""] ?? {};
    return makeExample(target, document, depth);
  }
  const examples = schema.examples ?? [];
  const made = makeValue(schema, document, depth);
  return examples.length === 0 ? made : fc.oneof(fc.constantFrom(...examples), { arbitrary: made, weight: 3 });
}

function makeValue(schema: Schema, document: Document, depth: number): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return fc.oneof(...choices.map((each) => makeExample(each, document, depth)));
  if (schema.allOf?.[0]) return makeExample(schema.allOf[0], document, depth);
  switch (schema.type) {
    case "boolean":
      return fc.boolean();
    case "integer":
      return fc.integer({
        min: schema.minimum ?? -1000,
        max: Math.max(schema.maximum ?? 100_000, schema.minimum ?? 0),
      });
    case "number":
      return fc.double({ min: schema.minimum ?? -1000, max: schema.maximum ?? 1000, noNaN: true });
    case "string":
      return textOf(schema);
    case "array":
      return fc.array(makeExample(schema.items ?? {}, document, depth + 1), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.max(schema.minItems ?? 0, Math.min(schema.maxItems ?? 3, 3)),
      });
    case "object":
      return objectOf(schema, document, depth);
    default:
      return fc.constantFrom(...nasty);
  }
}

/** By pattern. To make one takes longer than all it is used for. */
const matching = new Map<string, fc.Arbitrary<string>>();

function textOf({ pattern, format, maxLength = 20 }: Schema): fc.Arbitrary<string> {
  if (format === "date-time") return fc.constant("2026-01-01T00:00:00.000Z");
  const plain = fc.string({ maxLength: Math.min(maxLength, 40) });
  if (pattern === undefined) return plain;
  const known = matching.get(pattern);
  if (known) return known;
  try {
    const made = fc.oneof(fc.constantFrom(...names), fc.stringMatching(new RegExp(pattern, "u")));
    matching.set(pattern, made);
    return made;
  } catch {
    // fast-check knows no look-ahead.
    return fc.oneof(fc.constantFrom(...names), plain);
  }
}

function objectOf(schema: Schema, document: Document, depth: number): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, propertyNames = {} } = schema;
  const fields = Object.fromEntries(
    Object.entries(properties).map(([name, each]) => [name, makeExample(each, document, depth + 1)]),
  );
  const known = fc.record(fields, { requiredKeys: required.filter((name) => name in fields) });
  if (typeof additionalProperties !== "object" || depth > 6) return known;
  const key = propertyNames.pattern === undefined ? fc.constantFrom(...names) : textOf(propertyNames);
  const members = fc.dictionary(key, makeExample(additionalProperties, document, depth + 1), { maxKeys: 3 });
  return fc.tuple(known, members).map(([one, other]) => ({ ...one, ...other }));
}

/** One place of the value is replaced, left out or added to. */
function spoil(value: unknown): fc.Arbitrary<unknown> {
  const places: (string | number)[][] = [];
  const list = (part: unknown, path: (string | number)[]) => {
    places.push(path);
    if (typeof part !== "object" || part === null) return;
    for (const [key, member] of Object.entries(part)) list(member, [...path, key]);
  };
  list(value, []);
  return fc
    .tuple(fc.constantFrom(...places), fc.constantFrom("replace", "drop", "add"), fc.constantFrom(...nasty))
    .map(([path, how, bad]) => change(value, path, how, bad));
}

function change(value: unknown, [step, ...rest]: (string | number)[], how: string, bad: unknown): unknown {
  const container = typeof value === "object" && value !== null;
  if (step === undefined) return how === "add" && container && !Array.isArray(value) ? { ...value, unknown: bad } : bad;
  if (!container) return bad;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  if (how === "drop" && rest.length === 0) delete copy[step];
  else copy[step] = change(copy[step], rest, how, bad);
  return copy;
}

/** Texts that are no JSON, or more of it than anybody needs. */
const noJson = fc.constantFrom(
  "",
  "{",
  '{"name":',
  "[1,2",
  "null",
  '"text"',
  "7",
  "{}x",
  '{"a":1,"a":2}',
  "\ufeff{}",
  "[".repeat(20_000),
  `${'{"a":'.repeat(2_000)}1${"}".repeat(2_000)}`,
  `{"name":"${"x".repeat(100_000)}"}`,
  "\u0000\u0001\u0002",
);

const contentTypes = fc.constantFrom(
  "application/json",
  "application/json; charset=utf-8",
  "application/merge-patch+json",
  "application/json; charset=latin1",
  "text/plain",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/problem+json",
  "",
  "nonsense",
);

const oddHeaders = fc.constantFrom<Record<string, string>>(
  {},
  { "if-match": "*" },
  { "if-match": '"stale", W/"weak"' },
  { "if-none-match": "*" },
  { "if-none-match": '"' },
  { "idempotency-key": "same-key" },
  { "idempotency-key": "" },
  { "idempotency-key": "x".repeat(300) },
  { "request-id": "fuzz-request-1" },
  { "request-id": "bad id" },
  { accept: "text/html" },
  { "accept-encoding": "br;q=1.0, *;q=0" },
  { "transfer-encoding": "identity" },
  { "x-forwarded-for": "127.0.0.1", "x-http-method-override": "DELETE" },
  { range: "bytes=0-1" },
  { origin: "https://evil.example", cookie: "a=b; __proto__=1" },
  { authorization: "Bearer x" },
  { authorization: "Basic YTpi" },
);

/** A request to one of the operations. */
export function requestTo(
  operations: readonly { path: string; method: string; operation: Operation }[],
  document: Document,
) {
  // Made once for each: of a large schema it takes longer than to send the request.
  const made = new Map<Operation, fc.Arbitrary<FuzzRequest>>();
  return fc.constantFrom(...operations).chain(({ path, method, operation }): fc.Arbitrary<FuzzRequest> => {
    const known = made.get(operation);
    if (known) return known;
    const parameters = operation.parameters.filter((each) => !each.$ref);
    const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
    const right = media
      ? fc.oneof(
          makeExample(media.schema, document),
          ...(media.example === undefined ? [] : [fc.constant(media.example)]),
        )
      : fc.constant(undefined);
    const almost = right.chain((value) => (value === undefined ? fc.constant(undefined) : spoil(value)));
    const payload = fc.oneof(
      { arbitrary: right.map(toText), weight: 5 },
      { arbitrary: almost.map(toText), weight: 4 },
      { arbitrary: noJson, weight: media ? 1 : 0 },
    );
    const request = fc.record({
      operationId: fc.constant(operation.operationId),
      method: fc.constant(method.toUpperCase()),
      url: urlOf(path, parameters, document),
      headers: fc
        .tuple(
          // Mostly right, or few requests would be read at all.
          fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: oddHeaders }),
          fc.oneof({ weight: 8, arbitrary: fc.constant(type) }, { weight: 1, arbitrary: contentTypes }),
        )
        .map(([odd, content]) => ({ ...odd, ...(content === undefined ? {} : { "content-type": content }) })),
      payload,
    });
    made.set(operation, request);
    return request;
  });
}

function toText(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

const segments = fc.oneof(
  { arbitrary: fc.constantFrom(...names, "1", "2", "0"), weight: 8 },
  { arbitrary: fc.constantFrom(...nasty).map((value) => encode(value).slice(0, 300)), weight: 2 },
  { arbitrary: fc.constantFrom("%zz", "%00", "..%2f..", ".", "%2e%2e", "a%20b", "x".repeat(70), ";a=1"), weight: 1 },
);

function urlOf(path: string, parameters: readonly Parameter[], document: Document): fc.Arbitrary<string> {
  const parts = path.split("/").map((part) => {
    if (!part.startsWith("{")) return fc.constant(part);
    const own = parameters.find(({ name }) => `{${name}}` === part);
    const right = own ? makeExample(own.schema, document).map((value) => encode(value)) : segments;
    return fc.oneof({ arbitrary: segments, weight: 2 }, { arbitrary: right, weight: 1 });
  });
  const fields = parameters.filter((each) => each.in === "query");
  const one = fields.map(({ name, schema }) =>
    fc
      .oneof(
        { arbitrary: makeExample(schema, document), weight: 3 },
        { arbitrary: fc.constantFrom(...nasty), weight: 1 },
        { arbitrary: fc.constantFrom(...fields.map((each) => each.name)), weight: 1 },
      )
      .map((value) => `${encode(name)}=${encode(value)}`),
  );
  const strange = fc.constantFrom("color=red", "__proto__=1", "a[b]=c", "%", "&&=", "limit=1&limit=2", "dryRun=true");
  const query = fc.array(
    one.length > 0 ? fc.oneof(...one.map((arbitrary) => ({ arbitrary, weight: 2 })), strange) : strange,
    { maxLength: 2 },
  );
  return fc
    .tuple(fc.tuple(...parts), fc.option(query, { freq: 2, nil: [] }))
    .map(([path, query]) => path.join("/") + (query.length > 0 ? `?${query.join("&")}` : ""));
}

/** Lone surrogates have no UTF-8. */
function encode(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return encodeURIComponent(text.replace(/[\ud800-\udfff]/g, "\ufffd"));
}
