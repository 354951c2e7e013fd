import { SteelyardError } from "../../errors.ts";
import { type Farms, highestMark, lowestMark, type Marks, markKeys } from "./document.ts";

/**
 * A mark for every wanted backend: the one it has, or the lowest that nobody has; `now` itself when nothing is to change. A mark that becomes free now is not given
 * away in the same plan, since connections still bear it until they are cut.
 */
export function assignMarks(now: Marks, wanted: Farms): Marks {
  if (hasAll(now, wanted)) return now;
  const taken = new Set(Object.values(now));
  const marks: Marks = {};
  let next = lowestMark;
  for (const [farm, document] of Object.entries(wanted)) {
    for (const key of markKeys(farm, document)) {
      const has = now[key];
      if (has !== undefined) {
        marks[key] = has;
        continue;
      }
      while (taken.has(next)) next++;
      if (next > highestMark)
        throw new SteelyardError("apply-failed", "there is no connection mark left for a backend");
      taken.add(next);
      marks[key] = next;
    }
  }
  return marks;
}

/** True when the marks are those of the wanted backends and of no others. */
function hasAll(now: Marks, wanted: Farms): boolean {
  let left = Object.keys(now).length;
  for (const [farm, document] of Object.entries(wanted))
    for (const key of markKeys(farm, document)) {
      if (now[key] === undefined) return false;
      left--;
    }
  return left === 0;
}
