import type { Configuration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import { listPermissions, requirePermissions } from "./changes.ts";
import { requireNoEscalation } from "./escalation.ts";
import type { Principal } from "./permissions.ts";

/** Throws `forbidden` for an API key: with one that leaked, nobody may get himself a login or a key that outlives it. */
export function requireNoKey({ means }: Principal): void {
  if (means !== "api-key") return;
  throw new SteelyardError("forbidden", "an API key makes no keys and changes no login of its owner: log in");
}

/**
 * Whether a principal may take the configuration from one state to another, object by object: what every commit asks, be it of
 * one object, of a whole transaction or a rollback. Throws `forbidden` with everything it may not.
 */
export function requireChange(principal: Principal, before: Configuration, after: Configuration, now: Date): void {
  requirePermissions(principal, listPermissions(before, after));
  requireNoEscalation(principal, before, after, now);
}
