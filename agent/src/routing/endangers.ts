import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";

/** How a change of routing can take another way for the answers to whoever manages the box. */
export function endangersRouting(before: Configuration, after: Configuration): string[] {
  if (before.system.management.interfaces.length === 0) return [];
  const reasons: string[] = [];
  if (!isDeepStrictEqual(essence(before.routingRules), essence(after.routingRules)))
    reasons.push("the routing rules change, and answers to management may take another way");
  if (!isDeepStrictEqual(essence(before.routingRoutes), essence(after.routingRoutes)))
    reasons.push("the routes change, and answers to management may take another way");
  return reasons;
}

/** Those that are in the kernel, without the words that describe them. */
function essence(objects: Record<string, { enabled: boolean }>): object[] {
  return Object.values(objects)
    .filter(({ enabled }) => enabled)
    .map((each) => ({ ...each, description: "" }));
}
