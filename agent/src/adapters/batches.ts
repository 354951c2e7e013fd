import { setImmediate } from "node:timers/promises";

/**
 * Does something with many items, some at a time, results in their order: one after the other waits for the thread pool each
 * time, all at once would take its every thread and as many file descriptors.
 */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  size: number,
  task: (item: Item) => Result | Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let at = 0; at < items.length; at += size)
    results.push(...(await Promise.all(items.slice(at, at + size).map(task))));
  return results;
}

/**
 * Does something small with many files at once: a thousand of them through the thread pool take ten times as long. In between,
 * others have their turn.
 */
export async function inTurns<Item>(items: readonly Item[], task: (item: Item) => unknown): Promise<void> {
  for (const [at, item] of items.entries()) {
    if (at % 32 === 31) await setImmediate();
    task(item);
  }
}
