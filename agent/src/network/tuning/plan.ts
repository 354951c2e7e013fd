import { isDeepStrictEqual } from "node:util";
import { type CardSetting, cardSettings } from "../../adapters/card-settings.ts";
import type { StepBase } from "../../commit/subsystem.ts";
import type { CardArtefact, CardArtefacts, Wishes } from "./render.ts";

/** Tells a card what is wanted of it; what was wanted of it before, and is no more, goes back to what the card had at first. */
export type TuneStep = StepBase & { kind: "tune-card"; card: string; wanted: Wishes; path: string };

/** The same to a card that somebody else has told otherwise, or that is another one now. */
export type RetuneStep = StepBase & { kind: "retune-card"; card: string; wanted: Wishes; path: string };

/** Nothing is wanted of the card any more: it has again what it had at first. */
export type ReleaseCardStep = StepBase & { kind: "release-card"; card: string };

export type CardStep = TuneStep | RetuneStep | ReleaseCardStep;

export function planCards(now: CardArtefacts, wanted: CardArtefacts): CardStep[] {
  const releases = Object.keys(now)
    .filter((card) => !Object.hasOwn(wanted, card))
    .map((card): CardStep => {
      const summary = `card ${card}: as it was at first (${Object.keys(now[card]?.kept?.before ?? {}).join(", ")})`;
      return { kind: "release-card", card, summary };
    });
  const tunings = Object.entries(wanted).flatMap(([card, artefact]) => {
    const before = Object.hasOwn(now, card) ? now[card] : undefined;
    return planCard(card, before, artefact);
  });
  return [...releases, ...tunings];
}

function planCard(
  card: string,
  now: CardArtefact | undefined,
  { wanted, path = "interfaces" }: CardArtefact,
): CardStep[] {
  const before = now?.kept?.wanted ?? {};
  const changes = describeChanges(before, wanted);
  if (!now?.kept || changes.length > 0)
    return [{ kind: "tune-card", card, wanted, path, summary: `card ${card}: ${changes.join(", ")}` }];
  const reasons = findDrift(now);
  if (reasons.length === 0) return [];
  return [{ kind: "retune-card", card, wanted, path, summary: `card ${card} again: ${reasons.join(", ")}` }];
}

function describeChanges(before: Wishes, after: Wishes): string[] {
  return cardSettings
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((name) => `${name} ${show(after[name])}`);
}

/** A card that is not there waits; one that came since then has never been told. */
function findDrift({ kept, index, now = {} }: CardArtefact): string[] {
  if (!kept || index === undefined) return [];
  if (kept.index !== index) return ["the card came"];
  return (Object.keys(kept.granted) as CardSetting[])
    .filter((name) => now[name] !== undefined && now[name] !== kept.granted[name])
    .map((name) => `its ${name} is ${show(now[name])}, not ${show(kept.granted[name])}`);
}

function show(value: number | boolean | "max" | undefined): string {
  if (value === undefined) return "as at first";
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value);
}
