import { isDeepStrictEqual } from "node:util";
import { createTwoFilesPatch } from "diff";
import { stringify } from "yaml";
import type { Difference } from "../commit/control.ts";
import { type CollectionName, type Configuration, collections, type SingletonName, singletons } from "./schema.ts";

/** What the API shows in place of a secret; when it is given back, the present value is kept. */
export const hiddenSecret = "(hidden)";

/** What stands in place of a secret. Changed secrets differ in their marker, so that the change itself is seen. */
export function redact(
  object: Record<string, unknown>,
  secrets: readonly string[],
  marker = hiddenSecret,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, secrets.includes(key) && value !== undefined ? marker : value]),
  );
}

type Pair = { object: string; before: object | undefined; after: object | undefined; secrets: readonly string[] };

/** Object by object, what changed from one configuration to another: unified diffs of the YAML, secrets hidden. */
export function compareConfigurations(from: Configuration, to: Configuration): Difference[] {
  return listPairs(from, to).flatMap(({ object, before, after, secrets }): Difference[] => {
    const changedSecret = secrets.some((key) => !isDeepStrictEqual(fieldOf(before, key), fieldOf(after, key)));
    const one = before ? show(before, secrets) : "";
    const other = after ? show(after, secrets, changedSecret && before ? "(hidden, changed)" : undefined) : "";
    if (one === other) return [];
    // Its first two lines are `Index:` and a ruler, which nobody reads.
    const text = createTwoFilesPatch(object, object, one, other, undefined, undefined, { context: 3 });
    return [{ object, change: kindOf(before, after), text: text.split("\n").slice(2).join("\n") }];
  });
}

/** Which objects changed, without saying how. */
export function listChanges(from: Configuration, to: Configuration): Pick<Difference, "object" | "change">[] {
  return listPairs(from, to)
    .filter(({ before, after }) => !isDeepStrictEqual(before, after))
    .map(({ object, before, after }) => ({ object, change: kindOf(before, after) }));
}

/** Every object that is not the very same value in both: values that stayed are shared. */
function listPairs(from: Configuration, to: Configuration): Pair[] {
  const pairs: Pair[] = Object.entries(singletons).map(([object, { secrets }]) => {
    const name = object as SingletonName;
    return { object, before: from[name], after: to[name], secrets };
  });
  for (const [name, { directory, secrets }] of Object.entries(collections)) {
    const before: Record<string, object> = from[name as CollectionName];
    const after: Record<string, object> = to[name as CollectionName];
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort())
      pairs.push({ object: `${directory}/${key}`, before: before[key], after: after[key], secrets });
  }
  return pairs.filter(({ before, after }) => before !== after);
}

function kindOf(before: object | undefined, after: object | undefined): Difference["change"] {
  if (before === undefined) return "added";
  return after === undefined ? "removed" : "changed";
}

function fieldOf(object: object | undefined, key: string): unknown {
  return (object as Record<string, unknown> | undefined)?.[key];
}

function show(object: object, secrets: readonly string[], marker?: string): string {
  return stringify(redact(object as Record<string, unknown>, secrets, marker), { lineWidth: 0 });
}
