import type { Configuration } from "../configuration/schema.ts";
import type { System } from "./schema.ts";

/** A daemon with its configuration file, and whether it runs. */
export type Daemon = { file: string; running: boolean };

export type SystemArtefacts = {
  /** As in /etc/hostname. The agent cannot see the kernel's: it runs in a UTS namespace of its own (ProtectHostname=). */
  hostname: string;
  /** Drop-in of resolved.conf(5). */
  resolver: string;
  /** chrony.conf(5). */
  time: Daemon;
  /** hosts(5). */
  hosts: string;
  /** As in `/usr/share/zoneinfo`. */
  timeZone: string;
  /** Script for the shells of administrators with the proxy's variables; empty without one. */
  proxy: string;
  /** systemd.network(5) file of cards that are not configured, in place of the image's; empty: the image's will do. */
  lldp: string;
  /** Drop-in of sshd_config(5). */
  ssh: Daemon;
};

/** Host keys are made once and outlive every update; see apply.ts. */
export const hostKeyDirectory = "/config/local/ssh";
export const hostKeyTypes = ["ed25519", "ecdsa"] as const;
export const hostKeyPath = (type: (typeof hostKeyTypes)[number]) => `${hostKeyDirectory}/ssh_host_${type}_key`;

/** Kept over a reboot: how fast this clock goes wrong, and the cookies of NTS. */
export const timeDirectory = "/data/chrony";

/** Where the access subsystem puts the keys of a user. */
const authorizedKeys = "/etc/ssh/authorized_keys.d/%u";

const headline = "# Rendered by the Steelyard agent; edits are lost.";

export function renderSystem({ system, users }: Pick<Configuration, "system" | "users">): SystemArtefacts {
  const { hostname, dns, ntp, ssh, hosts, timeZone, proxy, lldp } = system;
  return {
    hostname,
    resolver: lines([
      headline,
      "[Resolve]",
      `DNS=${dns.servers.join(" ")}`,
      `Domains=${dns.search.join(" ")}`,
      // Without these resolved asks public resolvers of its own choice, and answers to names on every network.
      "FallbackDNS=",
      "LLMNR=no",
      "MulticastDNS=no",
      `DNSSEC=${dns.dnssec}`,
      `DNSOverTLS=${dns.overTls}`,
    ]),
    time: { file: renderTime(ntp.servers), running: ntp.servers.length > 0 },
    hosts: lines([
      headline,
      "127.0.0.1 localhost",
      "::1 localhost ip6-localhost ip6-loopback",
      ...hosts.map(({ address, names }) => `${address} ${names.join(" ")}`),
    ]),
    timeZone,
    proxy: renderProxy(proxy),
    lldp: renderLldp(lldp),
    ssh: {
      file: lines([
        headline,
        `Port ${ssh.port}`,
        ...hostKeyTypes.map((type) => `HostKey ${hostKeyPath(type)}`),
        `AuthorizedKeysFile ${authorizedKeys}`,
        ...renderAllowedUsers(Object.keys(users)),
        "PermitRootLogin no",
        `PasswordAuthentication ${ssh.passwordAuthentication ? "yes" : "no"}`,
        "KbdInteractiveAuthentication no",
        "PermitEmptyPasswords no",
        "X11Forwarding no",
        "AllowAgentForwarding no",
        "LoginGraceTime 30",
        "MaxAuthTries 4",
        "UseDNS no",
      ]),
      running: ssh.enabled,
    },
  };
}

/** A client and nothing more: it opens no port, and answers chronyc(1) on its socket alone. */
function renderTime(servers: System["ntp"]["servers"]): string {
  return lines([
    headline,
    ...servers.map((each) => {
      const { address, port, nts, prefer } =
        typeof each === "string" ? { address: each, port: undefined, nts: false, prefer: false } : each;
      const words = ["server", address, "iburst", ...(port === undefined ? [] : ["port", String(port)])];
      return [...words, ...(nts ? ["nts"] : []), ...(prefer ? ["prefer"] : [])].join(" ");
    }),
    // One server that is authenticated is not outvoted by those that anybody can pretend to be.
    ...(servers.some((each) => typeof each !== "string" && each.nts) ? ["authselectmode prefer"] : []),
    // A clock that is far off is set at once while the box starts; later it is only slewed, for timers and logs hate jumps.
    "makestep 1.0 3",
    "rtcsync",
    "leapseclist /usr/share/zoneinfo/leap-seconds.list",
    `driftfile ${timeDirectory}/drift`,
    `ntsdumpdir ${timeDirectory}`,
    "port 0",
    "cmdport 0",
  ]);
}

/** As the image's file of this name, but for the last lines. A card that is down neither hears nor tells anything. */
function renderLldp(lldp: System["lldp"]): string {
  if (lldp === "receive") return "";
  return lines([
    headline,
    "[Match]",
    "Type=ether",
    "Kind=!*",
    "",
    "[Link]",
    "ActivationPolicy=manual",
    "RequiredForOnline=no",
    "",
    "[Network]",
    "DHCP=no",
    "IPv6AcceptRA=no",
    "LinkLocalAddressing=no",
    ...(lldp === "off" ? ["LLDP=no"] : ["LLDP=routers-only", "EmitLLDP=nearest-bridge"]),
  ]);
}

/** Both spellings: curl reads only the small one of http_proxy, other programs only the capital ones. */
function renderProxy({ url, bypass }: System["proxy"]): string {
  if (url === undefined) return "";
  const without = ["localhost", "127.0.0.1", "::1", ...bypass].join(",");
  const variables = { http_proxy: url, https_proxy: url, no_proxy: without };
  return lines([
    headline,
    ...Object.entries(variables).flatMap(([name, value]) => [
      `export ${name}='${value}'`,
      `export ${name.toUpperCase()}='${value}'`,
    ]),
  ]);
}

/** An empty AllowUsers would let everybody in. */
function renderAllowedUsers(names: string[]): string[] {
  return names.length > 0 ? [`AllowUsers ${names.sort().join(" ")}`] : ["DenyUsers *"];
}

function lines(each: string[]): string {
  return `${each.join("\n")}\n`;
}
