import { z } from "zod";

/** What takes longer than a request should: made by one request, followed by others. */

export const jobStates = ["queued", "running", "done", "failed", "cancelled", "interrupted"] as const;
export type JobState = (typeof jobStates)[number];

export const jobId = z
  .string()
  .regex(/^[a-z0-9]{12}$/, "expected the id of a job, 12 of a-z and 0-9")
  .describe("Id of the job");

export const job = z
  .object({
    id: z.string().describe("Id of the job"),
    kind: z.string().describe("Stable name of the kind of job, such as backup"),
    title: z.string().describe("What it does, in words"),
    state: z
      .enum(jobStates)
      .describe("interrupted: the agent or the box was restarted before the job ended, and it does not go on"),
    owner: z.string().describe("User who started it; agent for what the box does by itself"),
    source: z.string().describe("Address of the client, local, or timer"),
    created: z.iso.datetime().describe("When it was asked for"),
    started: z.iso.datetime().optional().describe("When its turn came"),
    ended: z.iso.datetime().optional().describe("When it ended, in whatever way"),
    progress: z
      .object({
        step: z.string().describe("What it is at"),
        done: z.number().min(0).describe("How much of the total is done"),
        total: z.number().min(0).describe("0: nobody knows yet"),
      })
      .describe("How far it is"),
    result: z.record(z.string(), z.unknown()).optional().describe("What it made, when it is done"),
    problem: z
      .object({
        code: z.string().describe("Code of the error, as in other answers"),
        detail: z.string().describe("What went wrong"),
        problems: z
          .array(z.object({ path: z.string().describe("The field"), message: z.string().describe("What is wrong") }))
          .describe("Fields that are to blame, when there are any"),
      })
      .optional()
      .describe("Why it did not end well"),
  })
  .meta({
    id: "Job",
    examples: [
      {
        id: "k7mq2xwp4a1c",
        kind: "backup",
        title: "make backup lb1-20260102-030405",
        state: "running",
        owner: "admin",
        source: "192.0.2.7",
        created: "2026-01-02T03:04:05.000Z",
        started: "2026-01-02T03:04:05.000Z",
        progress: { step: "encrypt", done: 1, total: 3 },
      },
    ],
  });

export type Job = z.output<typeof job>;

export const jobLine = z
  .object({ time: z.iso.datetime().describe("When it was written"), text: z.string().describe("The line") })
  .meta({ id: "JobLine", examples: [{ time: "2026-01-02T03:04:05.000Z", text: "encrypt" }] });

export type JobLine = z.output<typeof jobLine>;

export const isEnded = ({ state }: Pick<Job, "state">) => state !== "queued" && state !== "running";
