import { isAddress } from "../configuration/fields.ts";
import type { PendingRecord } from "../configuration/pending.ts";
import type { Configuration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import type { CommitRequest, PendingCommit } from "./control.ts";
import type { Finding, Subsystem } from "./subsystem.ts";

/** Minutes in which a change that can cut off its author has to be confirmed, when the author names none. */
export const automaticMinutes = 5;

/** Whether a change has to be confirmed: `minutes` is 0 when not. */
export type Confirmation = { minutes: number; reasons: string[] };

/**
 * The author decides; one who does not is asked to confirm what can cut off whoever comes over the network. From the
 * console or the local socket nobody is cut off, but over SSH. A first boot has to be confirmed only when its author says so.
 */
export function decideConfirmation(
  subsystems: readonly Subsystem[],
  before: Configuration,
  after: Configuration,
  { author, confirmWithin }: Pick<CommitRequest, "author" | "confirmWithin">,
): Confirmation {
  const reasons = subsystems.flatMap((subsystem) => subsystem.endangers(before, after));
  const automatic = reasons.length > 0 && isRemote(author.source) ? automaticMinutes : 0;
  return { minutes: confirmWithin ?? automatic, reasons };
}

function isRemote(source: string): boolean {
  return isAddress(source) || source.startsWith("ssh ");
}

/** Refuses a commit while another one may still go back: nobody could say what would go back with it. */
export function refuseWhilePending(pending: PendingCommit | undefined): void {
  if (pending) throw new SteelyardError("awaiting-confirmation", describe(pending));
}

/** A dry run of what would be refused so says it; what would be done can be looked at all the same. */
export function warnOfPending(pending: PendingCommit | undefined): Finding[] {
  return pending ? [{ severity: "warning", path: "pending", message: describe(pending) }] : [];
}

function describe({ generation, author, source, deadline }: PendingCommit): string {
  return `generation ${generation} by ${author} (${source}) awaits its confirmation until ${deadline}: confirm it or take it back first (steelyard config confirm, steelyard config revert)`;
}

/** A record as it is shown: its end by the clock on the wall, as that goes now. */
export function showPending(record: PendingRecord, now: Date, seconds: number): PendingCommit {
  const { boot: _boot, until, ...rest } = record;
  return { ...rest, deadline: new Date(now.getTime() + (until - seconds) * 1000).toISOString() };
}
