import { isDeepStrictEqual } from "node:util";
import type { Farms } from "./document.ts";

/** Every way in which farms are not the wanted ones; none when they are. */
export function compareFarms(now: Farms, wanted: Farms): string[] {
  const differences: string[] = [];
  for (const name of Object.keys(now)) if (!wanted[name]) differences.push(`farm ${name} is still there`);
  for (const [name, farm] of Object.entries(wanted)) {
    const has = now[name];
    if (!has) {
      differences.push(`farm ${name} is missing`);
      continue;
    }
    for (const key of Object.keys(farm) as (keyof typeof farm)[])
      if (!isDeepStrictEqual(has[key], farm[key]))
        differences.push(`farm ${name}: ${key}: ${JSON.stringify(has[key])} and not ${JSON.stringify(farm[key])}`);
  }
  return differences;
}
