import type { Job } from "../jobs/schema.ts";

/** What the health of the box says of its scheduled backups: nothing, or why the last one failed. Jobs are newest first. */
export function describeBackupProblem(jobs: readonly Job[], enabled: boolean): string[] {
  const last = jobs.find(({ kind, ended }) => kind === "scheduled-backup" && ended !== undefined);
  if (!enabled || last?.problem === undefined) return [];
  return [`the last scheduled backup ${last.state} at ${last.ended}: ${last.problem.detail}`];
}
