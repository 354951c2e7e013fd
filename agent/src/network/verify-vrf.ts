import { reservedTables } from "../adapters/route-numbers.ts";
import type { Finding } from "../commit/subsystem.ts";
import { networkOf, splitPrefixed } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { explainKeptApart, listServiceAddresses, listVrfs, vrfsOfMembers } from "../configuration/vrf.ts";
import { overlaps } from "./addresses.ts";
import type { Vrf } from "./link-kinds.ts";
import type { NetworkInterface } from "./schema.ts";

/** What is wrong or odd with VRFs, and with what is put on an interface that is kept apart by one. */

type Networks = Pick<Configuration, "interfaces" | "virtualAddresses" | "system">;

const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

export function verifyVrfs(configuration: Networks): Finding[] {
  return [
    ...Object.entries(configuration.interfaces).flatMap(([name, settings]) =>
      settings.kind === "vrf" && settings.vrf
        ? [...verifyVrf(`interfaces.${name}`, settings, settings.vrf), ...verifyDestinations(name, configuration)]
        : [],
    ),
    ...findSharedTables(configuration),
    ...verifyUsers(configuration),
  ];
}

function verifyVrf(path: string, { enabled, mtu, ipv4, ipv6 }: NetworkInterface, { table, members }: Vrf): Finding[] {
  const findings: Finding[] = [];
  // A VRF that is down would still hold its members' routes: neither one thing nor the other.
  if (!enabled) findings.push(error(`${path}.enabled`, "expected true: to do without a VRF, delete it"));
  if (mtu !== undefined) findings.push(error(`${path}.mtu`, "expected none: members of a VRF have MTUs of their own"));
  for (const [family, { method }] of Object.entries({ ipv4, ipv6 }))
    if (method !== "none")
      findings.push(error(`${path}.${family}.method`, "expected none: the members of a VRF have the addresses"));
  if (Object.values<number>(reservedTables).includes(table))
    findings.push(error(`${path}.vrf.table`, "253 to 255 are the kernel's own"));
  if (members.length === 0) findings.push(warning(`${path}.vrf.members`, "a VRF without members keeps nothing apart"));
  return findings;
}

/** What the box sends to a destination leaves by the VRF, so nothing else of the box may be there. */
function verifyDestinations(name: string, configuration: Networks): Finding[] {
  const vrfs = listVrfs(configuration.interfaces);
  const own = vrfs.find((each) => each.name === name);
  const service = listServiceAddresses(configuration);
  return (own?.destinations ?? []).flatMap((network, at) => {
    const path = `interfaces.${name}.vrf.destinations.${at}`;
    const base = networkOf(network);
    if (base !== network) return [error(path, `expected a network: ${base}`)];
    if (splitPrefixed(network).length === 0)
      return [error(path, "expected less than everything: name the hosts or networks that the box itself asks")];
    const near = service.find(({ address }) => overlaps(address, network));
    if (near)
      return [error(path, `expected no part of a network of ${near.interface} (${near.address}): it is reached there`)];
    const other = vrfs.find((each) => each.name < name && each.destinations.some((its) => overlaps(its, network)));
    return other ? [error(path, `expected no part of a destination of the VRF ${other.name}`)] : [];
  });
}

/** Tables of the operator: see the routing's own verify. */
function findSharedTables({ interfaces }: Networks): Finding[] {
  const first = new Map<number, string>();
  return listVrfs(interfaces).flatMap(({ name, table }) => {
    const before = first.get(table);
    first.set(table, before ?? name);
    if (before === undefined) return [];
    return error(`interfaces.${name}.vrf.table`, `expected a number of its own: ${table} is that of ${before}`);
  });
}

/** Farms serve from the main table alone; where the box is managed, the interface is named and not its VRF. */
function verifyUsers({ interfaces, virtualAddresses, system }: Networks): Finding[] {
  const vrfs = new Map(listVrfs(interfaces).map((vrf) => [vrf.name, vrf]));
  if (vrfs.size === 0) return [];
  return [
    ...Object.entries(virtualAddresses).flatMap(([name, { interface: parent }]) => {
      const words = explainKeptApart(interfaces, parent);
      return words === undefined ? [] : error(`virtualAddresses.${name}.interface`, words);
    }),
    ...system.management.interfaces.flatMap((name, at) => {
      const members = vrfs.get(name)?.members;
      if (!members) return [];
      const words = `expected the members of the VRF that are meant: ${members.join(", ") || "there is none"}`;
      return error(`system.management.interfaces.${at}`, words);
    }),
  ];
}

/** The interfaces by what they share a routing table with: `undefined` is the main one. */
export function groupByVrf(interfaces: Networks["interfaces"]): Map<string | undefined, [string, NetworkInterface][]> {
  const vrfs = vrfsOfMembers(interfaces);
  const groups = new Map<string | undefined, [string, NetworkInterface][]>();
  for (const entry of Object.entries(interfaces)) {
    const name = vrfs.get(entry[0])?.name;
    groups.set(name, [...(groups.get(name) ?? []), entry]);
  }
  return groups;
}
