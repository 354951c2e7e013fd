import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../adapters/machine.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import { SteelyardError } from "../errors.ts";
import { type LocatedProblem, locateProblems, parseAnswerFile } from "./answer-file.ts";
import { badAnswers, completeFirstBoot, isFirstBoot } from "./complete.ts";
import { type AnswerFile, findVolume, readVolume } from "./media.ts";
import { type FirstBootState, writeFirstBootState } from "./state.ts";

export type FirstBootOptions = {
  machine: Machine;
  control: ConfigurationControl;
  /** Ends the wait, as when the agent stops. */
  signal?: AbortSignal;
  /** Milliseconds between two looks for an answer file. */
  interval?: number;
};

/**
 * Sees to it that the box has a configuration: commits the answer file when there is one, and looks again until there is, or
 * until the wizard has posted its answers ({@link completeFirstBoot}). Resolves at once on a box that has a configuration.
 *
 * Run it while the local socket is served and nothing else. An answer file that is wrong brings up nothing; it is read again
 * when its disk has been replaced, and what it says is tried again, for a card that it names may only be slow to appear.
 */
export async function runFirstBoot({ machine, control, signal, interval = 5_000 }: FirstBootOptions): Promise<void> {
  const tell = makeTeller(machine);
  const read = makeReader(machine);
  let tried: string | undefined;
  // Disks and cards that the kernel is still finding are not missing.
  if (isFirstBoot(control))
    await machine.run(["udevadm", "settle", "--timeout=60"], { accept: [0, 1], timeout: 90_000 });
  while (isFirstBoot(control) && !signal?.aborted) {
    try {
      const file = await read();
      if (!file) await tell({ state: "waiting-for-answer" });
      // A second try of the same file is not told: the console would change between two states for as long as it fails.
      else if (file.text !== tried) await tell({ state: "applying", source: file.source });
      tried = file?.text;
      if (file) await applyAnswerFile(file, machine, control, tell);
    } catch (error) {
      if (isFirstBoot(control)) await tell(describeFailure(error));
    }
    if (isFirstBoot(control)) await sleep(interval, undefined, signal ? { signal } : {}).catch(() => undefined);
  }
  if (!isFirstBoot(control)) await tell({ state: "done" });
}

async function applyAnswerFile(
  { source, text, hostname }: AnswerFile,
  machine: Machine,
  control: ConfigurationControl,
  tell: (state: FirstBootState) => Promise<void>,
): Promise<void> {
  const parsed = parseAnswerFile(text, hostname);
  if ("problems" in parsed) return await tell({ state: "bad-answer-file", source, problems: parsed.problems });
  try {
    await completeFirstBoot(control, machine, parsed.answers, { user: "admin", source: "answer-file" });
  } catch (error) {
    if (!isFirstBoot(control)) return;
    const { problems } = describeFailure(error);
    await tell({ state: "bad-answer-file", source, problems: locateProblems(text, problems) });
  }
}

function describeFailure(error: unknown): { state: "bad-answer-file"; source: string; problems: LocatedProblem[] } {
  const known = error instanceof SteelyardError ? error : badAnswers([{ path: "", message: String(error) }]);
  const problems = known.problems.length > 0 ? known.problems : [{ path: "", message: known.message }];
  return { state: "bad-answer-file", source: "", problems };
}

/** Writes and logs the state when it has changed. */
function makeTeller(machine: Machine): (state: FirstBootState) => Promise<void> {
  let last = "";
  return async (state) => {
    const text = JSON.stringify(state);
    if (text === last) return;
    last = text;
    await writeFirstBootState(machine, state);
    if (state.state !== "bad-answer-file") return machine.log.info(`first boot: ${state.state}`);
    for (const { line, path, message } of state.problems)
      machine.log.error(
        `first boot: ${[state.source, line && `line ${line}`, path, message].filter(Boolean).join(": ")}`,
      );
  };
}

/** Reads a volume once for each disk that comes into the drive. */
function makeReader(machine: Machine): () => Promise<AnswerFile | undefined> {
  let known = "";
  let file: AnswerFile | undefined;
  return async () => {
    const volume = await findVolume(machine);
    const key = volume ? `${volume.device} ${volume.sequence}` : "";
    if (key === known) return file;
    file = volume && (await readVolume(machine, volume));
    known = key;
    if (volume && !file)
      machine.log.info(`first boot: ${volume.device} (${volume.label}) has no user-data that begins with #steelyard`);
    return file;
  };
}
