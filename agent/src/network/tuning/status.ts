import * as fs from "node:fs/promises";
import { basename, join } from "node:path";
import { type CardSetting, type CardState, cardSettings } from "../../adapters/card-settings.ts";
import { isMissing, readLink, readTextIfExists } from "../../adapters/files.ts";
import { keepFor, type Machine } from "../../adapters/machine.ts";
import { messageOf } from "../../errors.ts";
import type { KeptCard, Wish } from "./render.ts";

/** What was done to each card in this start of the machine; a card is as its driver has it after the next one. */
export const keptDirectory = "/run/steelyard/cards";

export const keptPath = (card: string): string => `${keptDirectory}/${card}.json`;

/** By the name of the card; `undefined` for a file that cannot be read. */
export async function readKeptCards(machine: Machine): Promise<Map<string, KeptCard | undefined>> {
  const files = await fs.readdir(machine.path(keptDirectory)).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
  const cards = files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -".json".length));
  return new Map(await Promise.all(cards.map(async (card) => [card, await readKeptCard(machine, card)] as const)));
}

export async function readKeptCard(machine: Machine, card: string): Promise<KeptCard | undefined> {
  const text = await readTextIfExists(machine.path(keptPath(card)));
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as KeptCard;
  } catch (error) {
    machine.log.warn(`${keptPath(card)}: ${messageOf(error)}`);
    return undefined;
  }
}

/** One setting of a card, for those who look at it. */
export type SettingStatus = {
  setting: CardSetting;
  now: number | boolean;
  most: number | undefined;
  fixed: boolean;
  wanted: Wish | undefined;
  refused: string | undefined;
};

export function describeSettings(state: CardState, kept: KeptCard | undefined): SettingStatus[] {
  return cardSettings.flatMap((setting) => {
    const known = state[setting];
    if (!known) return [];
    const { now, most, fixed } = known;
    return { setting, now, most, fixed, wanted: kept?.wanted[setting], refused: kept?.refused[setting] };
  });
}

/** What cards did not take when nobody was there to be told, in words for the operator. */
export async function describeRefusals(machine: Machine): Promise<string[]> {
  const kept = [...(await readKeptCards(machine))];
  return kept.flatMap(([card, settings]) =>
    Object.entries(settings?.refused ?? {}).map(([name, words]) => `card ${card}: ${name}: ${words}`),
  );
}

/** Kernel driver of a card; undefined without a card, and for a link that is none. */
export async function readDriver(machine: Machine, card: string): Promise<string | undefined> {
  const driver = await readLink(machine.path(join("/sys/class/net", card, "device/driver")));
  return driver && basename(driver);
}

const imageOf = keepFor(() => ({ profile: undefined as Promise<string | undefined> | undefined }));

/** The hardware profile of the image that runs: `IMAGE_ID=steelyard-metal` of os-release(5). */
export async function readProfile(machine: Machine): Promise<string | undefined> {
  const known = imageOf(machine);
  known.profile ??= readTextIfExists(machine.path("/usr/lib/os-release")).then(
    (text) => /^IMAGE_ID=["']?steelyard-([a-z0-9-]+)["']?$/m.exec(text ?? "")?.[1],
  );
  return await known.profile;
}
