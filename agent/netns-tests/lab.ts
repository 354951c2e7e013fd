import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Machine, makeMachine } from "../src/adapters/machine.ts";
import { loadRules } from "../src/adapters/nft.ts";
import { run } from "../src/adapters/process.ts";
import type { Systemd } from "../src/adapters/systemd.ts";
import type { CommitRequest } from "../src/commit/control.ts";
import { type Configuration, configuration } from "../src/configuration/schema.ts";
import type { Request } from "./traffic.ts";

const here = dirname(fileURLToPath(import.meta.url));
export const overlay = join(here, "../../image/overlay");

const inside = "STEELYARD_NETNS_TEST";

/**
 * Runs the calling test file once more as the box: in namespaces of its own for network, processes and mounts. All that the
 * test starts lives in them and ends with them, however the test ends; nothing of the host can be reached.
 * Gives true inside. Outside it waits for the end, passes the output through, and gives false.
 */
export async function enterBox(file: string): Promise<boolean> {
  if (process.env[inside]) return true;
  const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
  // The kernel ends unshare when we end, even by SIGKILL, and unshare ends what it holds.
  const tied = ["--pdeathsig", "KILL", "unshare", ...namespaces, process.execPath, ...process.execArgv, file];
  const child = spawn("setpriv", tied, {
    stdio: "inherit",
    env: { ...process.env, [inside]: "1" },
  });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => child.kill("SIGKILL"));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
  return false;
}

/** A process in a namespace of its own that does what it is asked. */
export type Peer = { ask<Answer>(request: Request): Promise<Answer>; pid: number; end(): void };

export type Lab = {
  machine: Machine;
  client: Peer;
  /** b1, b2, b3 on 10.9.2.11 to .13 and fd09:2::11 to ::13. */
  backends: Record<string, Peer>;
  nftlb: NftlbUnit;
  close(): Promise<void>;
};

/** The unit steelyard-nftlb.service without systemd: starts nftlb with the key of its file, again when it died. */
export type NftlbUnit = Systemd & { kill(): void; starts(): number };

/**
 * The box with a network to the client (10.9.1.0/24, fd09:1::/64; virtual addresses .10, .11, ::10) and one to the backends,
 * the base firewall and the kernel settings of the image.
 */
export async function buildLab(tcp: number[], udp: number[]): Promise<Lab> {
  const root = await fs.mkdtemp(join(tmpdir(), "steelyard-netns-"));
  const base = "usr/lib/steelyard/nft/base.nft";
  await fs.mkdir(join(root, dirname(base)), { recursive: true });
  await fs.copyFile(join(overlay, base), join(root, base));
  const quiet = () => {};
  const log = { info: quiet, warn: quiet, error: (message: string) => process.stderr.write(`${message}\n`) };
  const nftlb = simulateUnit(root);
  const machine = makeMachine({ root, systemd: nftlb, log });

  await run(["ip", "link", "set", "lo", "up"]);
  await applySettings();
  await loadRules(machine, readFileSync(join(root, base), "utf8"));
  const client = await startPeer();
  await link("client0", client.pid, ["10.9.1.1/24", "10.9.1.10/32", "10.9.1.11/32", "fd09:1::1/64", "fd09:1::10/128"]);
  await address(client.pid, ["10.9.1.2/24", "fd09:1::2/64"], "10.9.1.1", "fd09:1::1");
  await run(["ip", "link", "add", "backends", "type", "bridge"]);
  await addAddresses("backends", ["10.9.2.1/24", "fd09:2::1/64"]);
  const backends: Record<string, Peer> = {};
  for (const number of [1, 2, 3]) {
    const name = `b${number}`;
    const peer = await startPeer();
    backends[name] = peer;
    await link(`${name}0`, peer.pid, []);
    await run(["ip", "link", "set", `${name}0`, "master", "backends"]);
    await address(peer.pid, [`10.9.2.1${number}/24`, `fd09:2::1${number}/64`], "10.9.2.1", "fd09:2::1");
    await peer.ask({ ask: "serve", name, tcp, udp });
  }
  const close = async () => {
    for (const peer of [client, ...Object.values(backends)]) peer.end();
    await nftlb.stop("");
    await fs.rm(root, { recursive: true, force: true });
  };
  return { machine, client, backends, nftlb, close };
}

/** The image's own kernel settings, as far as a network namespace has them. */
export async function applySettings(): Promise<void> {
  const text = readFileSync(join(overlay, "usr/lib/sysctl.d/50-steelyard.conf"), "utf8");
  for (const [, key = "", value = ""] of text.matchAll(/^(net\.(?:ipv4|ipv6|netfilter)\.[\w.]+) = (.+)$/gm))
    await fs.writeFile(`/proc/sys/${key.replaceAll(".", "/")}`, value).catch(() => {});
}

export async function link(name: string, pid: number, addresses: string[]): Promise<void> {
  await run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", String(pid)]);
  await addAddresses(name, addresses);
}

export async function addAddresses(name: string, addresses: string[]): Promise<void> {
  await run(["ip", "link", "set", name, "up"]);
  for (const each of addresses)
    await run(["ip", "address", "add", each, "dev", name, ...(each.includes(":") ? ["nodad"] : [])]);
}

export async function address(pid: number, addresses: string[], ...gateways: string[]): Promise<void> {
  const enter = ["nsenter", `--net=/proc/${pid}/ns/net`] as const;
  await run([...enter, "ip", "link", "set", "lo", "up"]);
  await run([...enter, "ip", "link", "set", "eth0", "up"]);
  for (const each of addresses)
    await run([...enter, "ip", "address", "add", each, "dev", "eth0", ...(each.includes(":") ? ["nodad"] : [])]);
  for (const each of gateways) await run([...enter, "ip", "route", "add", "default", "via", each]);
}

export async function startPeer(): Promise<Peer> {
  const child = spawn("unshare", ["--net", process.execPath, ...process.execArgv, join(here, "traffic.ts")], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  child.on("message", ({ id, answer, failure }: { id: number; answer?: unknown; failure?: string }) => {
    const entry = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) entry?.resolve(answer);
    else entry?.reject(new Error(failure));
  });
  child.on("exit", (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`the peer ended with ${code}`));
  });
  let next = 1;
  const ask = async <Answer>(request: Request): Promise<Answer> =>
    await new Promise<Answer>((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      child.send({ id, request });
    });
  // It answers once it runs, and by then it has left our network namespace.
  await ask({ ask: "release" });
  if (child.pid === undefined) throw new Error("the peer did not start");
  return { ask, pid: child.pid, end: () => child.kill() };
}

export function simulateUnit(root: string): NftlbUnit {
  let child: ChildProcess | undefined;
  let wanted = false;
  let started = 0;
  const launch = () => {
    const key = readFileSync(join(root, "run/steelyard/nftlb.key"), "utf8").trim();
    const env = { ...process.env, NFTLB_SERVER_KEY: key };
    // ExecStartPre=- of the unit: failing is no reason not to start.
    spawnSync(join(overlay, "usr/lib/steelyard/hand-over-rules"), { stdio: "inherit" });
    const made = spawn("nftlb", ["-H", "127.0.0.1", "-P", "5555", "-l", "3", "-L", "0"], { stdio: "ignore", env });
    child = made;
    started++;
    made.on("exit", () => {
      if (child !== made) return;
      child = undefined;
      // RestartSec=1 of the unit.
      if (wanted) setTimeout(() => wanted && !child && launch(), 1_000);
    });
  };
  const end = async () => {
    const ending = child;
    child = undefined;
    if (!ending) return;
    const gone = new Promise((resolve) => ending.on("exit", resolve));
    ending.kill("SIGTERM");
    await gone;
  };
  const start = async () => {
    wanted = true;
    if (!child) launch();
  };
  return {
    start,
    stop: async () => {
      wanted = false;
      await end();
    },
    restart: async () => {
      await end();
      await start();
    },
    reload: async () => {},
    isActive: async () => child !== undefined,
    kill: () => {
      child?.kill("SIGKILL");
    },
    starts: () => started,
  };
}

/** The change of a commit that edits a copy of the configuration, which is then checked as any other. */
export function edited(edit: (draft: Configuration) => void): CommitRequest["change"] {
  return (current) => {
    const draft = structuredClone(current);
    edit(draft);
    return configuration.parse(draft);
  };
}

/** Waits until something holds; throws with the last state when it does not in time (milliseconds). */
export async function until(what: string, timeout: number, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeout;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeout} ms`);
    await sleep(100);
  }
}
