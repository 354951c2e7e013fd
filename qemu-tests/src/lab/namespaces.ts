import { setTimeout as delay } from "node:timers/promises";
import { runCommand } from "../run-command.ts";
import { namespaceName, networkCommands, ownerOfNamespace, type Role, roles } from "./plan.ts";
import { uplinkCommands } from "./uplinks.ts";

/** Prefixes a command so that it runs in a namespace of the lab. */
export function inNamespace(labId: string, role: Role, argv: readonly string[]): [string, ...string[]] {
  return ["ip", "netns", "exec", namespaceName(labId, role), ...argv];
}

/** Makes namespaces, bridges, taps and addresses. What a failed try left is removed. */
export async function createNetwork(labId: string): Promise<void> {
  try {
    for (const command of [...networkCommands(labId), ...uplinkCommands(labId)]) await runCommand(["ip", ...command]);
  } catch (error) {
    await removeNetwork(labId);
    throw error;
  }
}

/**
 * Ends whatever still runs in the lab's namespaces, by process id, and removes them. Safe to call twice.
 * `spare` is the calling process, which may itself stand in one.
 */
export async function removeNetwork(labId: string, spare = process.pid): Promise<void> {
  const existing = (await listNamespaces()).filter((name) => roles.some((role) => name === namespaceName(labId, role)));
  for (const namespace of existing) await endProcesses(namespace, spare);
  for (const namespace of existing) await runCommand(["ip", "netns", "delete", namespace], { accept: [0, 1, 255] });
}

/** Removes labs whose process is gone: a run that was killed with SIGKILL cleans nothing. */
export async function removeDeadLabs(): Promise<string[]> {
  const dead = new Set<string>();
  for (const name of await listNamespaces()) {
    const owner = ownerOfNamespace(name);
    if (owner !== undefined && !isAlive(owner)) dead.add(name.slice(0, name.lastIndexOf("-")));
  }
  for (const labId of dead) await removeNetwork(labId);
  return [...dead];
}

export async function listNamespaces(): Promise<string[]> {
  const { stdout } = await runCommand(["ip", "netns", "list"]);
  return stdout
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "")
    .filter((name) => name !== "");
}

async function endProcesses(namespace: string, spare: number): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const pids = (await processesIn(namespace)).filter((pid) => pid !== spare);
    if (pids.length === 0) return;
    for (const pid of pids) sendSignal(pid, signal);
    for (let tries = 0; tries < 20 && pids.some(isAlive); tries++) await delay(100);
  }
}

export async function processesIn(namespace: string): Promise<number[]> {
  const { stdout } = await runCommand(["ip", "netns", "pids", namespace], { accept: [0, 1, 255] });
  return stdout.split(/\s+/).filter(Boolean).map(Number);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between the listing and now, which is what was wanted.
  }
}
