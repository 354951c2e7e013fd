import type { Schema, Schemas } from "./schemas.ts";

/** The commands that follow from an OpenAPI document: one per operation, by noun and verb. Pure. */

export type ApiParameter = { in: string; name: string; required?: boolean; description?: string; schema?: Schema };
type Media = { schema?: Schema; example?: unknown; examples?: Record<string, { value?: unknown }> };

export type ApiOperation = {
  operationId: string;
  summary: string;
  description?: string;
  tags?: string[];
  security?: object[];
  parameters?: ApiParameter[];
  requestBody?: { required?: boolean; content: Record<string, Media> };
  responses: Record<string, { content?: Record<string, Media> }>;
  /** The noun it has on the command line, when its path does not give a good one; `none` when its command is made by hand. */
  "x-command"?: string;
};

export type ApiDocument = Schemas & { info: { version: string }; paths: Record<string, Record<string, ApiOperation>> };

/** Of the whole configuration, as one object. */
export function schemaOfConfiguration(document: ApiDocument): Schema | undefined {
  return document.paths["/api/v1/configuration"]?.get?.responses["200"]?.content?.["application/json"]?.schema;
}

export type Verb = "list" | "show" | "create" | "set" | "delete" | "clear" | "read" | "act";

export type ApiCommand = {
  /** `["farm", "backend", "list"]` */
  words: string[];
  verb: Verb;
  method: string;
  path: string;
  operation: ApiOperation;
  /** Names of the path's parameters, in order. */
  parameters: string[];
  /** A new object whose body names it: the name is an argument of its own. */
  named: boolean;
};

const base = "/api/v1/";
/** Logging in and out, the first boot and the fate of a commit have commands of their own. */
const conversations = [
  "deleteSession",
  "completeFirstBoot",
  "commitTransaction",
  "confirmConfiguration",
  "getPendingCommit",
  "revertPendingCommit",
];
/** Words that people type where the path has longer ones. */
const shorter: Record<string, string> = { configuration: "config" };

/** Every command, in the order of the paths. Two operations never get the same words. */
export function deriveCommands(document: ApiDocument): ApiCommand[] {
  const taken = new Set<string>();
  const commands: ApiCommand[] = [];
  for (const path of Object.keys(document.paths).sort()) {
    if (!path.startsWith(base) || /\.\w+$/.test(path)) continue;
    for (const [method, operation] of Object.entries(document.paths[path] ?? {})) {
      const command = deriveCommand(document, path, method, operation, taken);
      if (!command) continue;
      taken.add(command.words.join(" "));
      commands.push(command);
    }
  }
  return commands;
}

function deriveCommand(
  document: ApiDocument,
  path: string,
  method: string,
  operation: ApiOperation,
  taken: ReadonlySet<string>,
): ApiCommand | undefined {
  const item = document.paths[path] ?? {};
  // PUT replaces what PATCH changes more kindly.
  const isConversation = operation.security?.length === 0 && method !== "get";
  if (operation["x-command"] === "none" || isConversation || conversations.includes(operation.operationId))
    return undefined;
  if ((method === "put" && item.patch) || rawAnswerOf(operation) === "text/event-stream") return undefined;
  const verb = verbOf(document, path, method);
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const rest = {
    verb,
    method,
    path,
    operation,
    parameters,
    named: verb === "create" && takesName(document, operation),
  };
  const spoken = operation["x-command"];
  for (const complete of [false, true]) {
    const noun = typeof spoken === "string" ? spoken.split(" ") : nounOf(document, path, complete);
    const words = verb === "read" || verb === "act" ? noun : [...noun, verb];
    if (!taken.has(words.join(" "))) return { words, ...rest };
  }
  return { words: [...nounOf(document, path, true), method], ...rest };
}

function verbOf(document: ApiDocument, path: string, method: string): Verb {
  const item = document.paths[path] ?? {};
  const isItem = path.endsWith("}");
  const below = isBelowResource(document, path) && Object.keys(item).length === 1;
  if (method === "get") {
    if (isCollection(document, path)) return "list";
    return below ? "read" : "show";
  }
  if (method === "post") return isCollection(document, path) || !below ? "create" : "act";
  if (method === "delete") return isItem || !isCollection(document, path) ? "delete" : "clear";
  return "set";
}

/** `/network/virtual-addresses/{address}` is `virtual-address`; parts that are no resource of their own are left out. */
function nounOf(document: ApiDocument, path: string, complete: boolean): string[] {
  const segments = path.slice(base.length).split("/");
  // What there is one of needs the words before it: `access settings`.
  const ofCollection = isCollection(document, path.replace(/\/\{\w+\}$/, "")) || path.includes("{");
  return segments.flatMap((segment, at) => {
    if (segment.startsWith("{")) return [];
    const prefix = base + segments.slice(0, at + 1).join("/");
    const isNamespace = !document.paths[prefix] && !segments[at + 1]?.startsWith("{") && at < segments.length - 1;
    if (isNamespace && ofCollection && !complete) return [];
    return [shorter[segment] ?? (isCollection(document, prefix) ? toSingular(segment) : segment)];
  });
}

/** Lists objects, or has objects of a name below it. */
export function isCollection(document: ApiDocument, path: string): boolean {
  const answer = document.paths[path]?.get?.responses["200"]?.content?.["application/json"]?.schema;
  if (answer?.properties?.items && document.paths[path]?.get) return true;
  return Object.keys(document.paths).some(
    (each) => each.startsWith(`${path}/{`) && !each.slice(path.length + 2).includes("/"),
  );
}

/** Something above it can be asked for itself: `/farms/{farm}/status`, not `/network/links`. */
function isBelowResource(document: ApiDocument, path: string): boolean {
  const parent = path.slice(0, path.lastIndexOf("/"));
  return !path.endsWith("}") && document.paths[parent] !== undefined;
}

function takesName(document: ApiDocument, operation: ApiOperation): boolean {
  const schema = bodyOf(operation)?.schema;
  if (!schema) return false;
  const alternatives = schema.$ref ? [document.components.schemas[schema.$ref.split("/").at(-1) ?? ""]] : [schema];
  return alternatives
    .flatMap((each) => [each, ...(each?.oneOf ?? []), ...(each?.anyOf ?? [])])
    .some((each) => each?.required?.includes("name"));
}

/** The JSON a request takes. */
export function bodyOf({ requestBody }: ApiOperation): Media | undefined {
  return requestBody?.content["application/json"] ?? requestBody?.content["application/merge-patch+json"];
}

/** The media type of a request that is no JSON. */
export function rawTypeOf({ requestBody }: ApiOperation): string | undefined {
  return Object.keys(requestBody?.content ?? {}).find((type) => !type.includes("json"));
}

/** The media type of an answer that is no JSON. */
export function rawAnswerOf({ responses }: ApiOperation): string | undefined {
  const types = Object.keys(responses["200"]?.content ?? {});
  return types.some((type) => type.includes("json")) ? undefined : types[0];
}

/** The list an argument of a command is chosen from: `farm` from `/api/v1/farms`. */
export function listOfParameter(document: ApiDocument, parameter: string): string | undefined {
  const path = Object.keys(document.paths).find(
    (each) => each.endsWith(`/{${parameter}}`) && document.paths[each.slice(0, each.lastIndexOf("/"))]?.get,
  );
  return path?.slice(0, path.lastIndexOf("/"));
}

export function toSingular(word: string): string {
  if (word.endsWith("ies")) return `${word.slice(0, -3)}y`;
  if (/(?:sses|xes|ches|shes|zes)$/.test(word)) return word.slice(0, -2);
  return /[^su]s$/.test(word) ? word.slice(0, -1) : word;
}
