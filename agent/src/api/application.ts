import { randomUUID } from "node:crypto";
import type { ServerOptions } from "node:https";
import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyInstance } from "fastify";
import { z } from "zod";
import { clientAddress } from "../access/address.ts";
import { addAuditTargetRoutes } from "../access/audit/export/routes.ts";
import { addAuditRoutes } from "../access/audit/routes.ts";
import { addDirectoryRoutes } from "../access/directory/routes.ts";
import { addKeyRoutes } from "../access/key-routes.ts";
import { addOwnRoutes } from "../access/own-routes.ts";
import { addSessionRoutes } from "../access/routes.ts";
import { addOpenSessionRoutes } from "../access/session-routes.ts";
import { TooManyRequests } from "../access/throttle.ts";
import { addSecondFactorRoutes } from "../access/totp/routes.ts";
import { addUserRoutes } from "../access/user-routes.ts";
import { addBackupRoutes } from "../backup/routes.ts";
import { addManagementCertificateRoutes } from "../certificates/management-routes.ts";
import { addCertificateRoutes } from "../certificates/routes.ts";
import { addConfirmationRoutes, addTransactionRoutes, addVerificationRoute } from "../commit/routes.ts";
import { addConfigurationRoutes } from "../configuration/routes.ts";
import { addUplinkRoutes } from "../dslb/routes.ts";
import { SteelyardError } from "../errors.ts";
import { addEventRoutes } from "../events/routes.ts";
import { addRecoveryRoutes } from "../first-boot/recovery-routes.ts";
import { addFirstBootRoutes } from "../first-boot/routes.ts";
import { addSealRoutes } from "../first-boot/seal-routes.ts";
import { addImportRoutes } from "../import/routes.ts";
import { addJobRoutes } from "../jobs/routes.ts";
import { addFarmRoutes } from "../lslb/l4/routes.ts";
import { addNetworkRoutes } from "../network/routes.ts";
import { addResetRoutes } from "../reset/routes.ts";
import { addRoutingRoutes } from "../routing/routes.ts";
import { addSystemRoutes } from "../system/routes.ts";
import { addAuditing } from "./auditing.ts";
import { addAuthentication } from "./authentication.ts";
import { limitConnections } from "./connections.ts";
import type { ApiContext, KnownRoute, Routes, Transport } from "./context.ts";
import { addIdempotency } from "./idempotency.ts";
import { addOpenApi, addOpenApiRoute } from "./openapi.ts";
import { answerError } from "./problem.ts";
import { addProtocol, answerNoHttp, listenerOptions, securityHeaders } from "./protocol.ts";
import { addReferenceRoutes } from "./reference/routes.ts";

/** Every subsystem's routes. */
const routes: readonly Routes[] = [
  addSessionRoutes,
  addOwnRoutes,
  addOpenSessionRoutes,
  addUserRoutes,
  addKeyRoutes,
  addDirectoryRoutes,
  addAuditRoutes,
  addAuditTargetRoutes,
  addSecondFactorRoutes,
  addFarmRoutes,
  addNetworkRoutes,
  addRoutingRoutes,
  addCertificateRoutes,
  addUplinkRoutes,
  addSystemRoutes,
  addManagementCertificateRoutes,
  addConfigurationRoutes,
  addConfirmationRoutes,
  addTransactionRoutes,
  addVerificationRoute,
  addFirstBootRoutes,
  addRecoveryRoutes,
  addSealRoutes,
  addImportRoutes,
  addEventRoutes,
  addJobRoutes,
  addBackupRoutes,
  addResetRoutes,
  addReferenceRoutes,
];

/** What one client may cost. */
export const limits = {
  /** Bytes; a farm with a thousand backends takes a tenth of it. */
  body: 1024 * 1024,
  /** From one address (IPv6: /64). */
  requestsPerMinute: 6000,
  connections: 256,
  /** Of them, from one address (IPv6: /64), over HTTPS. */
  connectionsPerAddress: 64,
  /** Bytes of all header fields together. */
  headers: 16 * 1024,
  /** Milliseconds to send the header fields, and the whole request; a commit may take longer to answer. */
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** Milliseconds between two looks for requests that are too slow; node would look each half minute. */
  slowness: 2_000,
  /** Milliseconds for what is under way when the server closes. A commit has its own bounds, and ends before. */
  drain: 30_000,
};
export type Limits = typeof limits;

/**
 * The API as one fastify application, for one listener: the local socket and HTTPS have one each, with the same routes, and
 * differ in who the caller is.
 */
export async function buildApplication(
  context: ApiContext,
  options: { transport: Transport; version: string; https?: ServerOptions; limits?: Partial<Limits> },
): Promise<FastifyInstance> {
  const { transport, version, https } = options;
  const most = { ...limits, ...options.limits };
  const listener = listenerOptions(most);
  const { log } = context.machine;
  const app = fastify({
    ...(https ? { https: { ...https, ...listener } } : { http: listener }),
    logger: false,
    bodyLimit: most.body,
    genReqId: ({ headers }) => readRequestId(headers["request-id"]) ?? randomUUID(),
    requestTimeout: most.requestTimeout,
    keepAliveTimeout: 30_000,
    forceCloseConnections: "idle",
    clientErrorHandler: answerNoHttp,
    // An address that cannot be decoded; hooks and the error handler below do not see it.
    frameworkErrors: (error, request, reply) => {
      reply.headers(securityHeaders).header("Request-Id", request.id);
      return answerError(error, request as never, reply as never, log);
    },
    routerOptions: { maxParamLength: 64 },
  }) as unknown as FastifyInstance;
  app.server.maxConnections = most.connections;
  app.server.headersTimeout = most.headersTimeout;
  if (transport === "https") limitConnections(app.server, most.connectionsPerAddress);
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
    // A server that closes looks for slow requests no more: one client could hold it open for ever.
    setTimeout(() => app.server.closeAllConnections(), most.drain).unref();
  });
  app.addHook("onSend", async (_request, reply) => {
    if (closing) reply.header("Connection", "close");
  });

  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, log));
  app.setValidatorCompiler(({ schema, httpPart, method }) => {
    if (httpPart !== "body") return validate(schema as unknown as z.ZodType);
    return validateBody(schema as unknown as z.ZodType, method === "POST");
  });
  // Answers are made of objects that have passed their schema; checking them again would cost and could only hide them.
  app.setSerializerCompiler(() => JSON.stringify);

  app.addHook("onRequest", async (request, reply) => {
    reply.headers(securityHeaders).header("Request-Id", request.id);
    if (transport === "https") reply.header("Strict-Transport-Security", "max-age=31536000");
  });
  if (transport === "https") await addRateLimit(app, most.requestsPerMinute);
  addProtocol(app);
  const known: KnownRoute[] = [];
  app.decorate("knownRoutes", known);
  app.addHook("onRoute", (route) => {
    // A word in the query that nobody reads is a mistake: ?dryRun=true where there is none would do what was not meant.
    route.schema = { querystring: z.strictObject({}), ...route.schema };
    const { method, url, config, schema } = route;
    for (const each of [method].flat()) known.push({ method: each, url, permission: config?.permission, schema });
  });
  app.decorateRequest("commit", undefined);
  addAuthentication(app, context, transport);
  addIdempotency(app, context.idempotency);
  addAuditing(app, context, transport);
  app.addHook("onResponse", async (request, { statusCode, elapsedTime }) => {
    const { method, url, principal, id } = request;
    // Whoever floods the API must not flood the journal too.
    if ((method === "GET" && statusCode < 400) || statusCode === 429) return;
    const who = `${principal?.user ?? "-"}@${principal?.source ?? clientAddress(request)}`;
    log.info(`api: ${who} ${method} ${url} ${statusCode} ${Math.round(elapsedTime)} ms, request ${id}`);
  });

  await addOpenApi(app, version);
  for (const add of routes) add(app, context);
  addOpenApiRoute(app);
  app.setNotFoundHandler((request, reply) => {
    const [path = ""] = request.url.split("?");
    const methods = methodsOf(app.knownRoutes, path);
    if (methods.length === 0) throw new SteelyardError("not-found", `there is nothing at ${path}`);
    reply.header("Allow", methods.join(", "));
    // What can be done here (RFC 9110, 9.3.7), and no word of CORS: pages of other boxes may do nothing.
    if (request.method === "OPTIONS") return reply.code(204).send();
    throw new SteelyardError("method-not-allowed", `expected one of ${methods.join(", ")}`);
  });
  return app;
}

/** Per address (IPv6: per /64), before anything else looks at the request, whether it leads somewhere or not. */
async function addRateLimit(app: FastifyInstance, requestsPerMinute: number): Promise<void> {
  await app.register(rateLimit, { global: false, max: requestsPerMinute, timeWindow: 60_000 });
  const check = app.createRateLimit();
  app.addHook("onRequest", async (request) => {
    const limit = await check(request);
    if (!limit.isAllowed && limit.isExceeded) throw new TooManyRequests(limit.ttlInSeconds);
  });
}

/** An id of the client's own, so that its log and ours can be laid side by side. Another one is made for what is no id. */
function readRequestId(given: string | string[] | undefined): string | undefined {
  return typeof given === "string" && /^[A-Za-z0-9._-]{8,64}$/.test(given) ? given : undefined;
}

/** Parses with zod; the ZodError itself is the error, so that the error handler can name the fields. */
function validate(schema: z.ZodType) {
  return (data: unknown) => {
    const result = schema.safeParse(data);
    return result.success ? { value: result.data } : { error: result.error };
  };
}

/** An action that wants to know nothing more may come without a body. */
function validateBody(schema: z.ZodType, mayBeMissing: boolean) {
  const check = validate(schema);
  return (data: unknown) => {
    // fastify has null for a body that is not there.
    const result = check(mayBeMissing && (data ?? null) === null ? {} : data);
    const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
    // A file is a schema of its own, with its own words.
    if (!result.error || isObject || schema instanceof z.ZodCustom) return result;
    // A union would ask for its discriminator, in a list or a number.
    const issue = { code: "custom" as const, path: [], message: "expected a JSON object", input: data };
    return { error: new z.ZodRealError([issue]) };
  };
}

/** Which methods an address knows: for 405 instead of 404. */
function methodsOf(routes: readonly KnownRoute[], path: string): string[] {
  if (path === "*") return [...new Set(routes.map(({ method }) => method)), "OPTIONS"];
  const given = path.split("/");
  const matches = (pattern: string) => {
    const wanted = pattern.split("/");
    return (
      wanted.length === given.length &&
      wanted.every((part, at) => (part.startsWith(":") ? given[at] !== "" : part === given[at]))
    );
  };
  const methods = routes.filter(({ url }) => matches(url)).map(({ method }) => method);
  return methods.length > 0 ? [...new Set([...methods, "OPTIONS"])] : [];
}
