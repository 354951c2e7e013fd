import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type ErrorCode, SteelyardError } from "../errors.ts";
import { canonicalJson } from "./entity-tag.ts";
import type { IdempotencyStore, StoredAnswer } from "./idempotency-store.ts";

/**
 * `Idempotency-Key` for POST (draft-ietf-httpapi-idempotency-key-header): a request that is repeated because its answer was
 * lost gets the answer of the first one and changes nothing. A key belongs to its user and route. What is refused before a
 * handler runs does not use the key up, and neither does what has to wait, or a failure of the box (5xx), after which all is
 * as it was.
 */

/** Fields of an answer that say something about the request. */
const keptHeaders = [
  "content-type",
  "etag",
  "location",
  "steelyard-confirm-before",
  "steelyard-generation",
  "steelyard-warnings",
];
/** Refusals that time undoes: whoever tries again with the same key, as it should, means the request. */
const passing: readonly (ErrorCode | undefined)[] = [
  "awaiting-confirmation",
  "too-many-jobs",
  "too-many-requests",
  "unended",
];
/** Greater answers are not kept: the request may be repeated as if it had no key. Bytes. */
const greatestAnswer = 1024 * 1024;

declare module "fastify" {
  interface FastifyRequest {
    /** The claim of a request with an `Idempotency-Key`; undefined when it has none, or was answered from the store. */
    idempotencyId: string | undefined;
  }
}

export function addIdempotency(app: FastifyInstance, store: IdempotencyStore): void {
  app.decorateRequest("idempotencyId", undefined);

  app.addHook("preHandler", async (request, reply) => {
    const key = readKey(request);
    const { permission, showsSecret } = request.routeOptions.config;
    if (key === undefined || permission === "public") return;
    if (showsSecret)
      throw new SteelyardError(
        "bad-input",
        "Idempotency-Key: expected none here, since the answer shows a secret once and is not kept: look what became of the request, and remove what is not needed",
      );
    const id = digest([request.principal?.user, request.method, pathOf(request), key]);
    const stored = await store.claim(id, digest([request.url, request.body]));
    if (stored)
      return reply.code(stored.status).headers(stored.headers).header("Idempotency-Replayed", "true").send(stored.body);
    request.idempotencyId = id;
  });

  app.addHook("onSend", async (request, reply, payload) => {
    const id = request.idempotencyId;
    if (id === undefined) return payload;
    request.idempotencyId = undefined;
    const passes = passing.includes(request.problem?.code);
    const answer = passes ? undefined : toAnswer(reply.statusCode, reply.getHeaders(), payload);
    await (answer ? store.keep(id, answer) : store.release(id));
    return payload;
  });
}

/** The key, as a structured text (RFC 8941, with quotes) or bare as most clients send it. */
function readKey({ method, headers }: FastifyRequest): string | undefined {
  const given = headers["idempotency-key"];
  if (method !== "POST" || given === undefined) return undefined;
  const match = /^(?:"([\x20\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255}))$/.exec(String(given).trim());
  if (!match)
    throw new SteelyardError(
      "bad-input",
      "Idempotency-Key: expected 1 to 255 printable ASCII characters, such as a UUID",
    );
  return match[1] ?? match[2];
}

function toAnswer(status: number, headers: Record<string, unknown>, payload: unknown): StoredAnswer | undefined {
  const body = payload === undefined || payload === null ? "" : payload;
  if (status >= 500 || typeof body !== "string" || body.length > greatestAnswer) return undefined;
  const kept = keptHeaders.filter((name) => headers[name] !== undefined);
  return { status, headers: Object.fromEntries(kept.map((name) => [name, String(headers[name])])), body };
}

function pathOf({ url }: FastifyRequest): string | undefined {
  return url.split("?")[0];
}

function digest(parts: unknown[]): string {
  return createHash("sha256").update(canonicalJson(parts)).digest("hex");
}
