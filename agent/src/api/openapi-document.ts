import type { ErrorCode } from "../errors.ts";
import { composeExample, fillDefaults } from "./openapi-example.ts";
import { errorsOf, problemComponents, problemResponses, withKey } from "./openapi-problems.ts";

/**
 * Completes what the plug-in collects from the routes: the errors of each operation with an example for each code, the
 * header fields that go with its method, examples of answers, and none of the schemas nobody refers to.
 */

type Parameter = { in: string; name: string; $ref?: string };
type Media = { schema?: object; example?: unknown; examples?: unknown };
type Response = { description?: string; headers?: object; content?: Record<string, Media> };
export type Operation = {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, Media> };
  responses: Record<string, Response>;
  security?: object[];
  "x-permission"?: string;
  "x-errors"?: readonly ErrorCode[];
  "x-entity-tag"?: boolean;
  "x-body-example"?: unknown;
};
export type Document = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object> } & Record<string, unknown>;
  tags?: { name: string }[];
};

const reference = (kind: string, name: string) => ({ $ref: `#/components/${kind}/${name}` });

const headers = {
  RequestId: header("The request's own id, or the one it was sent with; also in the log", "string"),
  RetryAfter: header("Seconds to wait (RFC 9110)", "integer"),
  WwwAuthenticate: header("How to authenticate (RFC 9110)", "string"),
  ETag: header("Tag of the object's content, for If-Match and If-None-Match", "string"),
  Location: header("Where the new object is", "string"),
  Link: header("The first, previous, next and last page (RFC 8288)", "string"),
  Generation: header("The generation of the configuration that is current now", "integer"),
  ConfirmBefore: header("When the change goes back unless it is confirmed (RFC 3339)", "string"),
  Warnings: header("JSON in ASCII: [{path, message}], at most 20; left out when there are none", "string"),
  Replayed: header("true: the answer to an earlier request with the same Idempotency-Key", "string"),
};

const parameters = {
  IfMatch: parameter(
    "If-Match",
    "The ETag that was read: a stale change is refused with 412",
    '"0wlXyjwLTHQqvGrJnQjpmA"',
  ),
  IfNoneMatch: parameter("If-None-Match", "GET: an ETag, 304 when nothing changed; PUT: * only creates", "*"),
  RequestId: parameter("Request-Id", "An id of your own for the log: 8 to 64 of A-Z, a-z, 0-9, . _ -", "deploy-4711"),
  IdempotencyKey: parameter(
    "Idempotency-Key",
    "A fresh key for each wish, such as a UUID: a repeated request gets the first one's answer and changes nothing",
    "8e03978e-40d5-43dd-bc93-6894a57f9324",
  ),
};

export function completeDocument(document: Document): Document {
  const { schemas } = document.components;
  for (const [name, schema] of Object.entries(schemas) as [string, { examples?: unknown[] }][]) {
    if (!name.endsWith("Input") && schema.examples)
      schema.examples = schema.examples.map((example) => fillDefaults(schema, example, schemas));
  }
  for (const item of Object.values(document.paths)) {
    for (const [method, operation] of Object.entries(item)) completeOperation(method, operation, schemas);
  }
  const components = { ...document.components, headers, parameters, responses: problemComponents() };
  const used = new Set(Object.values(document.paths).flatMap((item) => Object.values(item).flatMap(tagsOf)));
  const tags = (document.tags ?? []).filter(({ name }) => used.has(name));
  return withoutIdleComponents({ ...document, components, tags });
}

function tagsOf(operation: Operation): string[] {
  return (operation as { tags?: string[] }).tags ?? [];
}

function completeOperation(method: string, operation: Operation, schemas: Record<string, object>): void {
  const own = operation.parameters ?? [];
  const isPublic = operation["x-permission"] === "public";
  const shape = {
    isPublic,
    hasParameters: own.some((each) => each.in === "path"),
    // A body where none belongs is looked at before it is refused; GET has none, whatever comes.
    hasBody: method !== "get",
    changes: own.some((each) => each.in === "query" && each.name === "dryRun"),
    errors: [...(operation["x-errors"] ?? []), ...(method === "post" && !isPublic ? withKey : [])],
  };
  const tagged = operation["x-entity-tag"] === true;
  delete operation["x-errors"];
  delete operation["x-entity-tag"];

  const add = (name: keyof typeof parameters) => own.push(reference("parameters", name) as Parameter);
  if (tagged && method !== "get" && method !== "post") add("IfMatch");
  if (tagged && (method === "get" || method === "put")) add("IfNoneMatch");
  if (method === "post" && !isPublic) add("IdempotencyKey");
  add("RequestId");
  operation.parameters = own;

  const given = operation["x-body-example"];
  delete operation["x-body-example"];
  if (given !== undefined)
    for (const media of Object.values(operation.requestBody?.content ?? {})) media.example = given;
  giveExamples(operation.requestBody?.content, schemas);
  // The problem that a route names as `default` is spelled out by status.
  delete operation.responses.default;
  if (tagged && method === "get") operation.responses["304"] = { description: "The tag of If-None-Match still holds" };
  for (const [status, response] of Object.entries(operation.responses)) {
    completeResponse(status, response, schemas);
    response.headers = {
      ...response.headers,
      ...headersOf(method, status, { ...shape, tagged, paged: own.some(({ name }) => name === "offset") }),
    };
  }
  const problems = problemResponses(errorsOf(shape));
  for (const [status, response] of Object.entries(problems)) operation.responses[status] ??= response as Response;
}

function headersOf(
  method: string,
  status: string,
  { changes, tagged, paged, isPublic }: { changes: boolean; tagged: boolean; paged: boolean; isPublic: boolean },
): Record<string, object> {
  const refer = (names: Record<string, keyof typeof headers>) =>
    Object.fromEntries(Object.entries(names).map(([field, name]) => [field, reference("headers", name)]));
  return refer({
    "Request-Id": "RequestId",
    ...(tagged && status !== "204" ? { ETag: "ETag" as const } : {}),
    ...(status === "201" || status === "202" ? { Location: "Location" as const } : {}),
    ...(paged && status === "200" ? { Link: "Link" as const } : {}),
    ...(changes ? changeHeaders : {}),
    ...(method === "post" && !isPublic ? { "Idempotency-Replayed": "Replayed" as const } : {}),
  });
}

const changeHeaders = {
  "Steelyard-Generation": "Generation",
  "Steelyard-Warnings": "Warnings",
  "Steelyard-Confirm-Before": "ConfirmBefore",
} as const;

const meanings: Record<string, string> = { "200": "Done", "201": "Created", "202": "Begun", "204": "Done" };

function completeResponse(status: string, response: Response, schemas: Record<string, object>): void {
  if (response.description === undefined || response.description === "Default Response")
    response.description = meanings[status] ?? "Answered";
  giveExamples(response.content, schemas);
  for (const media of Object.values(response.content ?? {})) {
    if (media.example !== undefined && media.schema) media.example = fillDefaults(media.schema, media.example, schemas);
  }
}

function giveExamples(content: Record<string, Media> | undefined, schemas: Record<string, object>): void {
  for (const media of Object.values(content ?? {})) {
    if (media.example !== undefined || media.examples !== undefined || !media.schema) continue;
    const example = composeExample(media.schema, schemas);
    if (example !== undefined) media.example = example;
  }
}

/** Every schema is there for requests and for answers; most are of use in one of the two. */
function withoutIdleComponents(document: Document): Document {
  const all = document.components as unknown as Record<string, Record<string, unknown>>;
  const kinds = ["schemas", "headers", "parameters", "responses"];
  const used = new Set<string>();
  const collect = (part: unknown) => {
    for (const [, kind = "", name = ""] of JSON.stringify(part).matchAll(/"#\/components\/(\w+)\/([^"]+)"/g)) {
      const key = `${kind}/${name}`;
      if (used.has(key)) continue;
      used.add(key);
      collect(all[kind]?.[name] ?? {});
    }
  };
  collect(document.paths);
  const components = Object.fromEntries(
    Object.entries(all).map(([kind, members]) => [
      kind,
      kinds.includes(kind)
        ? Object.fromEntries(Object.entries(members).filter(([name]) => used.has(`${kind}/${name}`)))
        : members,
    ]),
  );
  return { ...document, components: components as Document["components"] };
}

function header(description: string, type: string): object {
  return { description, schema: { type } };
}

function parameter(name: string, description: string, example: string): object {
  return { in: "header", name, required: false, description, schema: { type: "string" }, example };
}
