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
