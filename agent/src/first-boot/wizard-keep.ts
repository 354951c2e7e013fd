import { setTimeout as sleep } from "node:timers/promises";
import { SteelyardError } from "../errors.ts";
import { type Trial, tellTime } from "./keep.ts";
import { type Asking, askChoice } from "./questions.ts";

/** Asks on a terminal without a cursor whether the settings stay. True when they do, whoever said so. */
export async function keepOrTakeBack(asking: Asking, trial: Trial, interval = 2_000): Promise<boolean> {
  for (;;) {
    const standing = await trial.look();
    if (standing.state !== "waiting") return standing.state === "kept";
    const lines = await trial.describe();
    const time = tellTime(standing.seconds);
    asking.terminal.write(
      `\nThe settings are in use. Try now whether the box can be reached:\n\n${lines.map((line) => `  ${line}\n`).join("")}\n${time}\nand the questions begin again with these answers.\n`,
    );
    const decided = new AbortController();
    const done = new AbortController();
    const watching = watch(trial, interval, decided, done.signal);
    const signals = [asking.signal, decided.signal].filter((each) => each !== undefined);
    try {
      const waiting = { ...asking, signal: AbortSignal.any(signals) };
      const answer = await askChoice(waiting, "Keep this configuration", ["yes", "no", "look again"], "yes");
      if (answer === "yes") await trial.keep();
      if (answer === "no") await trial.takeBack();
    } catch (error) {
      const late = error instanceof SteelyardError && error.code === "not-found";
      if (!late && !decided.signal.aborted) throw error;
    } finally {
      done.abort();
      await watching;
    }
  }
}

async function watch(trial: Trial, interval: number, decided: AbortController, done: AbortSignal): Promise<void> {
  while (!done.aborted) {
    await sleep(interval, undefined, { signal: done }).catch(() => undefined);
    if (!done.aborted && (await trial.look()).state !== "waiting") return decided.abort(new Error("decided"));
  }
}
