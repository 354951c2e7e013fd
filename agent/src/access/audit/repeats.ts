import type { Machine } from "../../adapters/machine.ts";
import { attemptKey } from "../address.ts";
import type { AuditEvent } from "./record.ts";

type Event = Omit<AuditEvent, "time">;

export type RepeatLimits = {
  /** Refusals of one user at one address (IPv6: one /64) that are recorded whole within a minute. */
  perSource: number;
  /** Those of all who have logged in together, and again those of all who have not. */
  overall: number;
};

export type Repeats = {
  add(event: Event): Promise<void>;
  /** Writes what was only counted. */
  flush(): Promise<void>;
};

/**
 * Whoever floods the API with what is refused must not flood the log, or retention would remove the records he wants gone.
 * Beyond the limits refusals of a minute are counted, and become one record with `repeated`. Strangers count apart from those who
 * are logged in, or their noise would hide what an insider is refused.
 */
export function limitRepeats(
  write: (event: Event) => Promise<void>,
  { now }: Pick<Machine, "now">,
  { perSource, overall }: RepeatLimits = { perSource: 20, overall: 60 },
): Repeats {
  let minute = -1;
  const all = { stranger: 0, known: 0 };
  const counts = new Map<string, number>();
  const held = new Map<string, { event: Event; count: number }>();
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const events = [...held.values()].map(({ event, count }) => ({ ...event, repeated: count }));
    held.clear();
    for (const event of events) await write(event);
  }

  return {
    async add(event) {
      const current = Math.floor(now().getTime() / 60_000);
      if (current !== minute) {
        minute = current;
        all.stranger = 0;
        all.known = 0;
        counts.clear();
        await flush();
      }
      const kind = event.means === "none" ? "stranger" : "known";
      const key = `${kind} ${event.user} ${attemptKey(event.source)}`;
      const count = counts.get(key) ?? 0;
      if (count < perSource && all[kind] < overall) {
        counts.set(key, count + 1);
        all[kind] += 1;
        return await write(event);
      }
      // Those of many addresses are counted together: the map stays as small as the limit.
      const known = counts.has(key);
      const place = known ? key : kind;
      held.set(place, {
        event: known ? event : { ...event, user: "", source: "several" },
        count: (held.get(place)?.count ?? 0) + 1,
      });
      timer ??= setTimeout(() => void flush(), 60_000).unref();
    },
    flush,
  };
}
