import type { Test } from "tap";
import type { Box, BoxOptions } from "./box/box.ts";
import type { Lab } from "./lab/enter.ts";

/** What a suite is given: the box, serving unless the suite says otherwise, and the lab around it. */
export type SuiteContext = {
  lab: Lab;
  box: Box;
  /** The long run: more repetitions where chance is the test. */
  all: boolean;
  /** One statement about the box. It fails alone; the ones after it still run. */
  check(name: string, body: (t: Test) => Promise<void>): Promise<void>;
};

/** Which virtual machine a suite wants. Suites of the same machine share one boot, in the order of the registry. */
export type MachineKind = "bios" | "uefi" | "refused" | "blank" | "crossed";

export type Suite = {
  /** `--test NAME` runs it. */
  name: string;
  machine: MachineKind;
  /** Instead of the lab's own answer file. The machine is then left off: it is not expected to serve at once. */
  setup?: Pick<BoxOptions, "answerFile" | "blank" | "disc" | "crossedPairs" | "uplinkCards">;
  run(context: SuiteContext): Promise<void>;
};

/** Suites that `--test` asks for, in names joined by commas: a name is also its variants (`boot` is also `boot-uefi`). Throws on an unknown one. */
export function selectSuites(suites: readonly Suite[], wanted: string | undefined): Suite[] {
  if (wanted === undefined) return [...suites];
  const isOf = (name: string) => (suite: Suite) => suite.name === name || suite.name.startsWith(`${name}-`);
  const names = wanted.split(",");
  const unknown = names.find((name) => !suites.some(isOf(name)));
  if (unknown === undefined) return suites.filter((suite) => names.some((name) => isOf(name)(suite)));
  throw new Error(`there is no suite ${unknown}; there are: ${suites.map(({ name }) => name).join(", ")}`);
}
