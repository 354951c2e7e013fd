import { addressFamily, isAddress, networkOf, splitPrefixed } from "../../configuration/fields.ts";
import { routingRoute, routingRule } from "../../routing/schema.ts";
import { type Draft, makeName, report, reportTaken } from "./draft.ts";
import { parseTiny } from "./formats.ts";
import { readText } from "./source.ts";

/**
 * `routes/table_eth0.conf` and `routes/rules.conf` of the Enterprise Edition: routes of a table and rules, as somebody made them,
 * a section each. Each interface has a table of its own there as here.
 */

/** Where imported rules begin: between 29000 and 30999, which are the operator's. */
const firstPriority = 29_500;

type Fields = ReadonlyMap<string, string>;

export function readRoutes(draft: Draft): void {
  for (const path of [...draft.source.configuration.keys()].sort()) {
    const table = /^routes\/table_(.+)\.conf$/.exec(path)?.[1] ?? /^routes\/(main)\.conf$/.exec(path)?.[1];
    if (table !== undefined) readTable(draft, path, table);
    if (path === "routes/rules.conf") readRules(draft, path);
  }
}

function sectionsOf({ source }: Draft, path: string): [string, Fields][] {
  return [...parseTiny(readText(source.configuration, path) ?? "")].filter(([name]) => name !== "_");
}

/** The table of the interface that takes the place of theirs. */
function placeOfTable({ places }: Draft, table: string): string | undefined {
  return table === "main" ? table : places.get(table.replace(/^table_/, ""));
}

function readTable(draft: Draft, path: string, of: string): void {
  draft.seen.add(path);
  for (const [id, fields] of sectionsOf(draft, path)) {
    const field = (key: string) => fields.get(key) || undefined;
    const item = { kind: "route", name: `${of} ${id}`, file: path, content: Object.fromEntries(fields) };
    const refuse = (...notes: string[]) => report(draft, { ...item, result: "not-supported", notes });
    const table = placeOfTable(draft, of);
    const through = field("interface");
    const leaves = through === undefined ? undefined : draft.places.get(through);
    if (table === undefined || (through !== undefined && leaves === undefined)) {
      refuse(`${table === undefined ? of : through} has no place here`);
      continue;
    }
    const [via, source, to = ""] = [field("via"), field("source"), field("to")];
    const route = routingRoute.safeParse({
      destination: asNetwork(to === "default" ? ((via ?? source ?? "").includes(":") ? "::/0" : "0.0.0.0/0") : to),
      table,
      ...(via === undefined ? {} : { via }),
      ...(leaves === undefined ? {} : { interface: leaves }),
      ...(source === undefined ? {} : { source }),
      ...(field("mtu") === undefined ? {} : { mtu: Number(field("mtu")) }),
      ...(field("priority") === undefined ? {} : { metric: Number(field("priority")) }),
    });
    if (!route.success) {
      refuse(...route.error.issues.map(({ message }) => message));
      continue;
    }
    const name = makeName(`${table}-${id}`, new Set());
    draft.candidate.routingRoutes[name] = route.data;
    reportTaken(draft, {
      ...item,
      target: `routingRoutes.${name}`,
      notes: table === of ? [] : [`${of} is ${table} here`],
    });
  }
}

function readRules(draft: Draft, path: string): void {
  draft.seen.add(path);
  const order = ([, fields]: [string, Fields]) => Number(fields.get("priority") ?? 0);
  const sections = sectionsOf(draft, path).sort((one, other) => order(one) - order(other));
  for (const [at, [id, fields]] of sections.entries()) {
    const field = (key: string) => fields.get(key) || undefined;
    const item = { kind: "rule", name: id, file: path, content: Object.fromEntries(fields) };
    const refuse = (...notes: string[]) => report(draft, { ...item, result: "not-supported", notes });
    const table = placeOfTable(draft, field("table") ?? "main");
    if (table === undefined) {
      refuse(`${field("table")} has no place here`);
      continue;
    }
    // Before 6.2 the network was in two fields.
    const [from, to] = [field("from") ?? join(field("src"), field("srclen")), field("to")];
    const priority = firstPriority + at;
    const rule = routingRule.safeParse({
      priority,
      table,
      ...(from === undefined ? {} : { from: asNetwork(from) }),
      ...(to === undefined ? {} : { to: asNetwork(to) }),
      not: field("not") === "true",
    });
    if (!rule.success) {
      refuse(...rule.error.issues.map(({ message }) => message));
      continue;
    }
    const name = makeName(`rule-${id}`, new Set());
    draft.candidate.routingRules[name] = rule.data;
    const notes = [`its priority ${field("priority") ?? ""} is ${priority} here: the order is the same`];
    reportTaken(draft, { ...item, target: `routingRules.${name}`, notes });
  }
}

function join(address: string | undefined, length: string | undefined): string | undefined {
  return address === undefined || length === undefined ? address : `${address}/${length}`;
}

/** An address alone is a network of one host; host bits of a network go. Other words are left for the schema to refuse. */
function asNetwork(text: string): string {
  if (isAddress(text)) return `${text}/${text.includes(":") ? 128 : 32}`;
  const { address, length } = splitPrefixed(text);
  if (!isAddress(address) || !/\/\d+$/.test(text)) return text;
  return length > (addressFamily(address) === "ipv6" ? 128 : 32) ? text : networkOf(text);
}
