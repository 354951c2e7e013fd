import type { FastifyInstance, FastifyRequest } from "fastify";
import { clientAddress } from "../access/address.ts";
import { isPermitted, type Permission, type Principal, type Scope } from "../access/permissions.ts";
import { localAdministrator, principalOf } from "../access/principal.ts";
import { SteelyardError } from "../errors.ts";
import type { ApiContext, RouteObject, Transport } from "./context.ts";

/**
 * Who may do what: nothing that is not declared. A route without a permission does not register; a request passes when its
 * sender is known and has the permission of its route, on the object the route says it is about. The transport is the
 * listener's own, so no header can claim it.
 */
export function addAuthentication(app: FastifyInstance, context: ApiContext, transport: Transport): void {
  app.decorateRequest("principal", undefined);

  app.addHook("onRoute", ({ method, url, config }) => {
    if (!config?.permission) throw new Error(`the route ${method} ${url} does not say which permission it needs`);
  });

  app.addHook("onRequest", async (request) => {
    const { permission, object } = request.routeOptions.config;
    if (request.is404 || permission === "public") return;
    const principal = transport === "local" ? localAdministrator : identify(request, context);
    request.principal = principal;
    if (permission === undefined) throw new SteelyardError("forbidden", "the route does not say what it needs");
    requirePermission(principal, permission, scopeOf(object, request));
  });
}

/** Where the object is in the body, the handler looks at it: it has not been read yet. */
function scopeOf(object: RouteObject | undefined, request: FastifyRequest): Scope {
  if (object === undefined) return "every";
  if (object === "some") return "some";
  return { name: (request.params as Record<string, string>)[object.parameter] ?? "" };
}

/** Throws `forbidden` when the principal may not. */
export function requirePermission(principal: Principal, permission: Permission, scope: Scope = "every"): void {
  if (isPermitted(principal, permission, scope)) return;
  const on = typeof scope === "object" ? ` on ${scope.name}` : "";
  throw new SteelyardError("forbidden", `user ${principal.user} does not have the permission ${permission}${on}`);
}

/** The user behind the bearer token, by the rights of now. */
function identify(request: FastifyRequest, { sessions, control, machine }: ApiContext): Principal {
  const token = bearerToken(request);
  if (token === undefined)
    throw new SteelyardError("unauthenticated", "expected a header Authorization: Bearer with the token of a session");
  const session = sessions.find(token, "session");
  if (!session) throw new SteelyardError("unauthenticated", "the session has ended: log in again");
  const about = { source: clientAddress(request), means: session.means, id: session.id };
  const principal = principalOf(control.current().configuration, session.account, machine.now(), about);
  if (principal) return principal;
  sessions.close(token);
  throw new SteelyardError("unauthenticated", "the password changed since, or the roles or the account: log in again");
}

/**
 * Who the sender of a request that has lasted is by now, and what it may do; undefined when it is no longer logged in.
 * Asking is no use of the session: its idle time runs on.
 */
export function currentPrincipal(
  { principal }: FastifyRequest,
  { sessions, control, machine }: ApiContext,
): Principal | undefined {
  if (principal?.means !== "session" && principal?.means !== "cookie") return principal;
  const session = sessions.list().find(({ id }) => id === principal.id);
  return session && principalOf(control.current().configuration, session.account, machine.now(), principal);
}

/** RFC 6750, 2.1. */
export function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(headers.authorization ?? "")?.[1];
}
