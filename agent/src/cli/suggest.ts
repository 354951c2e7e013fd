import { SteelyardError } from "../errors.ts";
import { type ApiDocument, schemaOfConfiguration } from "./model.ts";
import { expand, findSchema, type Schema } from "./schemas.ts";

/** What somebody may have meant who named a field there is not. */

/** As the API says it of such a field. */
export const noSuchField = "there is no such field";

/** The same error; each problem with a field there is not names the one of that object that is nearest, when one is near. */
export function suggestFields(error: SteelyardError, document: ApiDocument): SteelyardError {
  const whole = schemaOfConfiguration(document);
  const problems = error.problems.map((problem) => {
    const segments = problem.path.split(".");
    const wrong = segments.pop() ?? "";
    const near = whole && findNearest(wrong, fieldsAt(document, whole, segments));
    const isMeant = problem.message === noSuchField && near !== undefined;
    return isMeant ? { ...problem, message: `${noSuchField}: did you mean ${near}?` } : problem;
  });
  return new SteelyardError(error.code, error.message, { problems, cause: error.cause });
}

function fieldsAt(document: ApiDocument, whole: Schema, segments: readonly string[]): string[] {
  const schema = findSchema(document, whole, segments);
  return schema ? expand(document, schema).flatMap(({ properties = {} }) => Object.keys(properties)) : [];
}

/** The word that takes the fewest changes to get to, when these are few for its length. */
export function findNearest(word: string, words: readonly string[]): string | undefined {
  const ranked = words
    .map((each) => ({ each, changes: countChanges(word.toLowerCase(), each.toLowerCase()) }))
    .sort((one, other) => one.changes - other.changes);
  const [best] = ranked;
  return best && best.changes <= Math.max(1, Math.floor(word.length / 3)) ? best.each : undefined;
}

/** Characters to insert, leave out, replace, or exchange with their neighbour (Damerau and Levenshtein). */
function countChanges(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, at) => at)];
  const changes = (at: number, to: number) => rows[at]?.[to] ?? 0;
  for (let at = 1; at <= one.length; at += 1) {
    const row = [at];
    rows.push(row);
    for (let to = 1; to <= other.length; to += 1) {
      const replaced = changes(at - 1, to - 1) + (one[at - 1] === other[to - 1] ? 0 : 1);
      const swapped = at > 1 && to > 1 && one[at - 1] === other[to - 2] && one[at - 2] === other[to - 1];
      const exchanged = swapped ? changes(at - 2, to - 2) + 1 : replaced;
      row.push(Math.min(changes(at - 1, to) + 1, changes(at, to - 1) + 1, replaced, exchanged));
    }
  }
  return changes(one.length, other.length);
}
