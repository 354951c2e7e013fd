import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Author, CommitResult } from "../commit/control.ts";
import type { Configuration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import type { ApiContext } from "./context.ts";
import { type Conditions, entityTag, listsTag } from "./entity-tag.ts";
import { problem } from "./problem.ts";

/** Every change goes through here: a commit in the name of the caller, and its answer. */

export const changeQuery = z.strictObject({
  dryRun: z
    .enum(["true", "false"], "expected true or false")
    .default("false")
    .transform((text) => text === "true")
    .describe("true: check everything, change nothing, answer with the plan"),
});

export const warnings = z.array(problem).describe("What is allowed, and perhaps not meant");

/** What a dry run answers, and a rollback. */
export const plan = z
  .object({
    generation: z.int().describe("The generation that is current now"),
    warnings,
    steps: z
      .array(
        z.object({
          subsystem: z.string().describe("Who does it"),
          kind: z.string().describe("Stable name of the kind of step"),
          summary: z.string().describe("The step in words: add farm web"),
        }),
      )
      .describe("What is done to the machine, in order"),
  })
  .meta({
    id: "Plan",
    examples: [
      { generation: 7, warnings: [], steps: [{ subsystem: "l4", kind: "put-farm", summary: "add farm web" }] },
    ],
  });

/** Header fields hold 8 KiB in most clients; the first warnings are enough to act on. */
const greatestWarnings = 20;

/** The user and address of a request that has passed the authentication hook. */
export function authorOf({ principal }: FastifyRequest): Author {
  if (!principal) throw new SteelyardError("unauthenticated", "log in first");
  return { user: principal.user, source: principal.source };
}

export function conditionsOf({ headers }: FastifyRequest): Conditions {
  return { ifMatch: headers["if-match"], ifNoneMatch: headers["if-none-match"] };
}

export function isDryRun({ query }: FastifyRequest): boolean {
  return (query as z.output<typeof changeQuery>).dryRun;
}

/**
 * Commits a change and prepares the answer: headers `Steelyard-Generation` and, when there are any, `Steelyard-Warnings`
 * (JSON: `[{"path","message"}]`, ASCII). With `?dryRun=true` the plan is sent, and undefined comes back.
 */
export async function commitChange(
  { control }: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  message: string,
  change: (current: Configuration) => Configuration,
): Promise<CommitResult | undefined> {
  const dryRun = isDryRun(request);
  const result = await control.commit({ author: authorOf(request), message, change, dryRun });
  keepCommit(request, message, result);
  reply.header("Steelyard-Generation", result.generation);
  if (dryRun) {
    await reply.code(200).send(toPlan(result));
    return undefined;
  }
  if (result.warnings.length > 0) reply.header("Steelyard-Warnings", formatWarnings(result.warnings));
  return result;
}

/** Leaves word of a commit on the request, for the audit log. A dry run is none. */
export function keepCommit(request: FastifyRequest, message: string, result: CommitResult): void {
  if (!isDryRun(request)) request.commit = { ...result, message };
}

export function toPlan({ generation, warnings, steps }: CommitResult): z.output<typeof plan> {
  return { generation, warnings: warnings.map(({ path, message }) => ({ path, message })), steps };
}

function formatWarnings(warnings: CommitResult["warnings"]): string {
  const first = warnings.slice(0, greatestWarnings).map(({ path, message }) => ({ path, message }));
  const escapeCharacter = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(first).replace(/[^\x20-\x7e]/g, escapeCharacter);
}

/** Answers with an object and its tag; 304 when the caller has it already. */
export function sendObject(request: FastifyRequest, reply: FastifyReply, object: object, shown: object): FastifyReply {
  reply.header("ETag", entityTag(object));
  const { ifNoneMatch } = conditionsOf(request);
  if (request.method === "GET" && ifNoneMatch !== undefined && listsTag(ifNoneMatch, object))
    return reply.code(304).send();
  return reply.send(shown);
}
