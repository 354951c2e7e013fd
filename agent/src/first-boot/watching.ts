import { setTimeout as sleep } from "node:timers/promises";

/**
 * Asks while something that the question is about is looked at every `interval` milliseconds. `ask` gets the signal that is raised once
 * `hasChanged` says so, and decides what comes of that. No look goes on when this comes back; one that is under way then
 * finds its own signal raised, so that it draws nothing over what follows.
 */
export async function askWhileWatching<Answer>(
  interval: number,
  hasChanged: (done: AbortSignal) => Promise<boolean>,
  ask: (changed: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const changed = new AbortController();
  const done = new AbortController();
  const watching = watch(interval, hasChanged, changed, done.signal);
  try {
    return await ask(changed.signal);
  } finally {
    done.abort();
    await watching;
  }
}

async function watch(
  interval: number,
  hasChanged: (done: AbortSignal) => Promise<boolean>,
  changed: AbortController,
  done: AbortSignal,
): Promise<void> {
  while (!done.aborted) {
    await sleep(interval, undefined, { signal: done }).catch(() => undefined);
    if (!done.aborted && (await hasChanged(done)) && !done.aborted) return changed.abort();
  }
}
