import { createTwoFilesPatch } from "diff";
import { stringify } from "yaml";
import type { Difference } from "../commit/control.ts";
import { type CollectionName, type Configuration, collections } from "./schema.ts";

/** What stands in place of a secret. Changed secrets differ in their marker, so that the change itself is seen. */
export function redact(
  object: Record<string, unknown>,
  secrets: readonly string[],
  marker = "(hidden)",
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, secrets.includes(key) && value !== undefined ? marker : value]),
  );
}

/** Object by object, what changed from one configuration to another: unified diffs of the YAML, secrets hidden. */
export function compareConfigurations(from: Configuration, to: Configuration): Difference[] {
  const differences: Difference[] = [];
  const compare = (
    object: string,
    before: object | undefined,
    after: object | undefined,
    secrets: readonly string[],
  ) => {
    if (before === after) return;
    const changedSecret = secrets.some((key) => fieldOf(before, key) !== fieldOf(after, key));
    const one = before ? show(before, secrets) : "";
    const other = after ? show(after, secrets, changedSecret && before ? "(hidden, changed)" : undefined) : "";
    if (one === other) return;
    const change = before === undefined ? "added" : after === undefined ? "removed" : "changed";
    const text = createTwoFilesPatch(object, object, one, other, undefined, undefined, { context: 3 });
    differences.push({ object, change, text: text.split("\n").slice(1).join("\n") });
  };
  compare("system", from.system, to.system, []);
  for (const [name, { directory, secrets }] of Object.entries(collections)) {
    const before: Record<string, object> = from[name as CollectionName];
    const after: Record<string, object> = to[name as CollectionName];
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
      compare(`${directory}/${key}`, before[key], after[key], secrets);
    }
  }
  return differences;
}

function fieldOf(object: object | undefined, key: string): unknown {
  return (object as Record<string, unknown> | undefined)?.[key];
}

function show(object: object, secrets: readonly string[], marker?: string): string {
  return stringify(redact(object as Record<string, unknown>, secrets, marker), { lineWidth: 0 });
}
