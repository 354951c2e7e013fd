import type { Configuration } from "../../configuration/schema.ts";
import { type Problem, SteelyardError } from "../../errors.ts";
import { readCertificates } from "./certificates.ts";
import { readDatalinkFarms } from "./datalink.ts";
import type { Draft, ImportOptions } from "./draft.ts";
import { readInterfaces } from "./interfaces.ts";
import { readL4Farms } from "./l4-farm.ts";
import { readLabels } from "./labels.ts";
import { readOtherFarms } from "./other-farms.ts";
import { readOtherFiles } from "./other-files.ts";
import type { Item } from "./report.ts";
import { readRoutes } from "./routes.ts";
import { readSettings } from "./settings.ts";
import { sortFiles } from "./source.ts";

export type { ImportOptions } from "./draft.ts";

export type Reading = {
  product: string;
  version: string | undefined;
  /** The current configuration with what was taken put on it. */
  candidate: Configuration;
  /** One item for everything that was found. */
  report: Item[];
};

/**
 * Reads a backup of ZEVENET or SKUDONET Community Edition 5 to 7 onto a configuration. Nothing is dropped without a word: each
 * thing found is an item of the report. Objects of the same name are replaced, so reading a backup twice changes nothing.
 *
 * Throws `bad-input` when the files are no such backup, or the map of interfaces makes no sense.
 */
export function readZevenetBackup(
  files: ReadonlyMap<string, Buffer>,
  current: Configuration,
  options: ImportOptions = {},
): Reading {
  const source = sortFiles(files);
  checkMap(options);
  const draft: Draft = {
    source,
    options,
    candidate: {
      ...current,
      interfaces: { ...current.interfaces },
      virtualAddresses: { ...current.virtualAddresses },
      farms: { ...current.farms },
      uplinkFarms: { ...current.uplinkFarms },
      routingRules: { ...current.routingRules },
      routingRoutes: { ...current.routingRoutes },
      certificates: { ...current.certificates },
    },
    report: [],
    seen: new Set(),
    places: new Map(),
    lost: new Map(),
  };
  const gateways = readSettings(draft);
  readInterfaces(draft, gateways);
  readLabels(draft);
  readRoutes(draft);
  readL4Farms(draft);
  readDatalinkFarms(draft);
  readOtherFarms(draft);
  readCertificates(draft);
  readOtherFiles(draft);
  return { product: source.product, version: source.version, candidate: draft.candidate, report: draft.report };
}

function checkMap({ map = new Map<string, string>(), links }: ImportOptions): void {
  const problems: Problem[] = [];
  const sources = new Map<string, string>();
  for (const [from, to] of map) {
    if (links && !links.includes(to))
      problems.push({ path: `map.${from}`, message: `this box has no ${to}: expected one of ${links.join(", ")}` });
    const other = sources.get(to);
    if (other !== undefined)
      problems.push({ path: `map.${from}`, message: `${to} takes the place of ${other} already` });
    sources.set(to, from);
  }
  if (problems.length > 0)
    throw new SteelyardError("bad-input", problems.map(({ message }) => message).join("; "), { problems });
}

/**
 * The reading without the objects that problems blame: they are back to what they were, and reported with the words of the
 * problem. Undefined when no object of the import is to blame, so that leaving out more would not help.
 */
export function withoutBlamed(
  reading: Reading,
  current: Configuration,
  problems: readonly Problem[],
): Reading | undefined {
  const wordsOf = ({ target = "\n" }: Item) =>
    problems.flatMap(({ path, message }) => (path === target || path.startsWith(`${target}.`) ? message : []));
  const blamed = new Set(
    reading.report
      .filter((item) => item.result !== "not-supported" && wordsOf(item).length > 0)
      .map(({ target }) => target ?? ""),
  );
  if (blamed.size === 0) return undefined;
  let { candidate } = reading;
  for (const target of blamed) candidate = putBack(candidate, current, target);
  const report = reading.report.map((item): Item => {
    const { target, ...rest } = item;
    if (target === undefined || !blamed.has(target)) return item;
    return { ...rest, result: "not-supported", notes: [...new Set(wordsOf(item)), ...item.notes] };
  });
  return { ...reading, candidate, report };
}

/** `farms.web` or `system.dns` as it was. */
function putBack(candidate: Configuration, current: Configuration, target: string): Configuration {
  const [kind = "", name = ""] = splitTarget(target);
  const all = candidate as unknown as Record<string, Record<string, unknown>>;
  const before = (current as unknown as Record<string, Record<string, unknown>>)[kind] ?? {};
  const { [name]: _, ...others } = all[kind] ?? {};
  const kept = Object.hasOwn(before, name) ? { ...others, [name]: before[name] } : others;
  return { ...candidate, [kind]: kept };
}

/** Names of interfaces may have dots. */
function splitTarget(target: string): [string, string] {
  const dot = target.indexOf(".");
  return [target.slice(0, dot), target.slice(dot + 1)];
}
