import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../adapters/machine.ts";
import { messageOf } from "../errors.ts";
import { deleteBackup, listBackups } from "./apply.ts";
import { type BackupSchedule, weekdays } from "./schema.ts";
import type { StoredBackup } from "./stored.ts";

const day = 24 * 60 * 60_000;

/** The last moment, not after now, at which the schedule wants a backup; undefined when it wants none. Pure. */
export function lastDue({ enabled, time, days }: BackupSchedule, now: Date): Date | undefined {
  if (!enabled) return undefined;
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  const today = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), hours, minutes);
  for (let back = 0; back <= 7; back++) {
    const moment = new Date(today - back * day);
    // getUTCDay counts from Sunday, we from Monday.
    const name = weekdays[(moment.getUTCDay() + 6) % 7];
    if (moment.getTime() <= now.getTime() && (days.length === 0 || (name && days.includes(name)))) return moment;
  }
  return undefined;
}

/** True when no scheduled backup was made since the last time one was due. Those of the future are of a clock that was wrong. */
export function isDue(schedule: BackupSchedule, kept: readonly StoredBackup[], now: Date): boolean {
  const due = lastDue(schedule, now);
  if (!due) return false;
  const made = kept.filter(({ origin }) => origin === "scheduled").map(({ time }) => Date.parse(time));
  return !made.some((time) => time >= due.getTime() && time <= now.getTime());
}

/** Deletes the oldest scheduled backups beyond the number that is kept. */
export async function pruneBackups(machine: Pick<Machine, "path">, keep: number): Promise<string[]> {
  const scheduled = (await listBackups(machine)).filter(({ origin }) => origin === "scheduled");
  const old = scheduled.slice(keep).map(({ name }) => name);
  for (const name of old) await deleteBackup(machine, name);
  return old;
}

export type ScheduleOptions = {
  machine: Machine;
  schedule(): BackupSchedule;
  /** Makes one, and resolves when that has ended: false when it failed. */
  make(schedule: BackupSchedule): Promise<boolean>;
  signal: AbortSignal;
  /** Milliseconds between two looks at the clock. */
  interval?: number;
};

/** Milliseconds until one that failed is tried again. */
export const retryAfter = 15 * 60_000;

/** Looks at the clock until the signal. Never throws: what goes wrong is told by the job, and tried again. */
export async function watchSchedule({
  machine,
  schedule,
  make,
  signal,
  interval = 20_000,
}: ScheduleOptions): Promise<void> {
  let failed: number | undefined;
  let complaining = false;
  while (!signal.aborted) {
    try {
      const now = machine.now();
      const wanted = schedule();
      const resting = failed !== undefined && Math.abs(now.getTime() - failed) < retryAfter;
      if (!resting && isDue(wanted, await listBackups(machine), now))
        failed = (await make(wanted)) ? undefined : now.getTime();
      complaining = false;
    } catch (error) {
      if (!complaining) machine.log.error(`backups: the schedule cannot be followed: ${messageOf(error)}`);
      complaining = true;
    }
    await sleep(interval, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
