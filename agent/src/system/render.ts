import type { Configuration } from "../configuration/schema.ts";

/** A daemon with its configuration file, and whether it runs. */
export type Daemon = { file: string; running: boolean };

export type SystemArtefacts = {
  /** As in /etc/hostname. The agent cannot see the kernel's: it runs in a UTS namespace of its own (ProtectHostname=). */
  hostname: string;
  /** Drop-in of resolved.conf(5). */
  resolver: string;
  /** Drop-in of timesyncd.conf(5). */
  time: Daemon;
  /** Drop-in of sshd_config(5). */
  ssh: Daemon;
};

/** Host keys are made once and outlive every update; see apply.ts. */
export const hostKeyDirectory = "/config/local/ssh";
export const hostKeyTypes = ["ed25519", "ecdsa"] as const;
export const hostKeyPath = (type: (typeof hostKeyTypes)[number]) => `${hostKeyDirectory}/ssh_host_${type}_key`;

/** Where the access subsystem puts the keys of a user. */
const authorizedKeys = "/etc/ssh/authorized_keys.d/%u";

const headline = "# Rendered by the Steelyard agent; edits are lost.";

export function renderSystem({ system, users }: Pick<Configuration, "system" | "users">): SystemArtefacts {
  const { hostname, dns, ntp, ssh } = system;
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
    ]),
    time: {
      file: lines([headline, "[Time]", `NTP=${ntp.servers.join(" ")}`, "FallbackNTP="]),
      running: ntp.servers.length > 0,
    },
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

/** An empty AllowUsers would let everybody in. */
function renderAllowedUsers(names: string[]): string[] {
  return names.length > 0 ? [`AllowUsers ${names.sort().join(" ")}`] : ["DenyUsers *"];
}

function lines(each: string[]): string {
  return `${each.join("\n")}\n`;
}
