import { keepFor, type Machine } from "../../adapters/machine.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { localizeNetwork } from "../localize.ts";
import { networkInterface } from "../schema.ts";
import { findInterface } from "../topology.ts";
import { fitToCard } from "./explain.ts";
import { type ProfileCard, profileCards } from "./profile-cards.ts";
import { listCards, mergeCards } from "./render.ts";
import type { Card } from "./schema.ts";
import { readDriver, readProfile } from "./status.ts";

/**
 * Puts the settings that the hardware profile has for a driver under those of the configuration, as far as the card takes them.
 * Cards that are not configured, and belong to nothing that is, are left alone.
 */
export async function localizeCards(
  configuration: Configuration,
  machine: Machine,
  profiles: Readonly<Record<string, readonly ProfileCard[]>> = profileCards,
): Promise<{ configuration: Configuration; findings: [] }> {
  const profile = (await readProfile(machine)) ?? "";
  const rules = Object.hasOwn(profiles, profile) ? (profiles[profile] ?? []) : [];
  if (rules.length === 0) return { configuration, findings: [] };
  const interfaces = { ...configuration.interfaces };
  // Members that a bond names by a pattern are cards too.
  const named = (await localizeNetwork(configuration, machine)).configuration.interfaces;
  for (const name of listCards(named)) {
    const below = await readDefaults(machine, name, rules);
    if (!below) continue;
    const settings = findInterface(configuration.interfaces, name) ?? networkInterface.parse({});
    interfaces[name] = { ...settings, card: mergeCards(below, settings.card) };
  }
  return { configuration: { ...configuration, interfaces }, findings: [] };
}

const defaultsOf = keepFor(() => new Map<string, Card>());

/** Asked once for each card: what it takes does not change. One that goes and comes back has another index. */
async function readDefaults(machine: Machine, name: string, rules: readonly ProfileCard[]): Promise<Card | undefined> {
  const driver = await readDriver(machine, name);
  const rule = rules.find(({ drivers }) => driver !== undefined && drivers.includes(driver));
  const link = rule && (await machine.netlink.links()).find((each) => each.name === name);
  if (!rule || !link) return undefined;
  const known = defaultsOf(machine);
  const key = `${link.index} ${name}`;
  const fitting = known.get(key) ?? fitToCard(rule, (await machine.readCardStates()).get(link.index) ?? {});
  known.set(key, fitting);
  return fitting;
}
