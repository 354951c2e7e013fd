import * as fs from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing, makeDirectory, readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Executors } from "../commit/subsystem.ts";
import { SteelyardError } from "../errors.ts";
import type { SystemStep } from "./plan.ts";
import { hostKeyPath, hostKeyTypes, type SystemArtefacts } from "./render.ts";

const paths = {
  hostname: "/etc/hostname",
  resolver: "/run/systemd/resolved.conf.d/10-steelyard.conf",
  time: "/etc/chrony/chrony.conf",
  hosts: "/etc/hosts",
  localTime: "/etc/localtime",
  zones: "/usr/share/zoneinfo",
  // Read by login shells: /etc/profile of Debian sources what is here.
  proxy: "/etc/profile.d/steelyard-proxy.sh",
  // In place of the one in /usr/lib/systemd/network.
  lldp: "/run/systemd/network/90-steelyard-lldp.network",
  // The first value sshd reads wins, and Debian's sshd_config reads this directory first.
  ssh: "/etc/ssh/sshd_config.d/10-steelyard.conf",
  sshCandidate: "/run/steelyard/ssh/candidate.conf",
  // sshd's chroot for privilege separation: made by its unit, but needed by `sshd -t` too.
  sshEmpty: "/run/sshd",
};

const units = {
  resolver: "systemd-resolved.service",
  time: "chrony.service",
  ssh: "ssh.service",
};

export async function observeSystem(machine: Machine): Promise<SystemArtefacts> {
  const read = async (path: string) => (await readTextIfExists(machine.path(path))) ?? "";
  const [hostname, resolver, hosts, timeZone, proxy, lldp, time, timeRuns, ssh, sshRuns] = await Promise.all([
    read(paths.hostname),
    read(paths.resolver),
    read(paths.hosts),
    readTimeZone(machine),
    read(paths.proxy),
    read(paths.lldp),
    read(paths.time),
    machine.systemd.isActive(units.time),
    read(paths.ssh),
    machine.systemd.isActive(units.ssh),
  ]);
  return {
    hostname: hostname.trim(),
    resolver,
    hosts,
    timeZone,
    proxy,
    lldp,
    time: { file: time, running: timeRuns },
    ssh: { file: ssh, running: sshRuns },
  };
}

/** The zone that /etc/localtime leads to; UTC without it (localtime(5)). */
async function readTimeZone(machine: Machine): Promise<string> {
  try {
    const target = await fs.readlink(machine.path(paths.localTime));
    return /zoneinfo\/(.+)$/.exec(target)?.[1] ?? "UTC";
  } catch (error) {
    // EINVAL: a file in place of the link, which says no name.
    if (isMissing(error)) return "UTC";
    if ((error as NodeJS.ErrnoException).code === "EINVAL") return "";
    throw error;
  }
}

/** sshd's own check of its file. Throws `invalid-configuration` with its words. */
export async function checkSsh({ ssh }: SystemArtefacts, machine: Machine): Promise<void> {
  if (!ssh.running) return;
  await ensureHostKeys(machine);
  await makeDirectory(machine.path(paths.sshEmpty), 0o755);
  const candidate = machine.path(paths.sshCandidate);
  await writeAtomically(candidate, ssh.file, 0o600);
  const { code, stderr } = await machine.run(["sshd", "-t", "-f", candidate], { accept: [0, 1, 255] });
  if (code === 0) return;
  const words = `sshd refuses its configuration: ${stderr.trim()}`;
  throw new SteelyardError("invalid-configuration", words, { problems: [{ path: "system.ssh", message: words }] });
}

export const systemExecutors: Executors<SystemStep> = {
  // hostnamed sets the kernel's name and /etc/hostname, and is allowed to when the agent is not.
  "set-hostname": async ({ hostname }, machine) => {
    await machine.run(["hostnamectl", "hostname", hostname], { timeout: 90_000 });
  },
  "configure-resolver": async ({ file }, machine) => {
    await writeAtomically(machine.path(paths.resolver), file);
    await machine.systemd.restart(units.resolver);
  },
  "write-hosts": async ({ file }, machine) => {
    // resolved looks at the file by itself when it has changed.
    await writeAtomically(machine.path(paths.hosts), file);
  },
  "set-time-zone": async ({ timeZone }, machine) => {
    const zone = `${paths.zones}/${timeZone}`;
    if ((await readTextIfExists(machine.path(zone))) === undefined)
      throw new SteelyardError("apply-failed", `there is no time zone ${timeZone} in ${paths.zones}`, {
        problems: [{ path: "system.timeZone", message: "expected a time zone that the box has data of" }],
      });
    const link = machine.path(paths.localTime);
    const fresh = `${link}.new`;
    await fs.rm(fresh, { force: true });
    await fs.symlink(`..${zone}`, fresh);
    await fs.rename(fresh, link);
  },
  "configure-proxy": async ({ file }, machine) => {
    if (file === "") await fs.rm(machine.path(paths.proxy), { force: true });
    else await writeAtomically(machine.path(paths.proxy), file);
  },
  "configure-lldp": async ({ file }, machine) => {
    if (file === "") await fs.rm(machine.path(paths.lldp), { force: true });
    else await writeAtomically(machine.path(paths.lldp), file);
    await machine.run(["networkctl", "reload"]);
  },
  "configure-time": async ({ daemon }, machine) => {
    await writeAtomically(machine.path(paths.time), daemon.file);
    if (daemon.running) await machine.systemd.restart(units.time);
    else await machine.systemd.stop(units.time);
  },
  "configure-ssh": async ({ daemon, was }, machine) => {
    if (!daemon.running) {
      await machine.systemd.stop(units.ssh);
      await fs.rm(machine.path(paths.ssh), { force: true });
      return;
    }
    await ensureHostKeys(machine);
    await writeAtomically(machine.path(paths.ssh), daemon.file);
    // A reload opens the new port and leaves the sessions alone.
    if (was) await machine.systemd.reload(units.ssh);
    else await machine.systemd.start(units.ssh);
  },
};

/**
 * Makes the host keys that are missing. They are the identity of this box to every client, so they are made once and never
 * replaced: a damaged one is sshd's to report.
 */
async function ensureHostKeys(machine: Machine): Promise<void> {
  for (const type of hostKeyTypes) {
    const path = machine.path(hostKeyPath(type));
    if ((await readTextIfExists(path)) !== undefined) continue;
    const scratch = machine.path(`/run/steelyard/ssh/new-${machine.randomBytes(6).toString("hex")}`);
    await makeDirectory(dirname(scratch), 0o700);
    try {
      // ssh-keygen does not wait for the disk; a power cut must not leave half a key where sshd looks for it.
      await machine.run(["ssh-keygen", "-q", "-t", type, "-N", "", "-C", "steelyard", "-f", scratch], {
        timeout: 90_000,
      });
      await writeAtomically(`${path}.pub`, await fs.readFile(`${scratch}.pub`));
      await writeAtomically(path, await fs.readFile(scratch), 0o600);
    } finally {
      await Promise.all([scratch, `${scratch}.pub`].map((each) => fs.rm(each, { force: true })));
    }
    machine.log.info(`ssh: made the ${type} host key`);
  }
}
