import { isDeepStrictEqual } from "node:util";
import type { Configuration } from "../configuration/schema.ts";

/** How a change of the system's settings can cut off whoever manages the box over the network. */
export function endangersSystem({ system: before }: Configuration, { system: after }: Configuration): string[] {
  const reasons: string[] = [];
  if (!isDeepStrictEqual(before.management, after.management))
    reasons.push("where and on which port the box is managed changes");
  // What is closed and stays closed, or is opened, takes nothing away.
  if (before.ssh.enabled && !isDeepStrictEqual(before.ssh, after.ssh)) reasons.push("how SSH is reached changes");
  return reasons;
}
