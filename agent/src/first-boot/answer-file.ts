import { type Alias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { Problem } from "../errors.ts";
import { SteelyardError } from "../errors.ts";
import { parseAnswers } from "./complete.ts";
import type { Answers } from "./schema.ts";

/** Bytes; more than any box needs, and little enough to read into memory. */
export const greatestAnswerFile = 1024 * 1024;

/** A problem with the line of the file it stands in, from 1. */
export type LocatedProblem = Problem & { line?: number };

/** The answers of a file, or all that is wrong with it. Neither holds a word of a bad file: a password may be near. */
export type ParsedAnswerFile = { answers: Answers } | { problems: LocatedProblem[] };

/**
 * Parses an answer file: YAML 1.2, one document, no aliases.
 * `hostname` is taken when the file has no system.hostname, as NoCloud's meta-data may give one.
 */
export function parseAnswerFile(text: string, hostname?: string): ParsedAnswerFile {
  const lines = new LineCounter();
  let raw: unknown;
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    const problems: LocatedProblem[] = document.errors.map(({ code, pos }) => {
      const { line, col } = lines.linePos(pos[0]);
      return {
        line,
        path: "",
        message: `expected YAML, but column ${col}: ${code.toLowerCase().replaceAll("_", " ")}`,
      };
    });
    visit(document, {
      Alias: (_, node: Alias) => {
        problems.push({ ...lineOf(node, lines), path: "", message: "expected no YAML alias (*name)" });
      },
    });
    if (problems.length > 0) return { problems };
    raw = withHostname(document.toJS({ maxAliasCount: 0 }), hostname);
  } catch {
    // Nesting deeper than the parser's stack.
    return { problems: [{ path: "", message: "expected a YAML file with a few levels of nesting" }] };
  }
  try {
    return { answers: parseAnswers(raw) };
  } catch (error) {
    if (!(error instanceof SteelyardError)) throw error;
    return { problems: locateProblems(text, error.problems) };
  }
}

function withHostname(raw: unknown, hostname: string | undefined): unknown {
  if (hostname === undefined || !isRecord(raw)) return raw;
  const { system = {} } = raw;
  return isRecord(system) && !("hostname" in system) ? { ...raw, system: { ...system, hostname } } : raw;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Adds to each problem the line of the field it names, or of the nearest thing around a field that is missing. */
export function locateProblems(text: string, problems: readonly Problem[]): LocatedProblem[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  return problems.map((problem) => ({ ...locate(document.contents, problem.path, lines), ...problem }));
}

/** Follows a path such as `interfaces.nic0.100.mtu`, whose names may have dots in them. */
function locate(node: unknown, path: string, lines: LineCounter): { line?: number } {
  if (path === "") return {};
  const children = isMap(node)
    ? node.items.map(({ key, value }) => ({ name: isScalar(key) ? String(key.value) : "", at: key, value }))
    : isSeq(node)
      ? node.items.map((value, at) => ({ name: String(at), at: value, value }))
      : [];
  for (const { name, at, value } of children) {
    if (path !== name && !path.startsWith(`${name}.`)) continue;
    return { ...lineOf(at, lines), ...locate(value, path.slice(name.length + 1), lines) };
  }
  return {};
}

function lineOf(node: unknown, lines: LineCounter): { line?: number } {
  return isNode(node) && node.range ? { line: lines.linePos(node.range[0]).line } : {};
}
