import type { FastifyInstance, FastifyRequest } from "fastify";
import { clientAddress } from "../access/address.ts";
import { isApiKey, KeyRefused, principalOfKey } from "../access/api-keys.ts";
import { isPermitted, type Permission, type Principal, type Scope } from "../access/permissions.ts";
import { localAdministrator, principalOf, principalOnSocket } from "../access/principal.ts";
import { isCsrfToken, type Session } from "../access/sessions.ts";
import { originHeader } from "../client/transport.ts";
import { canonicalAddress, isAddress } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import type { ApiContext, RouteObject, Transport } from "./context.ts";
import { cookieToken, requireSameOrigin } from "./cookie.ts";
import { callerOf } from "./user-sockets.ts";

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
    const principal = transport === "local" ? identifyLocally(request, context) : identify(request, context);
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

/** Root acts as the administrator, a user with a shell as itself, by the rights of now. */
function identifyLocally(request: FastifyRequest, { control, machine }: ApiContext): Principal {
  const name = callerOf(request.raw);
  const source = sourceOnSocket(request);
  if (name === undefined) return { ...localAdministrator, source };
  request.attemptedBy = name;
  const principal = principalOnSocket(control.current().configuration, name, machine.now());
  if (!principal) throw new SteelyardError("unauthenticated", `user ${name} may not use the shell any more`);
  return { ...principal, source };
}

/**
 * Whoever types over SSH can be cut off like anybody who comes over the network, and the command says so: sshd(8) gives it the
 * address. It is believed, for the worst it can do is that a change has to be confirmed.
 */
function sourceOnSocket({ headers }: FastifyRequest): string {
  const origin = headers[originHeader];
  return typeof origin === "string" && isAddress(origin) ? `ssh ${canonicalAddress(origin)}` : "local";
}

/**
 * The user behind a token in the header, or else behind a cookie; by the rights of now. Whoever is refused all the same, and has
 * shown who he is, is named on the request for the audit log.
 */
function identify(request: FastifyRequest, context: ApiContext): Principal {
  const { control, machine, keyUses } = context;
  if (request.headers.authorization === undefined) {
    const cookie = cookieToken(request);
    if (cookie !== undefined) return identifyBrowser(request, context, cookie);
  }
  const token = bearerToken(request);
  if (token === undefined)
    throw new SteelyardError("unauthenticated", "expected a header Authorization: Bearer with the token of a session");
  if (!isApiKey(token)) return identifySession(request, context, token, "session");
  const principal = identifyKey(request, () =>
    principalOfKey(control.current().configuration, token, clientAddress(request), machine.now()),
  );
  if (principal.id !== undefined) keyUses.note(principal.id, principal.source);
  return principal;
}

function identifyKey(request: FastifyRequest, identify: () => Principal): Principal {
  try {
    return identify();
  } catch (error) {
    if (error instanceof KeyRefused) request.attemptedBy = error.owner;
    throw error;
  }
}

/** What changes something must come from a page of this box, and that page must know the session's other token. */
function identifyBrowser(request: FastifyRequest, context: ApiContext, token: string): Principal {
  const principal = identifySession(request, context, token, "cookie");
  if (["GET", "HEAD", "OPTIONS"].includes(request.method)) return principal;
  requireSameOrigin(request);
  const given = request.headers["x-csrf-token"];
  if (typeof given !== "string" || !isCsrfToken(given, token))
    throw new SteelyardError("forbidden", "expected the header X-CSRF-Token with the csrfToken of the session");
  return principal;
}

function identifySession(
  request: FastifyRequest,
  { sessions, control, machine }: ApiContext,
  token: string,
  means: Session["means"],
): Principal {
  const session = sessions.find(token, means);
  if (!session) throw new SteelyardError("unauthenticated", "the session has ended: log in again");
  request.attemptedBy = session.account.user;
  const about = { source: clientAddress(request), means, id: session.id };
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
  request: FastifyRequest,
  { sessions, control, machine }: ApiContext,
): Principal | undefined {
  const { principal } = request;
  if (principal === undefined || principal.means === "local") return principal;
  if (principal.means === "api-key") {
    try {
      const token = bearerToken(request) ?? "";
      return principalOfKey(control.current().configuration, token, principal.source, machine.now());
    } catch {
      return undefined;
    }
  }
  const session = sessions.list().find(({ id }) => id === principal.id);
  return session && principalOf(control.current().configuration, session.account, machine.now(), principal);
}

/** RFC 6750, 2.1. */
export function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(headers.authorization ?? "")?.[1];
}
