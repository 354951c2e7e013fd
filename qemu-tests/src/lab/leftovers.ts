import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { labDirectory, socketDirectory } from "../paths.ts";
import { listNamespaces } from "./namespaces.ts";

/** What is still there of a lab after its end: namespaces, processes that name it, mounts, directories. Empty when clean. */
export async function findLeftovers(labId: string): Promise<string[]> {
  const own = `${labId}-`;
  const namespaces = (await listNamespaces()).filter((name) => name.startsWith(own));
  const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").filter((line) => line.includes(own));
  const directories = [labDirectory(labId), socketDirectory(labId)].filter((path) => existsSync(path));
  return [
    ...namespaces.map((name) => `namespace ${name}`),
    ...mounts.map((line) => `mount ${line}`),
    ...directories.map((path) => `directory ${path}`),
    ...(await findProcesses(own)).map((line) => `process ${line}`),
  ];
}

/** Processes that carry the lab's name in their command line: QEMU names its sockets, helpers their namespace. */
async function findProcesses(name: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const found: string[] = [];
  for (const pid of pids) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (Number(pid) !== process.pid && commandLine.includes(name)) {
      found.push(`${pid} ${commandLine.replaceAll("\0", " ").slice(0, 120)}`);
    }
  }
  return found;
}
