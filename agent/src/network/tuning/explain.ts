import type { CardSetting, CardState, SettingState } from "../../adapters/card-settings.ts";
import type { Wish, Wishes } from "./render.ts";
import type { Card } from "./schema.ts";

/** What a card takes, against what is wanted of it. Pure. */

/** What is expected instead of a wish that this card does not take; undefined for one it takes, as far as it says. */
export function explainRefusal(card: string, wish: Wish, state: SettingState | undefined): string | undefined {
  if (!state) return `expected no value: ${card} has nothing of the kind to set`;
  const { now, most, fixed } = state;
  if (typeof wish === "boolean")
    return fixed && wish !== now ? `expected ${now}: ${card} has it ${now ? "on" : "off"} for good` : undefined;
  if (wish === "max") return undefined;
  if (most !== undefined && wish > most) return `expected at most ${most}, which is all that ${card} takes`;
  return undefined;
}

/** Every wish that the card does not take, with the reason. */
export function explainRefusals(card: string, wanted: Wishes, state: CardState): Partial<Record<CardSetting, string>> {
  const found = (Object.entries(wanted) as [CardSetting, Wish][]).flatMap(([name, wish]) => {
    const words = explainRefusal(card, wish, state[name]);
    return words === undefined ? [] : [[name, words]];
  });
  return Object.fromEntries(found);
}

/** The wish as a value: as much as there is, in numbers. */
export function resolveWish(wish: Wish, state: SettingState | undefined): number | boolean | undefined {
  return wish === "max" ? state?.most : wish;
}

/** As much of the settings of a hardware profile as the card takes: a profile speaks of many cards. */
export function fitToCard({ rings = {}, channels = {}, offloads = {} }: Card, state: CardState): Card {
  const fit = <Group extends object>(group: string, wishes: Group): Group => {
    const found = Object.entries(wishes).flatMap(([field, wish]: [string, Wish | undefined]) => {
      const known = state[`${group}.${field}` as CardSetting];
      if (wish === undefined || !known || known.fixed) return [];
      const most = known.most ?? Number.POSITIVE_INFINITY;
      return [[field, typeof wish === "number" ? Math.min(wish, most) : wish]];
    });
    return Object.fromEntries(found) as Group;
  };
  return { rings: fit("rings", rings), channels: fit("channels", channels), offloads: fit("offloads", offloads) };
}
