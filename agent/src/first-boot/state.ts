import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { LocatedProblem } from "./answer-file.ts";

/**
 * Where the first boot stands: written by the agent, read by the console program on each screen.
 * `waiting-for-answer`: nobody has answered yet. `confirming`: a console's answers are tried, and it asks whether they stay. `bad-answer-file`: a file was found and is wrong, or could not be applied.
 */
export type FirstBootState =
  | { state: "waiting-for-answer" }
  | { state: "fetching"; source: string }
  | { state: "applying"; source: string }
  | { state: "confirming" }
  | { state: "bad-answer-file"; source: string; problems: LocatedProblem[] }
  | { state: "done" };

const path = "/run/steelyard/first-boot.json";

export async function writeFirstBootState(machine: Machine, state: FirstBootState): Promise<void> {
  await writeAtomically(machine.path(path), `${JSON.stringify(state)}\n`);
}

/** Undefined until the agent has got so far. */
export async function readFirstBootState(machine: Machine): Promise<FirstBootState | undefined> {
  const text = await readTextIfExists(machine.path(path));
  return text === undefined ? undefined : (JSON.parse(text) as FirstBootState);
}
