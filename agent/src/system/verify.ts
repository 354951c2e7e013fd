import type { Finding } from "../commit/subsystem.ts";
import { isAddress } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { verifyWays } from "./verify-ways.ts";

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** Everything that is wrong or odd with the settings of the box, each with its path. */
export function verifySystem(configuration: Configuration): Finding[] {
  return [
    ...verifyHostname(configuration),
    ...verifyManagement(configuration),
    ...verifySsh(configuration),
    ...verifyReachable(configuration),
    ...verifyNames(configuration),
    ...verifyServices(configuration),
    ...verifyWays(configuration),
  ];
}

function verifyHostname({ system }: Configuration): Finding[] {
  // sethostname(2) takes 64 bytes.
  if (system.hostname.length > 64) return [error("system.hostname", "expected at most 64 characters")];
  if (/^localhost(\.|$)/i.test(system.hostname))
    return [error("system.hostname", "expected a name of its own, not localhost")];
  return [];
}

function verifyManagement({ system, interfaces }: Configuration): Finding[] {
  const names = system.management.interfaces;
  if (names.length === 0)
    return [warning("system.management.interfaces", "is empty: the box can be managed from its console only")];
  return names.flatMap((name, at) => {
    const path = `system.management.interfaces.${at}`;
    const settings = Object.hasOwn(interfaces, name) ? interfaces[name] : undefined;
    if (!settings) {
      const known = Object.keys(interfaces).join(", ") || "there is none";
      return error(path, `expected a configured interface: ${known}`);
    }
    if (names.indexOf(name) !== at) return error(path, `expected each interface once, but ${name} stands here again`);
    if (!settings.enabled) return warning(path, `${name} is disabled, so nothing answers there`);
    if (settings.ipv4.method === "none" && settings.ipv6.method === "none")
      return warning(path, `${name} has no address of its own, so nothing answers there but virtual addresses`);
    return [];
  });
}

function verifySsh({ system, users }: Configuration): Finding[] {
  const { enabled, port, passwordAuthentication } = system.ssh;
  if (!enabled) return [];
  const findings: Finding[] = [];
  if (port === system.management.port)
    findings.push(error("system.ssh.port", `expected another port than that of the API, ${port}`));
  const canLogIn = Object.values(users).some(
    (user) =>
      !user.disabled && (user.sshKeys.length > 0 || (passwordAuthentication && user.passwordHash !== undefined)),
  );
  if (!canLogIn)
    findings.push(
      warning("system.ssh.enabled", "nobody can log in: no user has an SSH key or a password that SSH would take"),
    );
  return findings;
}

/** Keys are good for SSH alone: without a password the API and the console let nobody in. */
function verifyReachable({ system, users }: Configuration): Finding[] {
  const accounts = Object.values(users).filter(({ disabled }) => !disabled);
  if (accounts.length === 0 || accounts.some(({ passwordHash }) => passwordHash !== undefined)) return [];
  const words = "for no user has a password, and without SSH nobody could manage the box";
  if (!system.ssh.enabled) return [error("system.ssh.enabled", `expected true, ${words}`)];
  if (system.management.interfaces.length > 0) return [];
  return [error("system.management.interfaces", `expected an interface for SSH, ${words}`)];
}

/** Names need a resolver: a configured one, or one that an interface may learn. */
function verifyNames({ system, interfaces }: Configuration): Finding[] {
  const learns = Object.values(interfaces).some(
    ({ ipv4, ipv6 }) => ipv4.method === "dhcp" || !["none", "static"].includes(ipv6.method),
  );
  const known = new Set(system.hosts.flatMap(({ names }) => names));
  if (system.dns.servers.length > 0 || learns) return [];
  return system.ntp.servers.flatMap((each, at) => {
    const server = typeof each === "string" ? each : each.address;
    if (isAddress(server) || known.has(server)) return [];
    return warning(
      `system.ntp.servers.${at}`,
      `${server} cannot be looked up: there is no DNS server in system.dns.servers`,
    );
  });
}

/** NTS proves a name; names that mean two things are an accident. */
function verifyServices({ system }: Configuration): Finding[] {
  const { dns, ntp, hosts } = system;
  const findings: Finding[] = [];
  ntp.servers.forEach((each, at) => {
    if (typeof each === "string" || !each.nts || !isAddress(each.address)) return;
    const words = "expected a name, for NTS checks the certificate of the server by it";
    findings.push(error(`system.ntp.servers.${at}.address`, words));
  });
  if (dns.overTls === "yes")
    dns.servers.forEach((each, at) => {
      if (each.includes("#")) return;
      const words = `has no name, so its certificate must hold the address; ${each}#name says another`;
      findings.push(warning(`system.dns.servers.${at}`, words));
    });
  const names = hosts.flatMap((entry, at) => entry.names.map((name) => ({ name, at, address: entry.address })));
  for (const { name, at, address } of names) {
    if (/^(?:localhost|ip6-localhost|ip6-loopback)$/i.test(name))
      findings.push(error(`system.hosts.${at}.names`, `expected another name: ${name} is the box itself`));
    const family = address.includes(":");
    const before = names.find((each) => each.name.toLowerCase() === name.toLowerCase() && each.at < at);
    if (before && before.address.includes(":") === family)
      findings.push(warning(`system.hosts.${at}.names`, `${name} stands at ${before.address} already`));
  }
  return findings;
}
