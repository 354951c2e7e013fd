import { z } from "zod";

/** What a list can be asked. */
export const listQuery = z.strictObject({
  limit: z.coerce
    .number("expected a whole number from 1 to 1000")
    .int("expected a whole number from 1 to 1000")
    .min(1, "expected a limit from 1 to 1000")
    .max(1000, "expected a limit from 1 to 1000")
    .default(1000)
    .describe("Greatest number of objects in the answer"),
  offset: z.coerce
    .number("expected a whole number of at least 0")
    .int("expected a whole number of at least 0")
    .min(0, "expected an offset of at least 0")
    .default(0)
    .describe("Objects to leave out from the beginning"),
});

export const objectListQuery = listQuery.extend({
  sort: z
    .string()
    .regex(/^-?[a-zA-Z]+$/, "expected the name of a field, with - before it for descending order")
    .default("name")
    .describe("A field of the objects; -field for descending order"),
  name: z.string().max(64).optional().describe("Only this name; * stands for any characters"),
});

export type ListQuery = z.output<typeof listQuery>;
export type ObjectListQuery = z.output<typeof objectListQuery>;

/** A list as the API answers it. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item).describe("Those of this page"),
    total: z.int().describe("Number of objects that match, on all pages"),
  });
}

export function takePage<Item>(items: readonly Item[], { limit, offset }: ListQuery): { items: Item[]; total: number } {
  return { items: items.slice(offset, offset + limit), total: items.length };
}

/** The objects a query wants, in its order. Objects without the field come last. */
export function selectObjects<Item extends { name: string }>(items: readonly Item[], query: ObjectListQuery): Item[] {
  const { name, sort } = query;
  const chosen = name === undefined ? [...items] : items.filter(matchesName(name));
  const descending = sort.startsWith("-");
  const field = descending ? sort.slice(1) : sort;
  const order = new Intl.Collator("en", { numeric: true });
  const value = (item: Item) => (item as Record<string, unknown>)[field];
  return chosen.sort((one, other) => {
    const [left, right] = [value(one), value(other)];
    if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
    return (descending ? -1 : 1) * order.compare(String(left), String(right));
  });
}

/** `*` stands for any characters. Without regular expressions, whose worst case a caller could choose. */
function matchesName(pattern: string): (item: { name: string }) => boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return ({ name }) => name === pattern;
  return ({ name }) => {
    if (!name.startsWith(first)) return false;
    let at = first.length;
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return name.length - last.length >= at && name.endsWith(last);
  };
}
