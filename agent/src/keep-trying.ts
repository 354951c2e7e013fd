import type { Logger } from "./adapters/machine.ts";
import type { ConfigurationControl } from "./commit/control.ts";

/** Milliseconds between tries to bring the machine to the configuration, growing from the first to the last. */
const pauses = [1_000, 2_000, 5_000, 15_000, 60_000];

export type KeepTrying = {
  /** Brings the machine to the configuration; when that fails it is tried again by and by. True when it worked at once. */
  reconcile(reason: string): Promise<boolean>;
  stop(): void;
};

/**
 * Reconciles, and does not give up: a daemon may need a moment, a cable may be plugged in later.
 * `tell` hears the state after each try: undefined when all is well, else what is wrong.
 */
export function keepTrying(
  control: ConfigurationControl,
  log: Logger,
  tell: (trouble: string | undefined) => void,
): KeepTrying {
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let stopped = false;

  async function reconcile(reason: string): Promise<boolean> {
    clearTimeout(timer);
    try {
      await control.reconcile(reason);
      failures = 0;
      tell(undefined);
      return true;
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      const pause = pauses[Math.min(failures, pauses.length - 1)] ?? 60_000;
      failures += 1;
      log.error(`${reason}: ${words}; next try in ${pause / 1000} s`);
      tell(words);
      if (!stopped) timer = setTimeout(() => void reconcile(`${reason}, try ${failures + 1}`), pause);
      return false;
    }
  }

  return {
    reconcile,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
