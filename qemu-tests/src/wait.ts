export type WaitOptions = {
  /** Milliseconds, already scaled to the machine (see `scaleTimeout`). */
  timeout: number;
  /** Milliseconds between two tries; 500 unless told. */
  interval?: number;
};

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Thrown by a probe when waiting any longer is in vain. */
export class InVainError extends Error {}

/**
 * Asks again and again until the probe gives something other than undefined or false, and returns that.
 * A probe that throws counts as "not yet"; its last words are in the error when time is up.
 */
export async function waitFor<Value>(
  what: string,
  probe: () => Promise<Value | undefined | false>,
  options: WaitOptions,
): Promise<Value> {
  const end = Date.now() + options.timeout;
  let lastError: unknown;
  do {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
      lastError = undefined;
    } catch (error) {
      if (error instanceof InVainError) throw error;
      lastError = error;
    }
    await sleep(Math.min(options.interval ?? 500, Math.max(0, end - Date.now())));
  } while (Date.now() < end);
  const words = lastError instanceof Error ? `: ${lastError.message}` : "";
  throw new Error(`waited ${(options.timeout / 1000).toFixed(0)} s for ${what}${words}`, { cause: lastError });
}

/** Fails when a promise takes longer than it may. */
export async function withTimeout<Value>(what: string, timeout: number, promise: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer in ${timeout} ms`)), timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
