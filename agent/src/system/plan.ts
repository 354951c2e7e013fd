import type { StepBase } from "../commit/subsystem.ts";
import type { Daemon, SystemArtefacts } from "./render.ts";

export type HostnameStep = StepBase & { kind: "set-hostname"; hostname: string };
export type ResolverStep = StepBase & { kind: "configure-resolver"; file: string };
export type TimeStep = StepBase & { kind: "configure-time"; daemon: Daemon };
/** `was`: whether sshd runs now, so that a reload can keep its sessions. */
export type SshStep = StepBase & { kind: "configure-ssh"; daemon: Daemon; was: boolean };

export type HostsStep = StepBase & { kind: "write-hosts"; file: string };
export type TimeZoneStep = StepBase & { kind: "set-time-zone"; timeZone: string };
/** An empty file takes the proxy away. */
export type ProxyStep = StepBase & { kind: "configure-proxy"; file: string };

/** An empty file leaves the image's in force. */
export type LldpStep = StepBase & { kind: "configure-lldp"; file: string };

export type SystemStep =
  | LldpStep
  | HostnameStep
  | HostsStep
  | ResolverStep
  | TimeZoneStep
  | TimeStep
  | ProxyStep
  | SshStep;

/** Only what differs: a daemon whose file and state are right is not restarted. */
export function planSystem(now: SystemArtefacts, wanted: SystemArtefacts): SystemStep[] {
  const steps: SystemStep[] = [];
  const { hostname, resolver, time, ssh, hosts, timeZone, proxy, lldp } = wanted;
  if (now.hostname !== hostname)
    steps.push({ kind: "set-hostname", summary: `set the host name ${hostname}`, hostname });
  if (now.hosts !== hosts) steps.push({ kind: "write-hosts", summary: "write the static host names", file: hosts });
  if (now.resolver !== resolver) steps.push({ kind: "configure-resolver", summary: "configure DNS", file: resolver });
  if (now.timeZone !== timeZone)
    steps.push({ kind: "set-time-zone", summary: `set the time zone ${timeZone}`, timeZone });
  if (now.proxy !== proxy)
    steps.push({
      kind: "configure-proxy",
      summary: `${proxy === "" ? "remove" : "configure"} the proxy of shells`,
      file: proxy,
    });
  if (now.lldp !== lldp)
    steps.push({ kind: "configure-lldp", summary: "configure LLDP of cards that are not configured", file: lldp });
  if (differs(now.time, time))
    steps.push({ kind: "configure-time", summary: summarize("time synchronization", now.time, time), daemon: time });
  if (differs(now.ssh, ssh))
    steps.push({
      kind: "configure-ssh",
      summary: summarize("SSH", now.ssh, ssh),
      daemon: ssh,
      was: now.ssh.running,
    });
  return steps;
}

/** What a daemon that does not run would read is of no interest until it is to run. */
function differs(now: Daemon, wanted: Daemon): boolean {
  return now.running !== wanted.running || (wanted.running && now.file !== wanted.file);
}

function summarize(what: string, now: Daemon, wanted: Daemon): string {
  if (!wanted.running) return `stop ${what}`;
  return now.running ? `configure ${what}` : `start ${what}`;
}
