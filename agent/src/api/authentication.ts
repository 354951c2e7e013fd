import type { FastifyInstance, FastifyRequest } from "fastify";
import { clientAddress } from "../access/address.ts";
import { administratorPermissions, isPermitted, type Principal } from "../access/permissions.ts";
import { SteelyardError } from "../errors.ts";
import type { ApiContext, Transport } from "./context.ts";

const localAdministrator: Principal = { user: "admin", source: "local", permissions: administratorPermissions };

/**
 * Who may do what: nothing that is not declared. A route without a permission does not register; a request passes when its
 * sender is known and has the permission of its route. The transport is the listener's own, so no header can claim it.
 */
export function addAuthentication(app: FastifyInstance, context: ApiContext, transport: Transport): void {
  app.decorateRequest("principal", undefined);

  app.addHook("onRoute", ({ method, url, config }) => {
    if (!config?.permission) throw new Error(`the route ${method} ${url} does not say which permission it needs`);
  });

  app.addHook("onRequest", async (request) => {
    const { permission } = request.routeOptions.config;
    if (request.is404 || permission === "public") return;
    const principal = transport === "local" ? localAdministrator : identify(request, context);
    request.principal = principal;
    if (permission === undefined || !isPermitted(principal.permissions, permission))
      throw new SteelyardError("forbidden", `user ${principal.user} does not have the permission ${permission}`);
  });
}

/** The user behind the bearer token. A session ends with the user and with the password it was opened with. */
function identify(request: FastifyRequest, { sessions, control }: ApiContext): Principal {
  const token = bearerToken(request);
  if (token === undefined)
    throw new SteelyardError("unauthenticated", "expected a header Authorization: Bearer with the token of a session");
  const session = sessions.find(token);
  if (!session) throw new SteelyardError("unauthenticated", "the session has ended: log in again");
  const { users } = control.current().configuration;
  const user = Object.hasOwn(users, session.user) ? users[session.user] : undefined;
  if (user?.passwordHash !== session.credential) {
    sessions.close(token);
    throw new SteelyardError("unauthenticated", "the password changed since: log in again");
  }
  return { user: session.user, source: clientAddress(request), permissions: administratorPermissions };
}

/** RFC 6750, 2.1. */
export function bearerToken({ headers }: FastifyRequest): string | undefined {
  return /^Bearer ([A-Za-z0-9._~+/-]{1,512}=*)$/i.exec(headers.authorization ?? "")?.[1];
}
