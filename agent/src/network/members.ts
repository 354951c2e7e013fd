import type { Finding } from "../commit/subsystem.ts";
import type { Configuration } from "../configuration/schema.ts";
import type { MemberPattern } from "./link-kinds.ts";
import { findInterface, lowerOf } from "./topology.ts";

/** Bond members that are given by what is known of them, and not by name: found among the cards of this machine. Pure. */

/** A network card of this machine. */
export type Card = {
  name: string;
  driver: string | undefined;
  bus: string | undefined;
  /** The address it was made with, or the one in use. */
  mac: string | undefined;
  /** Mbit/s; undefined without carrier. */
  speed: number | undefined;
  /** The bond it belongs to now. */
  master: string | undefined;
};

export type Resolved = { configuration: Configuration; findings: Finding[] };

/**
 * The configuration with every pattern turned into names, which stand behind those that are given. A pattern that fits no card,
 * or one that another bond names or that has addresses of its own, is an error of the pattern.
 */
export function resolveMembers(configuration: Configuration, cards: readonly Card[]): Resolved {
  const { interfaces } = configuration;
  const findings: Finding[] = [];
  const taken = new Map<string, string>();
  for (const [name, settings] of Object.entries(interfaces))
    if (settings.kind !== "vlan") for (const lower of lowerOf(settings)) taken.set(lower.name, name);
  const resolved = Object.entries(interfaces).map(([name, settings]) => {
    const pattern = settings.kind === "bond" ? settings.bond?.memberPattern : undefined;
    if (!settings.bond || !pattern) return [name, settings] as const;
    const path = `interfaces.${name}.bond.memberPattern`;
    const complain = (message: string) => findings.push({ severity: "error", path, message });
    const found = cards.filter((card) => fits(card, pattern, name)).map((card) => card.name);
    if (found.length === 0 && settings.bond.members.length === 0)
      complain(`expected a pattern that fits a card of this appliance: ${describeCards(cards)}`);
    for (const card of found) {
      const other = taken.get(card);
      if (other !== undefined && other !== name) complain(`is ambiguous: ${card} fits, and is a member of ${other}`);
      taken.set(card, other ?? name);
      if (hasOwnUse(configuration, card)) complain(`is ambiguous: ${card} fits, and is used by itself`);
    }
    const members = [...new Set([...settings.bond.members, ...found])];
    return [name, { ...settings, bond: { ...settings.bond, members } }] as const;
  });
  return { configuration: { ...configuration, interfaces: Object.fromEntries(resolved) }, findings };
}

/** Every criterion that is given. A member without carrier has no speed, and stays one. */
function fits(card: Card, { name, driver, speed, bus, macPrefix }: MemberPattern, bond: string): boolean {
  if (name !== undefined && !matchesGlob(card.name, name)) return false;
  if (driver !== undefined && card.driver !== driver) return false;
  if (bus !== undefined && (card.bus === undefined || !matchesGlob(card.bus, bus))) return false;
  if (macPrefix !== undefined && card.mac?.startsWith(macPrefix) !== true) return false;
  if (speed === undefined) return true;
  return card.speed === undefined ? card.master === bond : card.speed === speed;
}

function matchesGlob(text: string, glob: string): boolean {
  const pattern = glob.replace(/[.]/g, "\\.").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${pattern}$`).test(text);
}

/** Addresses, VLANs or management of its own. */
function hasOwnUse({ interfaces, virtualAddresses, system }: Configuration, name: string): boolean {
  const own = findInterface(interfaces, name);
  return (
    (own !== undefined && (own.ipv4.method !== "none" || own.ipv6.method !== "none")) ||
    Object.values(interfaces).some(({ kind, vlan }) => kind === "vlan" && vlan?.parent === name) ||
    Object.values(virtualAddresses).some((each) => each.interface === name) ||
    system.management.interfaces.includes(name)
  );
}

function describeCards(cards: readonly Card[]): string {
  const words = cards.map(({ name, driver, mac }) => [name, driver, mac].filter(Boolean).join(" "));
  return words.join("; ") || "there is none";
}
