import { SteelyardError } from "../errors.ts";
import { type Trial, tellTime } from "./keep.ts";
import { type Asking, askChoice } from "./questions.ts";
import { askWhileWatching } from "./watching.ts";

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
    const isDecided = async () => (await trial.look()).state !== "waiting";
    await askWhileWatching(interval, isDecided, async (decided) => {
      const signals = [asking.signal, decided].filter((each) => each !== undefined);
      try {
        const waiting = { ...asking, signal: AbortSignal.any(signals) };
        const answer = await askChoice(waiting, "Keep this configuration", ["yes", "no", "look again"], "yes");
        if (answer === "yes") await trial.keep();
        if (answer === "no") await trial.takeBack();
      } catch (error) {
        const late = error instanceof SteelyardError && error.code === "not-found";
        if (!late && !decided.aborted) throw error;
      }
    });
  }
}
