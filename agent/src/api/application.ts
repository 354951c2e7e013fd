import { randomUUID } from "node:crypto";
import type { ServerOptions } from "node:https";
import rateLimit from "@fastify/rate-limit";
import fastify, { type FastifyInstance } from "fastify";
import type { z } from "zod";
import { clientAddress } from "../access/address.ts";
import { addAuditRoutes } from "../access/audit/routes.ts";
import { addKeyRoutes } from "../access/key-routes.ts";
import { addOwnRoutes } from "../access/own-routes.ts";
import { addSessionRoutes } from "../access/routes.ts";
import { addOpenSessionRoutes } from "../access/session-routes.ts";
import { TooManyRequests } from "../access/throttle.ts";
import { addSecondFactorRoutes } from "../access/totp/routes.ts";
import { addUserRoutes } from "../access/user-routes.ts";
import { addConfirmationRoutes, addTransactionRoutes, addVerificationRoute } from "../commit/routes.ts";
import { addConfigurationRoutes } from "../configuration/routes.ts";
import { SteelyardError } from "../errors.ts";
import { addFirstBootRoutes } from "../first-boot/routes.ts";
import { addImportRoutes } from "../import/routes.ts";
import { addFarmRoutes } from "../lslb/l4/routes.ts";
import { addNetworkRoutes } from "../network/routes.ts";
import { addSystemRoutes } from "../system/routes.ts";
import { addAuditing } from "./auditing.ts";
import { addAuthentication } from "./authentication.ts";
import type { ApiContext, KnownRoute, Routes, Transport } from "./context.ts";
import { addOpenApi, addOpenApiRoute } from "./openapi.ts";
import { answerError, answerNoHttp } from "./problem.ts";

/** Every subsystem's routes. */
const routes: readonly Routes[] = [
  addSessionRoutes,
  addOwnRoutes,
  addOpenSessionRoutes,
  addUserRoutes,
  addKeyRoutes,
  addAuditRoutes,
  addSecondFactorRoutes,
  addFarmRoutes,
  addNetworkRoutes,
  addSystemRoutes,
  addConfigurationRoutes,
  addConfirmationRoutes,
  addTransactionRoutes,
  addVerificationRoute,
  addFirstBootRoutes,
  addImportRoutes,
];

/** Bytes; a farm with a thousand backends takes a tenth of it. */
const greatestBody = 1024 * 1024;
const requestsPerMinute = 6000;
const greatestConnections = 256;

/** Answers are JSON for programs: nothing in them is to be shown, framed, sniffed or kept. */
const securityHeaders = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/**
 * The API as one fastify application, for one listener: the local socket and HTTPS have one each, with the same routes, and
 * differ in who the caller is.
 */
export async function buildApplication(
  context: ApiContext,
  options: { transport: Transport; version: string; https?: ServerOptions },
): Promise<FastifyInstance> {
  const { transport, version, https } = options;
  const { log } = context.machine;
  const app = fastify({
    ...(https ? { https } : {}),
    logger: false,
    bodyLimit: greatestBody,
    genReqId: () => randomUUID(),
    // Time to receive a request; a commit may take longer to answer.
    requestTimeout: 30_000,
    keepAliveTimeout: 30_000,
    forceCloseConnections: "idle",
    clientErrorHandler: answerNoHttp,
    routerOptions: { maxParamLength: 64 },
  }) as unknown as FastifyInstance;
  app.server.maxConnections = greatestConnections;
  app.server.headersTimeout = 10_000;

  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, log));
  app.setValidatorCompiler(({ schema }) => validate(schema as unknown as z.ZodType));
  // Answers are made of objects that have passed their schema; checking them again would cost and could only hide them.
  app.setSerializerCompiler(() => JSON.stringify);
  app.addContentTypeParser(
    "application/merge-patch+json",
    { parseAs: "string" },
    app.getDefaultJsonParser("error", "error"),
  );

  app.addHook("onRequest", async (request, reply) => {
    reply.headers(securityHeaders).header("Request-Id", request.id);
    if (transport === "https") reply.header("Strict-Transport-Security", "max-age=31536000");
  });
  if (transport === "https") await addRateLimit(app);
  const known: KnownRoute[] = [];
  app.decorate("knownRoutes", known);
  app.addHook("onRoute", ({ method, url, config, schema }) => {
    for (const each of [method].flat()) known.push({ method: each, url, permission: config?.permission, schema });
  });
  app.decorateRequest("commit", undefined);
  addAuthentication(app, context, transport);
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
    throw new SteelyardError("method-not-allowed", `expected one of ${methods.join(", ")}`);
  });
  return app;
}

/** Per address (IPv6: per /64), before anything else looks at the request, whether it leads somewhere or not. */
async function addRateLimit(app: FastifyInstance): Promise<void> {
  await app.register(rateLimit, { global: false, max: requestsPerMinute, timeWindow: 60_000 });
  const check = app.createRateLimit();
  app.addHook("onRequest", async (request) => {
    const limit = await check(request);
    if (!limit.isAllowed && limit.isExceeded) throw new TooManyRequests(limit.ttlInSeconds);
  });
}

/** Parses with zod; the ZodError itself is the error, so that the error handler can name the fields. */
function validate(schema: z.ZodType) {
  return (data: unknown) => {
    const result = schema.safeParse(data);
    return result.success ? { value: result.data } : { error: result.error };
  };
}

/** Which methods an address knows: for 405 instead of 404. */
function methodsOf(routes: readonly KnownRoute[], path: string): string[] {
  const given = path.split("/");
  const matches = (pattern: string) => {
    const wanted = pattern.split("/");
    return wanted.length === given.length && wanted.every((part, at) => part.startsWith(":") || part === given[at]);
  };
  return routes.filter(({ url }) => matches(url)).map(({ method }) => method);
}
