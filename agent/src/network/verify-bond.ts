import type { Finding } from "../commit/subsystem.ts";
import { addressFamily } from "../configuration/fields.ts";
import { bondKnows } from "./bond-modes.ts";
import { type Bond, bond as schema } from "./link-kinds.ts";

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

const defaults = schema.parse({});

/** What is wrong or odd within the settings of one bond (Documentation/networking/bonding.rst of the kernel). */
export function verifyBond(path: string, bond: Bond): Finding[] {
  return [...verifyMembers(path, bond), ...verifyMonitoring(path, bond), ...findUseless(path, bond)];
}

function verifyMembers(path: string, { mode, members, memberPattern, minLinks, primary }: Bond): Finding[] {
  const findings: Finding[] = [];
  if (primary !== undefined && !members.includes(primary) && memberPattern === undefined)
    findings.push(error(`${path}.primary`, `expected a member: ${members.join(", ") || "there is none"}`));
  if (memberPattern !== undefined) return findings;
  if (members.length === 0) {
    const words = "expected members or a memberPattern";
    findings.push(
      mode === "802.3ad"
        ? error(`${path}.members`, words)
        : warning(`${path}.members`, "a bond without members carries nothing"),
    );
  } else if (members.length === 1)
    findings.push(warning(`${path}.members`, "a bond of one member has nothing to fall back on"));
  if (members.length > 0 && minLinks > members.length)
    findings.push(error(`${path}.minLinks`, `expected at most ${members.length}, the number of its members`));
  return findings;
}

function verifyMonitoring(path: string, { mode, monitor, mii, arp }: Bond): Finding[] {
  if (monitor === "mii")
    return (["upDelay", "downDelay"] as const)
      .filter((key) => mii[key] % mii.interval !== 0)
      .map((key) => error(`${path}.mii.${key}`, `expected a multiple of the interval (${mii.interval} ms)`));
  const findings: Finding[] = [];
  if (!bondKnows(mode, "arpMonitoring"))
    findings.push(error(`${path}.monitor`, `expected mii: ${mode} has no ARP monitoring`));
  if (arp.targets.length === 0) findings.push(error(`${path}.arp.targets`, "expected at least one address to ask"));
  arp.targets.forEach((each, at) => {
    if (addressFamily(each) !== "ipv4") findings.push(error(`${path}.arp.targets.${at}`, "expected an IPv4 address"));
  });
  return findings;
}

/** Settings that the mode does not know: allowed, so that a mode can be tried and left again, but told. */
function findUseless(path: string, bond: Bond): Finding[] {
  const settings = [
    "minLinks",
    "lacpRate",
    "aggregatorSelect",
    "transmitHashPolicy",
    "primary",
    "primaryReselect",
    "failOverMac",
    "gratuitousCount",
  ] as const;
  return settings
    .filter((key) => bond[key] !== defaults[key] && !bondKnows(bond.mode, key))
    .map((key) => warning(`${path}.${key}`, `has no effect: ${bond.mode} does not know it`));
}
