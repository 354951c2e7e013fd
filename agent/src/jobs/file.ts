import { z } from "zod";
import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf } from "../errors.ts";
import { type Job, type JobLine, job, jobLine } from "./schema.ts";

/** Jobs over a restart of the agent: on /data, for they are no part of the configuration. 0600, as a title may name anything. */
const path = "/data/jobs/jobs.json";

/** Lines of a log that are kept; all of them stay in memory. */
const keptLines = 20;

export type StoredJob = { job: Job; lines: JobLine[] };

const stored = z.array(z.object({ job, lines: z.array(jobLine) }));

export type JobFile = {
  /** None when there is no file or it cannot be read: a job is not worth a box that does not start. */
  read(): Promise<StoredJob[]>;
  /** The last state given wins over those it overtakes. Never throws. */
  write(jobs: readonly StoredJob[]): void;
  flush(): Promise<void>;
};

export function makeJobFile(machine: Pick<Machine, "path" | "log">): JobFile {
  let wanted: readonly StoredJob[] | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function writeWanted(): Promise<void> {
    if (wanted === undefined) return;
    const jobs = wanted.map(({ job, lines }) => ({ job, lines: lines.slice(-keptLines) }));
    wanted = undefined;
    await writeAtomically(machine.path(path), `${JSON.stringify(jobs)}\n`, 0o600).catch((error) =>
      machine.log.warn(`jobs: ${path} cannot be written: ${messageOf(error)}`),
    );
  }

  return {
    async read() {
      try {
        const text = await readTextIfExists(machine.path(path));
        return text === undefined ? [] : stored.parse(JSON.parse(text));
      } catch (error) {
        machine.log.warn(`jobs: ${path} cannot be used: ${messageOf(error)}`);
        return [];
      }
    },
    write(jobs) {
      wanted = jobs;
      writing = writing.then(writeWanted);
    },
    flush: () => writing,
  };
}
