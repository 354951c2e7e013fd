import type { ApiContext } from "../api/context.ts";
import type { Author } from "../commit/control.ts";
import type { Job } from "../jobs/schema.ts";
import { type BackupContext, type BackupWish, makeBackup, scheduler } from "./make.ts";
import { pruneBackups, watchSchedule } from "./schedule.ts";
import type { BackupNic, BackupSchedule } from "./schema.ts";

/** What the API hands to those who make backups. */

type Context = Pick<ApiContext, "machine" | "control" | "version" | "status" | "jobs">;

export function backupContextOf({ machine, control, version, status }: Context): BackupContext {
  return { machine, control, version, readNics: async () => listNics(await status.readLinks()) };
}

/** Cards alone: what has no place on a bus was made by the configuration, and comes back with it. */
function listNics(links: Awaited<ReturnType<Context["status"]["readLinks"]>>): BackupNic[] {
  return links
    .filter(({ bus }) => bus !== undefined)
    .map(({ name, mac, permanentMac = mac, driver, bus }) => ({
      name,
      ...(permanentMac === undefined ? {} : { mac: permanentMac }),
      ...(driver === undefined ? {} : { driver }),
      ...(bus === undefined ? {} : { bus }),
    }));
}

export function startBackup(context: Context, author: Author, wish: BackupWish): Job {
  return context.jobs.start({
    kind: wish.origin === "scheduled" ? "scheduled-backup" : "backup",
    title: wish.origin === "scheduled" ? "make the scheduled backup" : `make backup ${wish.name ?? ""}`.trim(),
    author,
    lane: "backup",
    work: async (job) => {
      const kept = await makeBackup(backupContextOf(context), wish, job);
      if (wish.origin === "scheduled") {
        const { keep } = context.control.current().configuration.backups;
        for (const name of await pruneBackups(context.machine, keep)) job.log(`deleted ${name}: ${keep} are kept`);
      }
      return kept;
    },
  });
}

/** Makes the scheduled backups until the signal. */
export async function followSchedule(context: Context, signal: AbortSignal, interval?: number): Promise<void> {
  const { machine, control, jobs } = context;
  await watchSchedule({
    machine,
    signal,
    ...(interval === undefined ? {} : { interval }),
    schedule: () => control.current().configuration.backups,
    make: async ({ recipients, identity, history }: BackupSchedule) => {
      const wish: BackupWish = { lock: { recipients }, identity, history, origin: "scheduled" };
      const { state } = await jobs.ended(startBackup(context, scheduler, wish).id);
      return state === "done";
    },
  });
}
