import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../adapters/machine.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import { badInput, SteelyardError } from "../errors.ts";
import { type LocatedProblem, locateProblems, parseAnswerFile } from "./answer-file.ts";
import { completeFirstBoot, isFirstBoot, isOpen } from "./complete.ts";
import { hashOf } from "./location.ts";
import type { AnswerFile } from "./media.ts";
import { writeReport } from "./report.ts";
import { makeSources, type SourceOptions } from "./sources.ts";
import { type FirstBootState, readFirstBootState, writeFirstBootState } from "./state.ts";
import { usualPatience } from "./temporary-network.ts";

export type FirstBootOptions = {
  machine: Machine;
  control: ConfigurationControl;
  /** Ends the wait, as when the agent stops. */
  signal?: AbortSignal;
  /** Milliseconds between two looks for an answer file. */
  interval?: number;
  /** Of the network that fetching answers takes. */
  patience?: SourceOptions["patience"];
};

/**
 * Sees to it that the box has a configuration: commits the answer file when there is one, and looks again until there is, or
 * until the wizard has posted its answers ({@link completeFirstBoot}). Resolves at once on a box that has a configuration.
 *
 * Answers from the console are committed until somebody confirms them; when nobody does, it begins again.
 *
 * Run it while the local socket is served and nothing else. An answer file that is wrong brings up nothing; it is read again
 * when its disk has been replaced, and what it says is tried again, for a card that it names may only be slow to appear.
 */
export async function runFirstBoot({
  machine,
  control,
  signal,
  interval = 5_000,
  patience = usualPatience,
}: FirstBootOptions): Promise<void> {
  const tell = makeTeller(machine);
  let wake = new AbortController();
  let confirming = false;
  const unsubscribe = control.subscribe(() => wake.abort());
  const read = makeSources({ machine, signal, onFetch: (source) => tell({ state: "fetching", source }), patience });
  let tried: string | undefined;
  // Disks and cards that the kernel is still finding are not missing.
  if (isFirstBoot(control))
    await machine.run(["udevadm", "settle", "--timeout=60"], { accept: [0, 1], timeout: 90_000 });
  while (isOpen(control) && !signal?.aborted) {
    wake = new AbortController();
    try {
      if (!isFirstBoot(control)) {
        confirming = true;
        await tell({ state: "confirming" });
        await pauseFor(interval, [signal, wake.signal]);
        continue;
      }
      if (confirming) await reportWithdrawal(machine);
      confirming = false;
      const file = await read();
      if (!file) await tell({ state: "waiting-for-answer" });
      // A second try of the same file is not told: the console would change between two states for as long as it fails.
      else if (file.text !== tried) await tell({ state: "applying", source: file.source });
      tried = file?.text;
      if (file) await applyAnswerFile(file, machine, control, tell);
    } catch (error) {
      if (isFirstBoot(control)) await tell(describeFailure(error));
    }
    if (isFirstBoot(control)) await pauseFor(interval, [signal, wake.signal]);
  }
  unsubscribe();
  if (!isOpen(control)) await tell({ state: "done" });
}

async function pauseFor(interval: number, signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  const signal = AbortSignal.any(signals.filter((each) => each !== undefined));
  await sleep(interval, undefined, { signal }).catch(() => undefined);
}

async function reportWithdrawal(machine: Machine): Promise<void> {
  const problems = [{ path: "", message: "they were taken back: nobody confirmed that they work" }];
  await writeReport(machine, { source: "the console", outcome: "refused", warnings: [], problems });
}

async function applyAnswerFile(
  { source, text, hostname }: AnswerFile,
  machine: Machine,
  control: ConfigurationControl,
  tell: Tell,
): Promise<void> {
  const parsed = parseAnswerFile(text, hostname);
  const origin = { source, sha256: hashOf(text) };
  const refuse = async (problems: LocatedProblem[]) => {
    if (await tell({ state: "bad-answer-file", source, problems }))
      await writeReport(machine, { ...origin, outcome: "refused", warnings: [], problems });
  };
  if ("problems" in parsed) return await refuse(parsed.problems);
  try {
    await completeFirstBoot(control, machine, parsed.answers, {
      author: { user: "admin", source: "answer-file" },
      origin,
    });
  } catch (error) {
    if (!isFirstBoot(control)) return;
    await refuse(locateProblems(text, describeFailure(error).problems));
  }
}

function describeFailure(error: unknown): { state: "bad-answer-file"; source: string; problems: LocatedProblem[] } {
  const known = error instanceof SteelyardError ? error : badInput([{ path: "", message: String(error) }]);
  const problems = known.problems.length > 0 ? known.problems : [{ path: "", message: known.message }];
  return { state: "bad-answer-file", source: "", problems };
}

type Tell = (state: FirstBootState) => Promise<boolean>;

/** Writes and logs the state when it has changed; gives back whether it has. The route of the console's answers writes it too. */
function makeTeller(machine: Machine): Tell {
  let last = "";
  return async (state) => {
    const text = JSON.stringify(state);
    const told = JSON.stringify(await readFirstBootState(machine).catch(() => undefined));
    if (text === last && text === told) return false;
    last = text;
    await writeFirstBootState(machine, state);
    if (state.state !== "bad-answer-file") {
      machine.log.info(`first boot: ${state.state}${"source" in state ? ` ${state.source}` : ""}`);
      return true;
    }
    for (const { line, path, message } of state.problems)
      machine.log.error(
        `first boot: ${[state.source, line && `line ${line}`, path, message].filter(Boolean).join(": ")}`,
      );
    return true;
  };
}
