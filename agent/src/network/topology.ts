import type { Configuration } from "../configuration/schema.ts";
import type { LinkKind } from "./link-kinds.ts";
import { type NetworkInterface, networkInterface } from "./schema.ts";

/** Which interface stands on which: members under a bond, bridge or VRF, a parent under its VLANs. Pure. */

export type Interfaces = Configuration["interfaces"];

/** Where a link that another one stands on is named: `bond.members.0`, `vlan.parent`. */
export type Lower = { name: string; path: string };

/** The settings of an interface by its name; undefined for one that is not configured. */
export function findInterface(interfaces: Interfaces, name: string): NetworkInterface | undefined {
  return Object.hasOwn(interfaces, name) ? interfaces[name] : undefined;
}

/** The links that this one is made of, in the order they are written. */
export function lowerOf({ kind, bond, bridge, vlan, vrf }: NetworkInterface): Lower[] {
  if (kind === "vlan" && vlan) return [{ name: vlan.parent, path: "vlan.parent" }];
  const made: Partial<Record<LinkKind, { members: string[] } | undefined>> = { bond, bridge, vrf };
  return (made[kind]?.members ?? []).map((name, at) => ({ name, path: `${kind}.members.${at}` }));
}

/** The bond, bridge or VRF of each member; the first one that names it. */
export function mastersOf(interfaces: Interfaces): Map<string, string> {
  const masters = new Map<string, string>();
  for (const [name, settings] of Object.entries(interfaces)) {
    if (settings.kind === "vlan") continue;
    for (const member of lowerOf(settings)) if (!masters.has(member.name)) masters.set(member.name, name);
  }
  return masters;
}

/** The bond or bridge of each member, which has addresses and VLANs in its place. Members of a VRF keep theirs. */
export function carriersOf(interfaces: Interfaces): Map<string, string> {
  const masters = [...mastersOf(interfaces)];
  return new Map(masters.filter(([, master]) => findInterface(interfaces, master)?.kind !== "vrf"));
}

const bare = networkInterface.parse({});

/** Adds the members and parents that have no settings of their own: they are up, without an address. */
export function withImplied(interfaces: Interfaces): Interfaces {
  const named = Object.values(interfaces).flatMap((settings) => lowerOf(settings).map(({ name }) => name));
  const implied = named.filter((name) => !Object.hasOwn(interfaces, name));
  return { ...interfaces, ...Object.fromEntries(implied.map((name) => [name, bare])) };
}

/** The interface and all it stands on, each once. Ends in a loop too. */
export function foundationsOf(interfaces: Interfaces, name: string): string[] {
  const found = new Set<string>();
  const visit = (each: string) => {
    if (found.has(each)) return;
    found.add(each);
    const settings = findInterface(interfaces, each);
    if (settings) for (const lower of lowerOf(settings)) visit(lower.name);
  };
  visit(name);
  return [...found];
}

/** Names so that what stands on another comes after it; otherwise in their own order. Loops are cut somewhere. */
export function orderByFoundation(lower: Readonly<Record<string, readonly string[]>>): string[] {
  const done = new Set<string>();
  const visit = (name: string, above: readonly string[]) => {
    if (done.has(name) || above.includes(name) || !Object.hasOwn(lower, name)) return;
    for (const each of lower[name] ?? []) visit(each, [...above, name]);
    done.add(name);
  };
  for (const name of Object.keys(lower)) visit(name, []);
  return [...done];
}
