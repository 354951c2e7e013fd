import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { type Field, fieldsOf, valuesOf } from "./list-fields.ts";

/** Lists: filtered, sorted, in pages, and with some of the fields alone. */

const pageFields = {
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
};

/** A list as the API answers it. */
function listOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item).describe("Those of this page"),
    total: z.int().describe("Number of objects that match, on all pages"),
  });
}

function takePage<Item>(items: readonly Item[], { limit, offset }: Query): { items: Item[]; total: number } {
  return { items: items.slice(offset, offset + limit), total: items.length };
}

/** A list of items of one schema: its query, its answer, and how an answer is made. */
export type ListDefinition = {
  query: z.ZodType;
  answer: z.ZodType;
  /** Sends what the query wants of the items, with `Link` to the other pages (RFC 8288). */
  send(request: FastifyRequest, reply: FastifyReply, items: readonly object[]): FastifyReply;
};

type Query = { limit: number; offset: number; sort?: string; fields?: string } & Record<string, unknown>;

const text = z.string().max(256, "expected at most 256 characters");
const manyTexts = z.union([text, z.array(text).max(16, "expected at most 16 values")]);
const forms = {
  text: "any characters stand in for *",
  number: "a number or a range: 3, 1..10, 5..",
  boolean: "true or false",
};

/**
 * Every field of the item can be filtered and sorted by; `sort` is the order when none is asked for, `also` are parameters of
 * the route's own beside them.
 */
export function defineList(
  item: z.ZodType,
  { sort, also = {} }: { sort?: string; also?: Record<string, z.ZodType> } = {},
): ListDefinition {
  const known = fieldsOf(item);
  const filters = [...known.values()].filter(
    ({ name }) => !(name in pageFields) && !(name in also) && name !== "sort" && name !== "fields",
  );
  const names = filters.map(({ name }) => name);
  const shown = [...new Set(names.map((name) => name.split(".")[0] ?? name))];
  const shape = {
    ...also,
    ...pageFields,
    sort: text
      .optional()
      .describe(
        `Fields with commas between them, - before one for descending order${sort === undefined ? "" : `; ${sort} unless told`}`,
      ),
    fields: text.optional().describe(`Only these fields of each object, with commas between them: ${shown.join(", ")}`),
    ...Object.fromEntries(
      filters.map(({ name, kind }) => [
        name,
        manyTexts.optional().describe(`Only those whose ${name} is this (${forms[kind]}); several times: one of these`),
      ]),
    ),
  };
  const query = z.looseObject(shape).check(({ value, issues }) => {
    const complain = (field: string, message: string) =>
      issues.push({ code: "custom", input: value, path: [field], message });
    for (const name of Object.keys(value)) {
      if (!Object.hasOwn(shape, name))
        complain(name, `there is no such filter: expected one of ${Object.keys(shape).join(", ")}`);
    }
    for (const { name, kind } of filters) {
      if (valuesIn(value[name]).some((each) => !isValue(kind, each))) complain(name, `expected ${forms[kind]}`);
    }
    for (const [at, allowed] of [
      ["sort", names],
      ["fields", shown],
    ] as const) {
      const wrong = splitNames(value[at] as string | undefined).find(
        (name) => !allowed.includes(name.replace(/^-/, "")) || (at === "fields" && name.startsWith("-")),
      );
      if (wrong !== undefined) complain(at, `there is no field ${wrong}: expected ${allowed.join(", ")}`);
    }
  });
  return {
    query,
    answer: listOf(item),
    send(request, reply, items) {
      const wanted = request.query as Query;
      const chosen = sortItems(
        items.filter((each) => filters.every((field) => matches(each, field, wanted[field.name]))),
        splitNames(wanted.sort ?? sort),
        known,
      );
      const page = takePage(chosen, wanted);
      const links = linkPages(request.url, wanted, chosen.length);
      if (links !== "") reply.header("Link", links);
      const fields = splitNames(wanted.fields);
      return reply.send(fields.length === 0 ? page : { ...page, items: page.items.map((each) => pick(each, fields)) });
    },
  };
}

function splitNames(list: string | undefined): string[] {
  return list === undefined || list === "" ? [] : list.split(",").map((name) => name.trim());
}

function valuesIn(filter: unknown): string[] {
  return filter === undefined ? [] : ([filter].flat() as string[]);
}

function isValue(kind: Field["kind"], value: string): boolean {
  if (kind === "boolean") return value === "true" || value === "false";
  return kind === "text" || parseRange(value) !== undefined;
}

/** `3`, `1..10`, `5..` or `..5`, ends included. */
function parseRange(value: string): [number, number] | undefined {
  const match = /^(-?\d{1,15}(?:\.\d{1,6})?)?(\.\.)?(-?\d{1,15}(?:\.\d{1,6})?)?$/.exec(value);
  if (!match || (match[1] === undefined && match[3] === undefined)) return undefined;
  const [, first, dots, last] = match;
  if (dots === undefined) return last === undefined && first !== undefined ? [Number(first), Number(first)] : undefined;
  return [first === undefined ? -Infinity : Number(first), last === undefined ? Infinity : Number(last)];
}

function matches(item: object, { steps, kind }: Field, filter: unknown): boolean {
  const wanted = valuesIn(filter);
  if (wanted.length === 0) return true;
  const values = valuesOf(item, steps);
  return wanted.some((each) => {
    if (kind !== "number") return values.some((value) => matchesPattern(each, String(value)));
    const [least, most] = parseRange(each) ?? [0, -1];
    return values.some((value) => Number(value) >= least && Number(value) <= most);
  });
}

/** `*` stands for any characters. Without regular expressions, whose worst case a caller could choose. */
export function matchesPattern(pattern: string, value: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return value === pattern;
  if (!value.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = value.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return value.length - last.length >= at && value.endsWith(last);
}

/** As people count: web2 before web10. */
const order = new Intl.Collator("en", { numeric: true });

/** By one field after the other; what is equal in all stays as it was. Items without the field come last. */
function sortItems(items: readonly object[], fields: readonly string[], known: ReadonlyMap<string, Field>): object[] {
  const keys = fields.map((name) => {
    const descending = name.startsWith("-");
    const { steps = [] } = known.get(descending ? name.slice(1) : name) ?? {};
    return { descending, value: (item: object) => valuesOf(item, steps)[0] };
  });
  return [...items].sort((one, other) => {
    for (const { descending, value } of keys) {
      const [left, right] = [value(one), value(other)];
      if (left === undefined || right === undefined) {
        if (left !== right) return left === undefined ? 1 : -1;
        continue;
      }
      const numbers = typeof left === "number" && typeof right === "number";
      const difference = numbers ? left - right : order.compare(String(left), String(right));
      if (difference !== 0) return descending ? -difference : difference;
    }
    return 0;
  });
}

function pick(item: object, fields: readonly string[]): object {
  return Object.fromEntries(Object.entries(item).filter(([name]) => fields.includes(name)));
}

/** The header field `Link`; empty when everything is on one page. */
function linkPages(url: string, { limit, offset }: Query, total: number): string {
  if (offset === 0 && total <= limit) return "";
  const [path = "", search = ""] = url.split("?");
  const last = Math.max(0, Math.floor((total - 1) / limit) * limit);
  const pages: [string, number][] = [["first", 0]];
  if (offset > 0) pages.push(["prev", Math.max(0, Math.min(offset - limit, last))]);
  if (offset + limit < total) pages.push(["next", offset + limit]);
  pages.push(["last", last]);
  return pages
    .map(([relation, start]) => {
      const query = new URLSearchParams(search);
      query.set("offset", String(start));
      return `<${path}?${query}>; rel="${relation}"`;
    })
    .join(", ");
}
