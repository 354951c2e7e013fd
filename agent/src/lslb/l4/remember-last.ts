/**
 * Remembers what a pure function gave the last time, for as long as it is given the very same (strings: equal ones). What the
 * machine says is read anew each time, and mostly says the same: a commit begins with what the one before ended with.
 */
export function rememberLast<Given extends readonly unknown[], Result>(
  task: (...given: Given) => Result,
): (...given: Given) => Result {
  let last: { given: Given; result: Result } | undefined;
  return (...given) => {
    if (last && last.given.length === given.length && last.given.every((each, at) => each === given[at]))
      return last.result;
    const result = task(...given);
    last = { given, result };
    return result;
  };
}
