import { sleep } from "../wait.ts";
import { askHttp } from "./clients.ts";

/** A connection that was tried: when it began (milliseconds of Date.now()), and where the server saw it come from, if it did. */
export type Attempt = { at: number; peer: string | undefined };

/** Begins a connection every `interval` milliseconds, whatever became of those before, until it is told to stop. */
export function watchConnections(
  target: { address: string; port: number; timeout: number },
  interval: number,
): () => Promise<Attempt[]> {
  const attempts: Promise<Attempt>[] = [];
  let stopped = false;
  const tryOne = async (): Promise<Attempt> => {
    const at = Date.now();
    const answer = await askHttp(target).catch(() => undefined);
    return { at, peer: answer?.peer };
  };
  const watching = (async () => {
    while (!stopped) {
      attempts.push(tryOne());
      await sleep(interval);
    }
  })();
  return async () => {
    stopped = true;
    await watching;
    return await Promise.all(attempts);
  };
}

/** Milliseconds from a moment to the beginning of the last connection after it that failed; 0 when none did. */
export function lastFailure(attempts: readonly Attempt[], since: number): number {
  const failed = attempts.filter(({ at, peer }) => at >= since && peer === undefined);
  return Math.max(0, ...failed.map(({ at }) => at - since));
}
