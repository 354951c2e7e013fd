/** Runs one task at a time, in the order they were asked for. A task that fails does not stop the ones behind it. */
export function makeExclusive(): <Result>(task: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const turn = last.then(task, task);
    last = turn.catch(() => undefined);
    return turn;
  };
}
