import { parse, stringify } from "yaml";
import { z } from "zod";

/**
 * The record of a commit that awaits its confirmation: `pending.yaml` beside `current`. It is written before the generation
 * becomes current, so there is no moment in which an unconfirmed generation is current without it.
 */
const pendingRecord = z.strictObject({
  generation: z.int().min(1),
  /** The confirmed generation, which comes back; 0: there was none, and the first boot begins again. */
  parent: z.int().min(0),
  author: z.string(),
  source: z.string(),
  message: z.string(),
  time: z.iso.datetime(),
  reasons: z.array(z.string()),
  /** The boot in which the commit was made, and the second of it at which the time is up. */
  boot: z.string(),
  until: z.number(),
});

export type PendingRecord = z.output<typeof pendingRecord>;

export function encodePending(record: PendingRecord): string {
  return stringify(record, { lineWidth: 0 });
}

/** Undefined when the text is damaged. */
export function decodePending(text: string): PendingRecord | undefined {
  try {
    return pendingRecord.parse(parse(text));
  } catch {
    return undefined;
  }
}
