import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";
import type { NetworkInterface } from "./schema.ts";
import { carriersOf, findInterface, foundationsOf, type Interfaces, lowerOf } from "./topology.ts";
import { verifyBond } from "./verify-bond.ts";
import { verifyVrfs } from "./verify-vrf.ts";

/** What is wrong or odd with links and with what stands on what. */

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** Bytes that a card whose MTU is not given is taken to have: Ethernet's own (IEEE 802.3). */
const usualMtu = 1500;

/** Names with a meaning of their own: to the kernel's sysctl tree, to the bonding driver, to systemd-networkd. */
const reserved = ["lo", "all", "default", "bonding_masters"];

const kindNames = { bond: "a bond", vlan: "a VLAN", bridge: "a bridge", vrf: "a VRF" } as const;

export function verifyLinks(
  configuration: Pick<Configuration, "interfaces" | "virtualAddresses" | "system">,
): Finding[] {
  const { interfaces } = configuration;
  return [
    ...Object.entries(interfaces).flatMap(([name, settings]) => verifyLink(interfaces, name, settings)),
    ...findSharedMembers(interfaces),
    ...findSharedVlans(interfaces),
    ...verifyUsers(configuration),
    ...verifyVrfs(configuration),
  ];
}

function verifyLink(interfaces: Interfaces, name: string, settings: NetworkInterface): Finding[] {
  const path = `interfaces.${name}`;
  const findings = verifyName(path, name, settings);
  for (const part of ["bond", "vlan", "bridge", "vrf"] as const) {
    const given = settings[part] !== undefined;
    if (part === settings.kind && !given)
      findings.push(error(`${path}.${part}`, `expected the settings of ${kindNames[part]}`));
    if (part !== settings.kind && given)
      findings.push(
        error(`${path}.${part}`, `expected no settings of ${kindNames[part]}: the kind is ${settings.kind}`),
      );
  }
  if (settings.kind === "dummy")
    for (const family of ["ipv4", "ipv6"] as const)
      if (!["none", "static"].includes(settings[family].method))
        findings.push(
          error(`${path}.${family}.method`, "expected none or static: a dummy has no network to learn from"),
        );
  const loop = findLoop(interfaces, name);
  if (loop) findings.push(error(`${path}.${loop}`, "expected no loop: the interface would stand on itself"));
  const members = settings.kind === "vlan" ? [] : lowerOf(settings);
  findings.push(...members.flatMap((each) => verifyMember(interfaces, name, settings, each)));
  if (settings.kind === "bond" && settings.bond) findings.push(...verifyBond(`${path}.bond`, settings.bond));
  if (settings.kind === "bridge") findings.push(...verifyBridgeMtu(path, interfaces, settings));
  if (settings.kind === "vlan") findings.push(...verifyVlan(path, interfaces, settings));
  return findings;
}

function verifyName(path: string, name: string, { kind }: NetworkInterface): Finding[] {
  if (name === "lo") return [];
  if (reserved.includes(name) || /^\d+$/.test(name))
    return [error(path, "expected another name: this one is reserved")];
  if (kind !== "ethernet" && /^(?:eth|nic)\d+$/.test(name))
    return [error(path, `expected another name, such as ${kind}0: a network card may have this one`)];
  return [];
}

/** Where the interface names what stands on itself. */
function findLoop(interfaces: Interfaces, name: string): string | undefined {
  const settings = findInterface(interfaces, name);
  return (settings ? lowerOf(settings) : []).find((lower) => foundationsOf(interfaces, lower.name).includes(name))
    ?.path;
}

const mayBelong = {
  bond: ["ethernet", "dummy"],
  bridge: ["ethernet", "bond", "vlan", "dummy"],
  vrf: ["ethernet", "bond", "vlan", "bridge", "dummy"],
} as const;

function verifyMember(
  interfaces: Interfaces,
  master: string,
  { kind, mtu }: NetworkInterface,
  { name, path }: { name: string; path: string },
): Finding[] {
  const findings: Finding[] = [];
  const at = `interfaces.${master}.${path}`;
  if (name === "lo") return [error(at, "expected a network card: lo belongs to the system")];
  const member = findInterface(interfaces, name);
  if (!member) return [];
  const own = `interfaces.${name}`;
  const kinds: readonly string[] = kind === "bond" || kind === "vrf" ? mayBelong[kind] : mayBelong.bridge;
  if (!kinds.includes(member.kind))
    findings.push(error(at, `expected a member of kind ${kinds.join(", ")}; ${name} is a ${member.kind}`));
  if (!member.enabled) findings.push(warning(at, `${name} is disabled, so it carries nothing`));
  if (kind === "vrf") return findings;
  for (const family of ["ipv4", "ipv6"] as const)
    if (member[family].method !== "none")
      findings.push(
        error(`${own}.${family}.method`, `expected none: ${name} is a member of ${master}, which has the addresses`),
      );
  if (kind === "bond" && member.mtu !== undefined && member.mtu !== (mtu ?? usualMtu))
    findings.push(error(`${own}.mtu`, `expected no MTU, or that of ${master} (${mtu ?? usualMtu})`));
  return findings;
}

function verifyVlan(path: string, interfaces: Interfaces, { vlan, mtu, enabled }: NetworkInterface): Finding[] {
  if (!vlan) return [];
  const findings: Finding[] = [];
  const at = `${path}.vlan.parent`;
  if (vlan.parent === "lo") return [error(at, "expected a network card: lo belongs to the system")];
  const master = carriersOf(interfaces).get(vlan.parent);
  if (master !== undefined) findings.push(error(at, `expected ${master}, of which ${vlan.parent} is a member`));
  const parent = findInterface(interfaces, vlan.parent);
  if (parent && !parent.enabled && enabled)
    findings.push(warning(at, `${vlan.parent} is disabled, so the VLAN carries nothing`));
  const most = parent?.mtu ?? usualMtu;
  if (mtu !== undefined && mtu > most)
    findings.push(error(`${path}.mtu`, `expected at most the MTU of ${vlan.parent} (${most})`));
  return findings;
}

function verifyBridgeMtu(path: string, interfaces: Interfaces, settings: NetworkInterface): Finding[] {
  const { mtu } = settings;
  if (mtu === undefined) return [];
  const small = lowerOf(settings).find(({ name }) => (findInterface(interfaces, name)?.mtu ?? usualMtu) < mtu);
  if (!small) return [];
  const most = findInterface(interfaces, small.name)?.mtu ?? usualMtu;
  return [error(`${path}.mtu`, `expected at most the MTU of its member ${small.name} (${most})`)];
}

/** An interface belongs to one bond, bridge or VRF. */
function findSharedMembers(interfaces: Interfaces): Finding[] {
  const first = new Map<string, string>();
  return Object.entries(interfaces).flatMap(([name, settings]) =>
    (settings.kind === "vlan" ? [] : lowerOf(settings)).flatMap((member) => {
      const before = first.get(member.name);
      first.set(member.name, before ?? name);
      const path = `interfaces.${name}.${member.path}`;
      if (before === name) return error(path, `expected each member once; ${member.name} is named twice`);
      return before === undefined ? [] : error(path, `expected another one: ${member.name} is a member of ${before}`);
    }),
  );
}

/** One interface per VLAN of a parent: the kernel has no second one. */
function findSharedVlans(interfaces: Interfaces): Finding[] {
  const first = new Map<string, string>();
  return Object.entries(interfaces).flatMap(([name, { kind, vlan }]) => {
    if (kind !== "vlan" || !vlan) return [];
    const key = `${vlan.parent} ${vlan.protocol} ${vlan.id}`;
    const before = first.get(key);
    first.set(key, before ?? name);
    if (before === undefined) return [];
    return error(`interfaces.${name}.vlan.id`, `expected another VLAN: ${vlan.id} of ${vlan.parent} is ${before}`);
  });
}

/** Addresses and management belong on the bond or bridge, not on what it is made of. */
function verifyUsers({
  interfaces,
  virtualAddresses,
  system,
}: Pick<Configuration, "interfaces" | "virtualAddresses" | "system">): Finding[] {
  const masters = carriersOf(interfaces);
  return [
    ...Object.entries(virtualAddresses).flatMap(([name, { interface: parent }]) => {
      const master = masters.get(parent);
      return master === undefined
        ? []
        : error(`virtualAddresses.${name}.interface`, `expected ${master}, of which ${parent} is a member`);
    }),
    ...system.management.interfaces.flatMap((name, at) => {
      const master = masters.get(name);
      return master === undefined
        ? []
        : error(`system.management.interfaces.${at}`, `expected ${master}, of which ${name} is a member`);
    }),
  ];
}
