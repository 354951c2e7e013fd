import type { IncomingMessage } from "node:http";
import { catalogue, type ErrorCode, type Problem, SteelyardError } from "../errors.ts";
import { type FollowOptions, followEvents, type ServerEvent } from "./events.ts";
import type { AnswerOf, ItemOf, ListPath, Method, OptionsOf, PathOf } from "./operations.ts";
import { type Connection, type Outgoing, openRequest, originHeader, readBody } from "./transport.ts";

/** A client of the API whose requests and answers are typed by the API's own description. */

export type Answer<Body = unknown> = {
  status: number;
  body: Body;
  etag: string | undefined;
  /** The generation a change made. */
  generation: number | undefined;
  /** When the change goes back by itself, unless it is confirmed (RFC 3339). */
  confirmBefore: string | undefined;
  warnings: Problem[];
};

export type Query = Record<string, string | number | boolean | readonly (string | number | boolean)[] | undefined>;

export type RequestOptions = {
  query?: Query;
  /** JSON, or bytes as they are when it is a Buffer. */
  body?: unknown;
  headers?: Record<string, string>;
  /** The media type of the answer when it is not JSON; the body is a Buffer then. */
  accept?: string;
};

export type Client = {
  /** Calls an operation of the description. Throws a SteelyardError with the code of the answer, or `not-ready`. */
  call<M extends Method, P extends PathOf<M>>(
    method: M,
    path: P,
    ...options: object extends OptionsOf<M, P> ? [OptionsOf<M, P>?] : [OptionsOf<M, P>]
  ): Promise<Answer<AnswerOf<M, P>>>;
  /** All objects of a list of the description, page after page. */
  list<P extends ListPath>(path: P, ...options: ListOptions<P>): Promise<ItemOf<P>[]>;
  /** A request that the description types only at run time: for a box of another version, and for commands made from it. */
  send<Body = unknown>(method: string, path: string, options?: RequestOptions): Promise<Answer<Body>>;
  /** As {@link Client.list}, for a path with its parameters filled in. */
  sendList<Item = unknown>(path: string, query?: Query): Promise<Item[]>;
  /** The events of a stream as they happen, over connections that end and begin again. */
  follow(path: string, options?: FollowOptions & { query?: Query }): AsyncGenerator<ServerEvent>;
};

type ListOptions<P extends ListPath> =
  OptionsOf<"get", P> extends { path: infer Values } ? [{ path: Values; query?: Query }] : [{ query?: Query }?];

export function makeClient(connection: Connection): Client {
  const send = async <Body>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<Body>> => {
    const outgoing = prepare(connection, method.toUpperCase(), path, options);
    const response = await openRequest(connection, outgoing);
    return readAnswer(response, await readBody(response, connection), options.accept) as Answer<Body>;
  };
  const sendList = async <Item>(path: string, query: Query = {}): Promise<Item[]> => {
    const items: Item[] = [];
    for (;;) {
      const page = await send<{ items: Item[]; total?: number }>("GET", path, {
        query: { ...query, offset: items.length },
      });
      items.push(...page.body.items);
      const { total = items.length } = page.body;
      if (items.length >= total || page.body.items.length === 0) return items;
    }
  };
  const openStream = async (path: string, options: RequestOptions) => {
    const response = await openRequest(connection, prepare(connection, "GET", path, options));
    if ((response.statusCode ?? 0) < 400) return response;
    readAnswer(response, await readBody(response, connection));
    return response;
  };
  return {
    send,
    sendList,
    follow: (path, { query = {}, ...options } = {}) =>
      followEvents((headers) => openStream(path, { query, headers, accept: "text/event-stream" }), options),
    call: (method, path, ...[options]) => {
      const { path: values, ...rest } = (options ?? {}) as RequestOptions & { path?: PathValues };
      return send(method, fillPath(path, values), rest);
    },
    list: (path, ...[options]) => {
      const { path: values, query } = (options ?? {}) as { path?: PathValues; query?: Query };
      return sendList(fillPath(path, values), query);
    },
  };
}

type PathValues = Readonly<Record<string, string | number>>;

/** `/api/v1/farms/{farm}` with its parameters in their places. */
export function fillPath(path: string, values: PathValues = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name] ?? "")));
}

function prepare({ token, url, origin }: Connection, method: string, path: string, options: RequestOptions): Outgoing {
  const { query = {}, body, headers = {}, accept = "application/json" } = options;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) for (const each of [value].flat()) search.append(name, String(each));
  const sent = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return {
    method,
    path: search.size > 0 ? `${path}?${search}` : path,
    headers: {
      Accept: accept,
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...(origin !== undefined && url === undefined ? { [originHeader]: origin } : {}),
      ...(sent === undefined ? {} : { "Content-Type": type, "Content-Length": Buffer.byteLength(sent) }),
      ...headers,
    },
    ...(sent === undefined ? {} : { body: sent }),
  };
}

/** An answer that succeeded. Throws what an answer that failed says. */
function readAnswer({ statusCode: status = 0, headers }: IncomingMessage, bytes: Buffer, accept?: string): Answer {
  const isJson = /[/+]json\b/.test(headers["content-type"] ?? "");
  if (status >= 400) throw readProblem(status, isJson ? parseJson(bytes) : undefined);
  const generation = headers["steelyard-generation"];
  const warnings = headers["steelyard-warnings"];
  return {
    status,
    body: bytes.length === 0 ? undefined : isJson || accept === undefined ? parseJson(bytes) : bytes,
    etag: headers.etag,
    generation: generation === undefined ? undefined : Number(generation),
    confirmBefore: asText(headers["steelyard-confirm-before"]),
    warnings: typeof warnings === "string" ? (JSON.parse(warnings) as Problem[]) : [],
  };
}

function asText(header: string | string[] | undefined): string | undefined {
  return typeof header === "string" ? header : undefined;
}

function readProblem(status: number, body: unknown): SteelyardError {
  if (typeof body !== "object" || body === null)
    return new SteelyardError("internal", `HTTP status ${status}: is this the address of a Steelyard?`);
  const { code, detail, problems = [] } = body as { code?: string; detail?: string; problems?: Problem[] };
  // A box of another version may know codes that we do not.
  const known = code !== undefined && Object.hasOwn(catalogue, code);
  // The whole answer, for those who know more of it: a second factor that is wanted has its challenge there.
  const options = { problems, cause: body };
  return new SteelyardError(known ? (code as ErrorCode) : "internal", detail ?? `HTTP status ${status}`, options);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw new SteelyardError("internal", "the answer is not JSON: is this the address of a Steelyard?");
  }
}
