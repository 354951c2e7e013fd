import { type CardSetting, cardSettings } from "../../adapters/card-settings.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { type Interfaces, lowerOf } from "../topology.ts";
import type { Card } from "./schema.ts";

/** What is wanted of a card: a number, on or off, or as much as there is. */
export type Wish = number | boolean | "max";
export type Wishes = Partial<Record<CardSetting, Wish>>;

export type CardArtefact = {
  wanted: Wishes;
  /** Where the configuration names the card, for complaints. */
  path?: string;
  /** What was carried out for it, as it is kept in /run; only of what is observed, as what follows. */
  kept?: KeptCard | undefined;
  /** Index of the card in the kernel now; undefined without one. */
  index?: number | undefined;
  /** What the card has now, of the settings that are kept. */
  now?: Partial<Record<CardSetting, number | boolean>>;
};

export type KeptCard = {
  /** Of the card it was done to; null: it was not there. */
  index: number | null;
  wanted: Wishes;
  /** What the card had before it was told otherwise, and what it had afterwards: drivers round to what they can. */
  before: Partial<Record<CardSetting, number | boolean>>;
  granted: Partial<Record<CardSetting, number | boolean>>;
  /** In the words of who refused it. */
  refused: Partial<Record<CardSetting, string>>;
};

export type CardArtefacts = Record<string, CardArtefact>;

/** One artefact per card that something is wanted of. */
export function renderCards({ interfaces }: Pick<Configuration, "interfaces">): CardArtefacts {
  return Object.fromEntries(
    Object.entries(interfaces).flatMap(([name, { kind, card }]) => {
      const wanted = kind === "ethernet" && card ? listWishes(card) : {};
      return Object.keys(wanted).length === 0 ? [] : [[name, { wanted, path: `interfaces.${name}.card` }]];
    }),
  );
}

/** By the path of the field, in the order in which they are set. */
export function listWishes(card: Card): Wishes {
  const wishes: Wishes = {};
  for (const setting of cardSettings) {
    const [group, field] = setting.split(".") as [keyof Card, string];
    const value = (card[group] as Record<string, Wish | undefined> | undefined)?.[field];
    if (value !== undefined) wishes[setting] = value;
  }
  return wishes;
}

/** The cards of the configuration: configured ones, and those that a bond, bridge or VLAN names. */
export function listCards(interfaces: Interfaces): string[] {
  const named = Object.values(interfaces).flatMap((settings) => lowerOf(settings).map(({ name }) => name));
  const all = [...new Set([...Object.keys(interfaces), ...named])];
  return all.filter((name) => !Object.hasOwn(interfaces, name) || interfaces[name]?.kind === "ethernet");
}

/** The settings of a card over those of its hardware profile. */
export function mergeCards(below: Card, above: Card = {}): Card {
  const groups = ["rings", "channels", "coalescing", "offloads"] as const;
  const merged = groups.flatMap((group) => {
    const both = { ...below[group], ...above[group] };
    return Object.keys(both).length === 0 ? [] : [[group, both]];
  });
  return Object.fromEntries(merged);
}
