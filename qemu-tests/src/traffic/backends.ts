import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection } from "node:net";
import type { Lab } from "../lab/enter.ts";
import { sourcePath } from "../lab/enter.ts";
import { inNamespace } from "../lab/namespaces.ts";
import { type BackendName, backends } from "../lab/plan.ts";
import { withTimeout } from "../wait.ts";

/** Starts the servers behind the box; they end with {@link stop} or with the lab. */
export async function startBackends(lab: Lab): Promise<{ stop(): void }> {
  const names = Object.keys(backends) as BackendName[];
  const servers = names.map((name) => startBackend(lab, name));
  await Promise.all(servers.map((server) => withTimeout("backend to start", 30_000, once(server, "message"))));
  return {
    stop: () => {
      for (const server of servers) server.kill();
    },
  };
}

function startBackend(lab: Lab, name: BackendName): ChildProcess {
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
