import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, SteelyardError } from "../errors.ts";
import type { Job } from "../jobs/schema.ts";
import { type CommandContext, printForPrograms } from "./context.ts";
import { printObject } from "./output.ts";

/** `steelyard job follow`, and commands that wait for a job. */

const isEnded = ({ state }: Job) => state !== "queued" && state !== "running";

/** Milliseconds between two looks: soon at first, for most jobs are short. */
const intervals = { first: 150, last: 1_000 };

export async function followJob(context: CommandContext, id: string): Promise<void> {
  const job = await waitForJob(context, id);
  if (await printForPrograms(context, job)) return;
  if (!context.quiet) printObject(context.output, job);
}

export async function showLog(context: CommandContext, id: string): Promise<void> {
  const lines = await context.client.list("/api/v1/jobs/{job}/log", { path: { job: id } });
  if (await printForPrograms(context, lines)) return;
  for (const { time, text } of lines) context.output.print(`${time} ${text}`);
}

/** Shows the progress on a line of its own until the job has ended. Throws what went wrong when it did not end well. */
export async function waitForJob({ client, output }: CommandContext, id: string): Promise<Job> {
  let shown = "";
  for (let interval = intervals.first; ; interval = Math.min(interval * 1.5, intervals.last)) {
    const { body: job } = await client.call("get", "/api/v1/jobs/{job}", { path: { job: id } });
    const line = isEnded(job as Job) ? "" : describeProgress(job as Job);
    if (line !== shown) {
      output.redraw?.(line);
      shown = line;
    }
    if (!isEnded(job as Job)) {
      await sleep(interval);
      continue;
    }
    if (shown !== "") output.redraw?.("\r");
    if (job.state === "done") return job as Job;
    const { code = "not-ready", detail = `the job was ${job.state}`, problems = [] } = job.problem ?? {};
    throw new SteelyardError(code as ErrorCode, `job ${id} ${job.state}: ${detail}`, { problems });
  }
}

function describeProgress({ title, state, progress: { step, done, total } }: Job): string {
  const part = total > 0 ? ` ${Math.round((100 * done) / total)} %` : "";
  return state === "queued" ? `${title}: waits for others` : `${title}: ${step}${part}`;
}
