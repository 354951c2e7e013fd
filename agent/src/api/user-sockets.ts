import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { dirname } from "node:path";
import type { FastifyInstance } from "fastify";
import { listShellUsers } from "../access/render.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Configuration } from "../configuration/schema.ts";
import { messageOf } from "../errors.ts";
import type { Limits } from "./application.ts";
import { answerNoHttp, listenerOptions, takeExpectations } from "./protocol.ts";

/**
 * A socket for each user with a shell: `/run/steelyard/users/<name>/api.sock`, 0600 and the user's own, in a directory of
 * root. Who comes in there is that user, which the kernel vouches for; node has no SO_PEERCRED.
 */

const directory = "/run/steelyard/users";

/** Whose socket a request came in by; requests that are not here came in by root's. */
const callers = new WeakMap<IncomingMessage, string>();

export function callerOf(request: IncomingMessage): string | undefined {
  return callers.get(request);
}

export type UserSockets = {
  /** Opens and closes sockets, so that there is one for each user with a shell. */
  follow(configuration: Configuration): Promise<void>;
  /** Answers what is under way. */
  close(): Promise<void>;
};

export function makeUserSockets(local: FastifyInstance, machine: Machine, most: Limits): UserSockets {
  const open = new Map<string, { uid: number; server: Server }>();
  const closing = new Set<Promise<void>>();
  const pathOf = (name: string) => machine.path(`${directory}/${name}/api.sock`);

  async function openFor(name: string, uid: number): Promise<void> {
    const path = pathOf(name);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    const handle: RequestListener = (request, response) => {
      callers.set(request, name);
      local.routing(request, response);
    };
    const server = createServer(listenerOptions(most), handle);
    takeExpectations(server, handle);
    server.on("clientError", answerNoHttp);
    server.maxConnections = most.connectionsPerAddress;
    server.headersTimeout = most.headersTimeout;
    server.requestTimeout = most.requestTimeout;
    // The umask (0022) keeps all but root out until the socket has its owner: connecting takes the permission to write.
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
    open.set(name, { uid, server });
    await chmod(path, 0o600);
    if (process.getuid?.() === 0) await chown(path, uid, uid);
  }

  /** Nobody comes in any more; what is under way is answered, such as the request that took the shell away. */
  async function closeFor(name: string): Promise<void> {
    const server = open.get(name)?.server;
    open.delete(name);
    if (server) {
      setTimeout(() => server.closeAllConnections(), most.drain).unref();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      closing.add(closed);
      void closed.then(() => closing.delete(closed));
    }
    await rm(dirname(pathOf(name)), { recursive: true, force: true });
  }

  return {
    async follow(configuration) {
      const wanted = new Map(listShellUsers(configuration).map(({ name, uid }) => [name, uid]));
      for (const [name, { uid }] of open) if (wanted.get(name) !== uid) await closeFor(name);
      for (const [name, uid] of wanted) {
        if (open.has(name)) continue;
        await openFor(name, uid).catch((error) => machine.log.error(`api: the socket of ${name}: ${messageOf(error)}`));
      }
    },
    async close() {
      for (const name of [...open.keys()]) await closeFor(name);
      await Promise.all(closing);
    },
  };
}
