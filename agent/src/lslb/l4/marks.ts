import { SteelyardError } from "../../errors.ts";
import { type Farms, highestMark, lowestMark, type Marks, markKey } from "./document.ts";

/**
 * A mark for every wanted backend: the one it has, or the lowest that nobody has. A mark that becomes free now is not given
 * away in the same plan, since connections still bear it until they are cut.
 */
export function assignMarks(now: Marks, wanted: Farms): Marks {
  const taken = new Set(Object.values(now));
  const marks: Marks = {};
  let next = lowestMark;
  for (const [farm, { backends }] of Object.entries(wanted)) {
    for (const backend of Object.keys(backends)) {
      const key = markKey(farm, backend);
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
