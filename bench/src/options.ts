import { type SectionName, sectionNames } from "./results.ts";

export type Options = {
  sections: readonly SectionName[];
  profile: string;
  /** Measurements of each thing; the report gives the median. */
  rounds: number;
  /** Boots of each kind after the first one: the dearest measurement, so it has a number of its own. */
  boots: number;
  /** How many farms the boxes of the sections agent and api have. */
  farms: readonly number[];
  firmwares: readonly ("bios" | "uefi")[];
  /** Seconds one throughput measurement takes. */
  seconds: number;
  /** Build once more in a fresh clone, without any cache. */
  cold: boolean;
};

/** Reads the environment that `make bench NAME=value` gives. Throws with the expectation on anything else. */
export function readOptions(environment: NodeJS.ProcessEnv): Options {
  return {
    sections: readSections(environment.ONLY),
    profile: environment.PROFILE || "virt",
    rounds: readCount(environment, "ROUNDS", 5, 25),
    boots: readCount(environment, "BOOTS", 2, 25),
    farms: readFarms(environment.FARMS),
    firmwares: (["bios", "uefi"] as const).filter((name) => (environment.FIRMWARE || name) === name),
    seconds: readCount(environment, "SECONDS_EACH", 5, 60),
    cold: !["", "0", "no", undefined].includes(environment.COLD),
  };
}

function readSections(text: string | undefined): readonly SectionName[] {
  if (!text) return sectionNames;
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !(sectionNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`ONLY=${text}: "${unknown}" is none of ${sectionNames.join(", ")}`);
  return sectionNames.filter((name) => names.includes(name));
}

/** 400 farms of ten backends would be more backends than there are connection marks. */
function readFarms(text: string | undefined): readonly number[] {
  if (!text) return [1, 100, 250];
  const counts = text.split(",").map(Number);
  if (!counts.every((count) => Number.isInteger(count) && count >= 1 && count <= 400))
    throw new Error(`FARMS=${text}: expected whole numbers from 1 to 400, for example 1,100,250`);
  return counts;
}

function readCount(environment: NodeJS.ProcessEnv, name: string, usual: number, most: number): number {
  const text = environment[name];
  if (!text) return usual;
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > most)
    throw new Error(`${name}=${text}: expected a whole number from 1 to ${most}`);
  return count;
}
