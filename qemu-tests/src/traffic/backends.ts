import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import type { Lab } from "../lab/enter.ts";
import { sourcePath } from "../lab/enter.ts";
import { inNamespace } from "../lab/namespaces.ts";
import { type BackendName, backends, type Role } from "../lab/plan.ts";
import { withTimeout } from "../wait.ts";

/** Starts the servers behind the box; they end with {@link stop} or with the lab. */
export async function startBackends(lab: Lab): Promise<{ stop(): void }> {
  const names = Object.keys(backends) as BackendName[];
  return await startServers(lab, names);
}

/** The same servers in any namespaces of the lab, each under the name of its own. */
export async function startServers(lab: Lab, names: readonly Role[]): Promise<{ stop(): void }> {
  const servers = names.map((name) => startServer(lab, name));
  await Promise.all(servers.map((server) => withTimeout("server to start", 30_000, once(server, "message"))));
  return {
    stop: () => {
      for (const server of servers) server.kill();
    },
  };
}

function startServer(lab: Lab, name: Role): ChildProcess {
  const server = [process.execPath, "--import", "./register.mjs", sourcePath("traffic", "backend-server.ts"), name];
  const [file, ...args] = inNamespace(lab.id, name, server);
  return spawn(file, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

/** What becomes of a connection: an answer, a refusal (RST or ICMP), or nothing in time. */
export type Outcome = "open" | "refused" | "silent";

/** Tries a TCP connection from the namespace of the caller. */
export function tryConnection(address: string, port: number, timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port, timeout });
    const finish = (outcome: Outcome) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once("connect", () => finish("open"));
    socket.once("timeout", () => finish("silent"));
    socket.once("error", (error: NodeJS.ErrnoException) => finish(error.code === "ETIMEDOUT" ? "silent" : "refused"));
  });
}
