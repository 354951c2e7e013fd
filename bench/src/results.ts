import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/** In the order in which they are measured and reported. */
export const sectionNames = ["build", "control", "boot", "agent", "api", "l4"] as const;
export type SectionName = (typeof sectionNames)[number];

export type Table = { title: string; columns: string[]; rows: (string | number)[][]; notes: string[] };

/** What could not be measured, and why: a report says so instead of leaving it out. */
export type Missing = { what: string; reason: string };

/** What one section found. `samples` are the single measurements behind the tables, unit in the name. */
export type SectionResult = {
  section: SectionName;
  date: string;
  commit: string;
  accelerator: string;
  seconds: number;
  tables: Table[];
  missing: Missing[];
  samples: Record<string, number[]>;
};

/** What a section hands in; date, commit and duration are added by its caller. */
export type Findings = Pick<SectionResult, "tables" | "missing" | "samples">;

function sectionFile(directory: string, section: SectionName): string {
  return join(directory, "sections", `${section}.json`);
}

/** Keeps a section's result, so that a run of another section still shows it with its date. */
export async function storeResult(directory: string, result: SectionResult): Promise<void> {
  const path = sectionFile(directory, result.section);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.new`, `${JSON.stringify(result, undefined, 2)}\n`);
  await rename(`${path}.new`, path);
}

export async function loadResults(directory: string): Promise<SectionResult[]> {
  const texts = await Promise.all(
    sectionNames.map((section) => readFile(sectionFile(directory, section), "utf8").catch(() => undefined)),
  );
  return texts.flatMap((text) => (text === undefined ? [] : [JSON.parse(text) as SectionResult]));
}
