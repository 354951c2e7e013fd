import type { z } from "zod";
import type { Problem } from "../errors.ts";

type Issue = z.core.$ZodIssue;

/** What zod found, as problems of the error catalogue: each field's full path (`farms.web.backends.b1.port`) and what is expected. */
export function describeIssues(error: z.ZodError, prefix: readonly string[] = []): Problem[] {
  const problems = error.issues
    .filter((issue, at) => !isSaidAlready(issue, error.issues.slice(0, at)))
    .flatMap((issue) => describeIssue(issue, prefix));
  // Two rules on one field often say the same words.
  const seen = new Set<string>();
  return problems.filter(({ path, message }) => {
    const key = `${path}\n${message}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** A number that is too great for any whole number is also greater than what its field takes: once is enough. */
function isSaidAlready({ code, path }: Issue, before: readonly Issue[]): boolean {
  const ranges = ["too_big", "too_small", "invalid_type"];
  const isSame = (other: Issue) => ranges.includes(other.code) && other.path.join(".") === path.join(".");
  return (code === "too_big" || code === "too_small") && before.some(isSame);
}

function describeIssue(issue: Issue, prefix: readonly string[]): Problem[] {
  const segments = [...prefix, ...issue.path.map(String)];
  const path = segments.join(".");
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: [...segments, key].join("."), message: "there is no such field" }));
    case "invalid_key":
      return issue.issues.map(({ message }) => ({ path, message: `the name: ${message}` }));
    case "invalid_union":
      return describeUnion(issue, segments);
    default:
      return [{ path, message: rephrase(issue.message) }];
  }
}

/** One problem that says what each alternative expects; those of the alternative that got furthest when they lie deeper. */
function describeUnion(issue: Extract<Issue, { code: "invalid_union" }>, segments: readonly string[]): Problem[] {
  const path = segments.join(".");
  const alternatives = issue.errors.filter((issues) => issues.length > 0);
  if (alternatives.length === 0) return [{ path, message: rephrase(issue.message) }];
  const deeper = alternatives.filter((issues) => issues.every((each) => each.path.length > 0));
  const [only] = deeper;
  if (deeper.length === 1 && only) return only.flatMap((each) => describeIssue(each, segments));
  const messages = alternatives.flatMap((issues) => issues.flatMap((each) => describeIssue(each, [])));
  return [{ path, message: [...new Set(messages.map(({ message }) => message))].join(", or ") }];
}

/** What people call the types of JSON. */
const types: Record<string, string> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  null: "null",
  number: "a number",
  object: "an object",
  record: "an object",
  string: "a text",
};

/** zod's own words where a schema has none: `Invalid input: expected string, received number`. */
function rephrase(message: string): string {
  const [, expected, received] = /^Invalid input: expected (\w+), received (\w+)$/.exec(message) ?? [];
  if (expected === undefined || received === undefined) return message.replace(/^Invalid input: /, "");
  const wanted = types[expected] ?? expected;
  if (received === "undefined") return `expected ${wanted}, but the field is missing`;
  return `expected ${wanted}, not ${types[received] ?? received}`;
}
