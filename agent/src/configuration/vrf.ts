import { addressFamily, networkOf, splitPrefixed } from "./fields.ts";
import type { Configuration } from "./schema.ts";

/** Which interfaces are kept apart in a VRF (virtual routing and forwarding): nearly every subsystem leaves those out. Pure. */

type Interfaces = Configuration["interfaces"];

export type Vrf = {
  name: string;
  /** Number of its routing table in the kernel. */
  table: number;
  members: string[];
  /** Networks that the box itself reaches through it. */
  destinations: string[];
};

/** By name, so that nothing depends on the order of reading. */
export function listVrfs(interfaces: Interfaces): Vrf[] {
  return Object.entries(interfaces)
    .flatMap(([name, { kind, vrf }]) => (kind === "vrf" && vrf ? [{ name, ...vrf }] : []))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** The VRF of each of their members; of two that name one, the first by name. */
export function vrfsOfMembers(interfaces: Interfaces): Map<string, Vrf> {
  const vrfs = listVrfs(interfaces);
  const found = new Map<string, Vrf>();
  for (const vrf of vrfs)
    for (const member of vrf.members)
      if (!found.has(member) && !vrfs.some(({ name }) => name === member)) found.set(member, vrf);
  return found;
}

/** Why something that belongs to the main routing table cannot be on this interface; undefined when it can. */
export function explainKeptApart(interfaces: Interfaces, name: string): string | undefined {
  const vrf = vrfsOfMembers(interfaces).get(name);
  if (vrf) return `expected an interface that is not kept apart: ${name} is a member of the VRF ${vrf.name}`;
  const isVrf = listVrfs(interfaces).some((each) => each.name === name);
  return isVrf ? `expected an interface that is not kept apart: ${name} is a VRF` : undefined;
}

/** Fixed addresses with prefix length of the interfaces that are in no VRF, virtual ones included. */
export function listServiceAddresses({
  interfaces,
  virtualAddresses,
}: Pick<Configuration, "interfaces" | "virtualAddresses">): { interface: string; address: string }[] {
  const apart = vrfsOfMembers(interfaces);
  return [
    ...Object.entries(interfaces).flatMap(([name, { enabled, ipv4, ipv6 }]) =>
      enabled ? [...ipv4.addresses, ...ipv6.addresses].map((address) => ({ interface: name, address })) : [],
    ),
    ...Object.values(virtualAddresses).flatMap((each) =>
      each.enabled ? [{ interface: each.interface, address: each.address }] : [],
    ),
  ].filter((each) => !apart.has(each.interface));
}

/** The VRF through which the box itself reaches an address, by the networks that are named for that. */
export function findWayOut(interfaces: Interfaces, address: string): Vrf | undefined {
  return listVrfs(interfaces).find(({ destinations }) => destinations.some((each) => holds(each, address)));
}

/** True when the network of `prefixed` holds the address. */
export function holds(prefixed: string, address: string): boolean {
  if (addressFamily(prefixed) !== addressFamily(address)) return false;
  return networkOf(`${address}/${splitPrefixed(prefixed).length}`) === networkOf(prefixed);
}
