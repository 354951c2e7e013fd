import { randomUUID } from "node:crypto";
import type { IncomingMessage, RequestListener, Server, ServerOptions, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { catalogue, type ErrorCode, SteelyardError } from "../errors.ts";
import type { Limits } from "./application.ts";

/** What HTTP itself wants of a server, whatever the route (RFC 9110, RFC 9112): refused with a problem document like all else. */

/** Answers are JSON for programs: nothing in them is to be shown, framed, sniffed or kept. */
export const securityHeaders = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** Objects in objects: ours reach six. What lies far deeper would end the stack of whoever walks through it. */
const greatestDepth = 64;

export function listenerOptions(most: Limits): ServerOptions {
  return {
    maxHeaderSize: most.headers,
    connectionsCheckingInterval: most.slowness,
    // node answers a missing Host without a body; ours has words.
    requireHostHeader: false,
  };
}

/** Requests whose sender waits for 100 Continue, and those that expect what nobody knows. */
const waiting = new WeakSet<IncomingMessage>();
const unmet = new WeakSet<IncomingMessage>();

/** Has a listener hand over requests with `Expect` as it does with others; node would answer them by itself. */
export function takeExpectations(server: Server, handle: RequestListener): void {
  const hand = (marked: WeakSet<IncomingMessage>) => (request: IncomingMessage, response: ServerResponse) => {
    marked.add(request);
    handle(request, response as Parameters<RequestListener>[1]);
  };
  server.on("checkContinue", hand(waiting));
  server.on("checkExpectation", hand(unmet));
}

/** After the limit of requests, and around authentication. */
export function addProtocol(app: FastifyInstance): void {
  takeExpectations(app.server, (request, response) => app.routing(request, response));
  app.addHook("onRequest", async ({ raw }) => {
    if (raw.headers.host === undefined && raw.httpVersion === "1.1")
      throw new SteelyardError("bad-input", "expected the header Host, as in every request of HTTP/1.1");
    if (unmet.has(raw)) throw new SteelyardError("bad-input", "Expect: expected 100-continue, or no such header");
  });
  // Once it is known who asks and for what, and before the body is wanted.
  app.addHook("preParsing", async (request, reply) => {
    const { raw, params } = request;
    const [path = ""] = request.url.split("?");
    if (Object.values((params ?? {}) as object).includes(""))
      throw new SteelyardError("not-found", `there is nothing at ${path}: expected a name in it, and none is empty`);
    refuseEncoding(request);
    if (!waiting.has(raw)) return;
    if (Number(raw.headers["content-length"] ?? 0) > request.routeOptions.bodyLimit) throw tooLarge(request);
    reply.raw.writeContinue();
  });
  addJsonBodies(app);
}

/** `Content-Encoding: gzip` and the like: the bytes would be taken for what they are not. */
function refuseEncoding({ headers }: FastifyRequest): void {
  const encoding = headers["content-encoding"];
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  if (encoding === undefined || !hasBody || encoding.trim().toLowerCase() === "identity") return;
  throw new SteelyardError("unsupported-type", `Content-Encoding: expected a body as it is, not in ${encoding}`);
}

function addJsonBodies(app: FastifyInstance): void {
  // fastify's own would hand over texts, which no route takes.
  app.removeAllContentTypeParsers();
  const parse = app.getDefaultJsonParser("error", "error");
  const parseBody: typeof parse = (request, body, done) => {
    const text = String(body);
    // Many clients name a type with every request, also where there is no body.
    if (text === "") done(null, undefined);
    else if (isTooDeep(text))
      done(
        new SteelyardError("bad-input", `expected at most ${greatestDepth} objects and lists in each other`),
        undefined,
      );
    else void parse(request, text, done);
  };
  app.addContentTypeParser("application/json", { parseAs: "string" }, parseBody);
  app.addContentTypeParser("application/merge-patch+json", { parseAs: "string" }, (request, body, done) => {
    if (request.method === "PATCH") parseBody(request, body as string, done);
    else done(new SteelyardError("unsupported-type", "expected application/json: a merge patch is for PATCH alone"));
  });
}

function isTooDeep(json: string): boolean {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < json.length; at += 1) {
    const character = json[at];
    if (inText) {
      if (character === "\\") at += 1;
      else if (character === '"') inText = false;
    } else if (character === '"') inText = true;
    else if (character === "{" || character === "[") {
      depth += 1;
      if (depth > greatestDepth) return true;
    } else if (character === "}" || character === "]") depth -= 1;
  }
  return false;
}

export function tooLarge({ routeOptions }: FastifyRequest): SteelyardError {
  return new SteelyardError("too-large", `expected a body of at most ${routeOptions.bodyLimit} bytes`);
}

type Refusal = { status: number; reason: string; code: ErrorCode; detail: string };

const noHttp: Refusal = { status: 400, reason: "Bad Request", code: "bad-input", detail: "this is no request of HTTP" };
const refusals: Record<string, Refusal> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    reason: "Request Timeout",
    code: "bad-input",
    detail: "the request did not arrive in time",
  },
  // The address counts among them.
  HPE_HEADER_OVERFLOW: {
    status: 431,
    reason: "Request Header Fields Too Large",
    code: "too-large",
    detail: "the address and the header fields are too long together",
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    reason: "Payload Too Large",
    code: "too-large",
    detail: "the extensions of a chunk are too long",
  },
  HPE_INVALID_METHOD: { ...noHttp, detail: "this is no method of HTTP" },
  ERR_SSL_HTTP_REQUEST: { ...noHttp, detail: "this port speaks TLS: the address begins with https://" },
};

/** What is no HTTP at all, or came too slowly or too long in its headers: there is no request to answer, only a connection. */
export function answerNoHttp(error: NodeJS.ErrnoException, given: Duplex): void {
  // Whoever speaks HTTP to TLS reads HTTP alone. node has no public name for the connection below.
  const { _parent: below } = given as Duplex & { _parent?: Duplex };
  const socket = error.code === "ERR_SSL_HTTP_REQUEST" && below ? below : given;
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, reason, code, detail } = refusals[error.code ?? ""] ?? noHttp;
  const requestId = randomUUID();
  const { title } = catalogue[code];
  const body = JSON.stringify({ title, status, detail, code, problems: [], requestId });
  const fields = {
    ...securityHeaders,
    "Request-Id": requestId,
    "Content-Type": "application/problem+json",
    "Content-Length": body.length,
    Connection: "close",
  };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${reason}\r\n${head.join("")}\r\n${body}`);
  // Not at once: what the client still sends would take the answer from it. But a client that never closes is not waited for.
  setTimeout(() => socket.destroy(), 1_000).unref();
}
