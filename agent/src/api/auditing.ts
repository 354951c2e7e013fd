import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { clientAddress } from "../access/address.ts";
import { boundChanges } from "../access/audit/bounds.ts";
import type { AuditEvent } from "../access/audit/record.ts";
import type { Principal } from "../access/permissions.ts";
import type { ApiContext, Transport } from "./context.ts";

const replayed = "nothing was done: this is the answer to an earlier request of the same Idempotency-Key";
const reads = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * A record in the audit log for every change, every download of a backup and every refused attempt, that of a change before the answer leaves: who
 * has an answer has a record. Bodies are not recorded, for they hold secrets; what changed comes from the commit, with secrets hidden.
 */
export function addAuditing(app: FastifyInstance, { audit }: ApiContext, transport: Transport): void {
  app.decorateRequest("problem", undefined);
  app.decorateRequest("forced", undefined);
  app.decorateRequest("attemptedBy", undefined);

  app.addHook("onSend", async (request, reply) => {
    if (!isOfInterest(request, reply)) return;
    const written = audit.record(describe(request, reply));
    // What changed nothing does not wait for the disk.
    if (reply.statusCode < 400) await written;
  });

  function describe(request: FastifyRequest, reply: FastifyReply): Omit<AuditEvent, "time"> {
    const { method, principal, problem, commit, id } = request;
    const forced = commit?.forced ?? request.forced;
    const { statusCode: status } = reply;
    const result = status < 400 ? "done" : status < 500 ? "refused" : "failed";
    return {
      user: principal?.user ?? request.attemptedBy ?? "",
      ...(principal?.roles ? { roles: [...principal.roles] } : {}),
      means: meansOf(principal),
      source: principal?.source ?? (transport === "local" ? "local" : clientAddress(request)),
      requestId: id,
      method,
      operation: operationOf(request),
      object: objectOf(request, reply),
      result,
      status,
      ...(problem ? { code: problem.code } : {}),
      ...(problem && problem.problems.length > 0 ? { problems: problem.problems } : {}),
      // What cannot be parsed is quoted in the parser's words, and may be a secret.
      ...(problem && problem.code !== "bad-input" ? { message: problem.detail } : {}),
      ...(commit ? { message: commit.message, generation: commit.generation } : {}),
      ...(reply.hasHeader("Idempotency-Replayed") ? { message: replayed } : {}),
      ...(forced ? { forced } : {}),
      ...(commit ? boundChanges(commit.compare()) : {}),
    };
  }
}

function isOfInterest(request: FastifyRequest, { statusCode }: FastifyReply): boolean {
  if (request.is404) return false;
  if (reads.has(request.method)) return statusCode === 401 || statusCode === 403 || takesKeys(request);
  const { dryRun } = (request.query ?? {}) as { dryRun?: unknown };
  // What has passed the schema of a route that knows dry runs is no text any more: a text that got through changed something.
  const isDryRun = dryRun === true || (dryRun === "true" && statusCode >= 400);
  return !isDryRun || statusCode === 401 || statusCode === 403;
}

/** Whoever has a backup and its passphrase has every key of the box. */
function takesKeys({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.config.permission === "backups:download";
}

function operationOf({ routeOptions }: FastifyRequest): string {
  const { operationId } = (routeOptions.schema ?? {}) as { operationId?: string };
  return operationId ?? routeOptions.url ?? "";
}

/** The path below /api/v1; of something new, with its name. */
function objectOf(request: FastifyRequest, reply: FastifyReply): string {
  const location = reply.getHeader("Location");
  const [path = ""] = (typeof location === "string" ? location : request.url).split("?");
  const object = path.replace(/^\/api\/v1\//, "").slice(0, 256);
  const { name } = (request.body ?? {}) as { name?: unknown };
  const isNew = request.method === "POST" && typeof location !== "string" && typeof name === "string";
  return isNew && /^[A-Za-z0-9_.-]{1,64}$/.test(name) ? `${object}/${name}` : object;
}

/** An API key is named by its id, a session is not: it says no more than the user does. */
function meansOf(principal: Principal | undefined): string {
  if (!principal) return "none";
  return principal.means === "api-key" ? `api-key:${principal.id ?? ""}` : principal.means;
}
