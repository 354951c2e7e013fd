import { rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Lab } from "./enter.ts";

/**
 * Brings the box's API to the loopback of the host: a listener outside the namespace, a Unix socket between, and a connection
 * from the client's namespace. Nothing beyond 127.0.0.1 can reach it.
 */
const firstPort = 8444;
const lastPort = 8463;
const variable = "STEELYARD_LAB_API_PORT";

const socketPath = (lab: Lab) => join(lab.sockets, "api");

/** Outside: listens on the first free port from 8444 on. The process inside learns it by {@link forwardedPort}. */
export async function listenOutside(lab: Lab): Promise<() => Promise<void>> {
  const server = createServer((socket) => bridge(socket, connect(socketPath(lab))));
  for (let port = firstPort; ; port++) {
    try {
      await listen(server, { host: "127.0.0.1", port });
      process.env[variable] = String(port);
      return async () => {
        server.close();
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || port === lastPort) throw error;
    }
  }
}

export function forwardedPort(): number {
  return Number(process.env[variable] ?? firstPort);
}

/** Inside: carries each connection on to the box. */
export async function forwardInside(lab: Lab, address: string, port: number): Promise<Server> {
  rmSync(socketPath(lab), { force: true });
  const server = createServer((socket) => bridge(socket, connect({ host: address, port })));
  await listen(server, { path: socketPath(lab) });
  return server;
}

/** Either end takes the other with it. */
function bridge(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const socket of [one, other]) {
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      one.destroy();
      other.destroy();
    });
  }
}

function listen(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
