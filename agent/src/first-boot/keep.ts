import { SteelyardError } from "../errors.ts";
import { type Prompts, WentBack } from "./prompts.ts";
import { askWhileWatching } from "./watching.ts";

/** The settings are in use and go back by themselves, unless whoever sits here says that they stay. */

/** Minutes to try the box from where it will be managed. */
export const minutesToConfirm = 5;

export type Standing = { state: "waiting"; seconds: number } | { state: "kept" } | { state: "gone" };

export type Trial = {
  /** Where the box is managed, and how to know it: lines for the screen. */
  describe(): Promise<string[]>;
  /** It may be confirmed from elsewhere too: that proves most. */
  look(): Promise<Standing>;
  keep(): Promise<void>;
  takeBack(): Promise<void>;
};

/** True when the configuration stays. The lines are drawn anew when an address comes, the time that is left as it goes. */
export async function askToKeep(prompts: Prompts, trial: Trial, interval = 2_000): Promise<boolean> {
  for (;;) {
    const standing = await trial.look();
    if (standing.state !== "waiting") return standing.state === "kept";
    const found = await trial.describe();
    const lines = [
      "The settings are in use. Try now whether the box can be reached:",
      "",
      ...found,
      "",
      tellTime(standing.seconds),
      "and the questions begin again with these answers.",
    ];
    prompts.screen("first boot: does it work?", lines);
    const hasChanged = async (done: AbortSignal) => {
      const [standing, now] = await Promise.all([trial.look(), trial.describe().catch(() => found)]);
      if (standing.state !== "waiting" || now.join() !== found.join()) return true;
      if (!done.aborted) prompts.replaceLine(lines.length - 2, tellTime(standing.seconds));
      return false;
    };
    const choices = [
      { value: "keep", label: "keep it" },
      { value: "back", label: "take it back" },
    ];
    try {
      await askWhileWatching(interval, hasChanged, async (changed) => {
        const answer = await prompts.choose("Keep this configuration?", choices, "keep", changed);
        await (answer === "keep" ? trial.keep() : trial.takeBack());
      });
    } catch (error) {
      // The time was up in the same moment, or Escape, which decides nothing here.
      const late = error instanceof SteelyardError && error.code === "not-found";
      if (!late && !(error instanceof WentBack)) throw error;
    }
  }
}

export function tellTime(seconds: number): string {
  return `Without an answer everything is taken back in ${Math.max(0, Math.round(seconds))} s,`;
}
