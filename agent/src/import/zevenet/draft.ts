import { objectName } from "../../configuration/fields.ts";
import type { Configuration } from "../../configuration/schema.ts";
import { type Item, takenOrChanged } from "./report.ts";
import type { Source } from "./source.ts";

/** What the readers of the parts of a backup work on: the configuration as it grows, and the report beside it. */
export type Draft = {
  source: Source;
  options: ImportOptions;
  candidate: Configuration;
  report: Item[];
  /** Files of the configuration directory that somebody has reported. */
  seen: Set<string>;
  /** Interface of the backup -> interface of this box that takes its place. */
  places: Map<string, string>;
  /** Address -> the interface of the backup that it was on and that has no place here. */
  lost: Map<string, string>;
};

export type ImportOptions = {
  /** Interface of the backup -> interface of this box. */
  map?: ReadonlyMap<string, string>;
  /** The network cards of this box; left out, every name is believed. */
  links?: readonly string[];
  /** `keep`: addresses, gateways and states of this box's interfaces stay; virtual addresses and farms are taken. */
  interfaces?: "take" | "keep";
};

/** Adds an item about a file of the configuration directory, and marks the file as reported. */
export function report(draft: Draft, item: Omit<Item, "source"> & { file: string }): void {
  const { file, ...rest } = item;
  draft.seen.add(file);
  draft.report.push({ ...rest, source: draft.source.pathOf(file) });
}

/** Adds an object that was taken: `changed` when there is something to say about it. */
export function reportTaken(
  draft: Draft,
  item: {
    kind: string;
    name: string;
    file: string;
    target: string;
    notes: string[];
    content?: Record<string, unknown>;
  },
): void {
  report(draft, { ...item, result: takenOrChanged(item.notes) });
}

/**
 * A name as our objects have it, made from one of theirs, which may have capitals and any length; a second object of the same
 * name is told apart by a number.
 */
export function makeName(wanted: string, taken: ReadonlySet<string>): string {
  const plain = wanted.toLowerCase().replace(/[^a-z0-9_-]+/g, "-");
  const base =
    plain
      .replace(/^[-_]+/, "")
      .slice(0, 58)
      .replace(/[-_]+$/, "") || "imported";
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(name) && objectName.safeParse(name).success) return name;
  }
}
