import { statfs } from "node:fs/promises";
import { isMissing, readTextIfExists } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { ConfigurationControl, Damage, PendingCommit } from "../commit/control.ts";
import { deriveNodeId } from "./node-id.ts";
import { readTimeStatus, type TimeStatus } from "./time-status.ts";

/** Bytes. */
export type DiskUse = { path: string; size: number; used: number; available: number };

/** ActiveState of systemd.unit(5): active, inactive, activating, failed, … */
export type UnitState = { name: string; state: string };

/** How the box is. */
export type SystemStatus = {
  hostname: string;
  /** UUID of this box, made once; see deriveNodeId. */
  node: string | undefined;
  /** Of the appliance: VERSION_ID of os-release(5). */
  version: string;
  /** `steelyard-virt 0.1.0`: IMAGE_ID and IMAGE_VERSION. */
  image: string | undefined;
  /** The root slot it runs from. */
  slot: "a" | "b" | undefined;
  /** Seconds. */
  uptime: number;
  /** RFC 3339, UTC. */
  time: string;
  /** Bytes. */
  memory: { total: number; available: number };
  /** Mean number of runnable tasks over 1, 5 and 15 minutes. */
  load: number[];
  disks: DiskUse[];
  generation: number;
  /** degraded: there are problems. */
  health: "ok" | "degraded";
  /** A unit has failed, be it ours or not; the configuration could not be used as it was. */
  problems: string[];
  /** What has to be done soon: a certificate expires. */
  warnings: string[];
  /** The services that matter. */
  units: UnitState[];
  failedUnits: string[];
  /** Absent while no time servers are configured. */
  clock?: TimeStatus;
};

const watchedUnits = [
  "steelyard-agent.service",
  "steelyard-base-firewall.service",
  "steelyard-nftlb.service",
  "systemd-networkd.service",
  "systemd-resolved.service",
  "chrony.service",
  "ssh.service",
  "haproxy.service",
  "gdnsd.service",
  "conntrackd.service",
  "keepalived.service",
];

/** The file systems that fill up. */
const watchedDisks = ["/config", "/data"];

export async function readSystemStatus(
  machine: Machine,
  control: Pick<ConfigurationControl, "current" | "damage" | "pending">,
  /** What other parts of the box have found. */
  found: Pick<SystemStatus, "problems" | "warnings"> = { problems: [], warnings: [] },
): Promise<SystemStatus> {
  const read = async (path: string) => (await readTextIfExists(machine.path(path))) ?? "";
  const [hostname, machineId, release, commandLine, uptime, load, memory, disks, units, failedUnits] =
    await Promise.all([
      read("/etc/hostname"),
      read("/etc/machine-id"),
      readSystemVersion(machine),
      read("/proc/cmdline"),
      read("/proc/uptime"),
      read("/proc/loadavg"),
      read("/proc/meminfo"),
      readDisks(machine),
      readUnits(machine),
      readFailedUnits(machine),
    ]);
  const timeRuns = units.some(({ name, state }) => name === "chrony.service" && state === "active");
  const clock = await readTimeStatus(machine, timeRuns);
  const slot = /(?:^|\s)steelyard\.slot=([ab])(?:\s|$)/.exec(commandLine)?.[1];
  const reset = (await read("/run/steelyard/password-reset")).trim();
  const problems = [
    ...describeDamage(control.damage()),
    ...(reset === "" ? [] : [reset]),
    ...failedUnits.map((name) => `${name} has failed`),
    ...found.problems,
  ];
  return {
    hostname: hostname.trim(),
    node: deriveNodeId(machineId),
    ...release,
    slot: slot === "a" || slot === "b" ? slot : undefined,
    uptime: Math.floor(Number(uptime.split(" ")[0])),
    time: machine.now().toISOString(),
    memory: { total: readKibibytes(memory, "MemTotal"), available: readKibibytes(memory, "MemAvailable") },
    load: load.split(" ").slice(0, 3).map(Number),
    disks,
    generation: control.current().generation,
    health: problems.length > 0 ? "degraded" : "ok",
    problems,
    warnings: [...describePending(control.pending()), ...found.warnings],
    units,
    failedUnits,
    ...(clock ? { clock } : {}),
  };
}

/** What costs next to nothing to read: for those who want to see it every few seconds. */
export type SystemLoad = Pick<SystemStatus, "uptime" | "load" | "memory"> & {
  /** Connections the kernel keeps track of, of farms and of the box itself. */
  connections: number;
};

export async function readSystemLoad(machine: Machine): Promise<SystemLoad> {
  const read = async (path: string) => (await readTextIfExists(machine.path(path))) ?? "";
  const [uptime, load, memory, connections] = await Promise.all(
    ["/proc/uptime", "/proc/loadavg", "/proc/meminfo", "/proc/sys/net/netfilter/nf_conntrack_count"].map(read),
  );
  return {
    uptime: Math.floor(Number(uptime?.split(" ")[0])),
    load: (load ?? "").split(" ").slice(0, 3).map(Number),
    memory: {
      total: readKibibytes(memory ?? "", "MemTotal"),
      available: readKibibytes(memory ?? "", "MemAvailable"),
    },
    connections: Number(connections ?? 0),
  };
}

export function describeDamage(damage: Damage | undefined): string[] {
  if (!damage) return [];
  const { reason, serving, message } = damage;
  if (serving === damage.generation) return [`configuration ${reason}: ${message}`];
  const advice =
    reason === "damaged"
      ? `to go on from what serves: steelyard config rollback ${serving}`
      : `start the newer system again, or go on from what serves: steelyard config rollback ${serving}`;
  return [`configuration ${reason}, serving generation ${serving}: ${message} (${advice})`];
}

/** A change that goes back by itself is not to be forgotten by whoever did not make it. */
function describePending(pending: PendingCommit | undefined): string[] {
  if (!pending) return [];
  const { generation, parent, author, source, deadline, message } = pending;
  const back = parent === 0 ? "the first boot begins again" : `generation ${parent} comes back`;
  return [
    `generation ${generation} by ${author} (${source}) is not confirmed: ${back} at ${deadline.slice(0, 19)}Z (steelyard config confirm): ${message}`,
  ];
}

/** What os-release(5) says of the appliance; version `0.0.0` where there is no image under the agent. */
export async function readSystemVersion(machine: Machine): Promise<{ version: string; image: string | undefined }> {
  const text = (await readTextIfExists(machine.path("/usr/lib/os-release"))) ?? "";
  const field = (name: string) => new RegExp(`^${name}=["']?([^"'\\n]*)["']?$`, "m").exec(text)?.[1] || undefined;
  const image = [field("IMAGE_ID"), field("IMAGE_VERSION")].filter((each) => each !== undefined).join(" ");
  return { version: field("VERSION_ID") ?? "0.0.0", image: image === "" ? undefined : image };
}

/** proc_meminfo(5) counts in KiB. */
function readKibibytes(meminfo: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
}

async function readDisks(machine: Machine): Promise<DiskUse[]> {
  const found = watchedDisks.map(async (path) => {
    try {
      const { blocks, bfree, bavail, bsize } = await statfs(machine.path(path));
      return [{ path, size: blocks * bsize, used: (blocks - bfree) * bsize, available: bavail * bsize }];
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  });
  return (await Promise.all(found)).flat();
}

/** The watched units that the image has. */
async function readUnits(machine: Machine): Promise<UnitState[]> {
  const properties = "--property=Id,LoadState,ActiveState";
  const { stdout } = await machine.run(["systemctl", "show", properties, ...watchedUnits]);
  return stdout.split("\n\n").flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(block)?.[1] ?? "";
    if (field("LoadState") !== "loaded") return [];
    return { name: field("Id"), state: field("ActiveState") };
  });
}

async function readFailedUnits(machine: Machine): Promise<string[]> {
  const { stdout } = await machine.run([
    "systemctl",
    "list-units",
    "--state=failed",
    "--plain",
    "--no-legend",
    "--full",
  ]);
  return stdout
    .split("\n")
    .map((line) => line.trim().split(/\s+/)[0] ?? "")
    .filter((name) => name !== "");
}
