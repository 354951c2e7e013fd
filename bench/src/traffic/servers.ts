import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Lab } from "../../../qemu-tests/src/lab/enter.ts";
import { inNamespace } from "../../../qemu-tests/src/lab/namespaces.ts";
import { type BackendName, backends } from "../../../qemu-tests/src/lab/plan.ts";
import { repository } from "../../../qemu-tests/src/paths.ts";
import { sleep, withTimeout } from "../../../qemu-tests/src/wait.ts";

/** Ports on which each backend answers with a constant; five, so that a farm can have ten different backends. */
export const answerPorts = [80, 8001, 8002, 8003, 8004, 8005] as const;
export const streamPort = 5201;

/** The addresses of both backends with one of their ports. */
export function bothBackends(port: number): { address: string; port: number }[] {
  return Object.values(backends).map(({ ipv4 }) => ({ address: ipv4, port }));
}

export type Servers = { stop(): void };

/** Starts, on each backend, the server of constants and an iperf3 server. They end with {@link Servers.stop} or with the lab. */
export async function startServers(lab: Lab): Promise<Servers> {
  const names = Object.keys(backends) as BackendName[];
  const answering = names.map((name) => startAnswering(lab, name));
  const streaming = names.map((name) => startStreaming(lab, name));
  await Promise.all(answering.map((server) => withTimeout("the backends to start", 30_000, once(server, "message"))));
  // iperf3 says nothing when it listens; it does so at once.
  await sleep(300);
  const dead = streaming.find(({ exitCode }) => exitCode !== null);
  if (dead) throw new Error("iperf3 did not start on a backend: is the package iperf3 installed?");
  return {
    stop: () => {
      for (const server of [...answering, ...streaming]) server.kill();
    },
  };
}

function startAnswering(lab: Lab, name: BackendName): ChildProcess {
  const script = join(repository, "bench", "src", "traffic", "answer-server.ts");
  const ports = answerPorts.map(String);
  const [file, ...args] = inNamespace(lab.id, name, [
    ...[process.execPath, "--import", "./register.mjs", script],
    ...ports,
  ]);
  return spawn(file, args, { cwd: repository, stdio: ["ignore", "inherit", "inherit", "ipc"] });
}

function startStreaming(lab: Lab, name: BackendName): ChildProcess {
  const [file, ...args] = inNamespace(lab.id, name, ["iperf3", "--server", "--port", String(streamPort)]);
  return spawn(file, args, { stdio: "ignore" });
}
