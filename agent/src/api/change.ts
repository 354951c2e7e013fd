import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { requireChange } from "../access/guard.ts";
import type { Principal } from "../access/permissions.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Author, CommitRequest, CommitResult } from "../commit/control.ts";
import type { Configuration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import type { ApiContext } from "./context.ts";
import { type Conditions, entityTag, listsWeakly } from "./entity-tag.ts";
import { problem } from "./problem.ts";

/** Every change goes through here: a commit in the name of the caller, and its answer. */

const expectedMinutes = "expected a whole number of minutes from 0 to 1440";

const aboutConfirmation =
  "Minutes in which the change has to be confirmed, or it goes back by itself; 0: never. Left out, only a change made over the network that can cut off the operator has to be confirmed, within 5 minutes";

export const confirmWithin = z
  .int(expectedMinutes)
  .min(0, expectedMinutes)
  .max(1440, expectedMinutes)
  .describe(aboutConfirmation);

export const changeQuery = z.strictObject({
  dryRun: z
    .enum(["true", "false"], "expected true or false")
    .default("false")
    .transform((text) => text === "true")
    .describe("true: check everything, change nothing, answer with the plan"),
  confirmWithin: z.coerce.number(expectedMinutes).pipe(confirmWithin).optional().describe(aboutConfirmation),
  force: z
    .enum(["true", "false"], "expected true or false")
    .default("false")
    .transform((text) => text === "true")
    .describe("true: take addresses that another host has; the audit log says so"),
});

export const warnings = z.array(problem).describe("What is allowed, and perhaps not meant");

export const pendingCommit = z
  .object({
    generation: z.int().describe("The generation that is current until then"),
    parent: z
      .int()
      .describe("The confirmed generation, whose content comes back; 0: none, the first boot begins again"),
    author: z.string().describe("Who made the change"),
    source: z
      .string()
      .describe("Address of the client (ssh and an address: the command on the box, over SSH), or local"),
    message: z.string().describe("What the change does"),
    time: z.iso.datetime().describe("When the change was made"),
    deadline: z.iso.datetime().describe("When it goes back unless it is confirmed"),
    reasons: z.array(z.string()).describe("How the change can cut off an operator; none when asked for"),
  })
  .meta({
    id: "PendingCommit",
    examples: [
      {
        generation: 8,
        parent: 7,
        author: "admin",
        source: "192.0.2.7",
        message: "change interface nic0",
        time: "2026-01-02T03:04:05.000Z",
        deadline: "2026-01-02T03:09:05.000Z",
        reasons: ["the interface nic0 is used for management"],
      },
    ],
  });

export const difference = z
  .object({
    object: z.string().describe("Such as farms/web"),
    change: z.enum(["added", "removed", "changed"]).describe("What became of it"),
    text: z.string().describe("Unified diff of its YAML"),
  })
  .meta({
    id: "Difference",
    examples: [{ object: "farms/web", change: "changed", text: '@@ -4,1 +4,1 @@\n-  - "80"\n+  - "81"\n' }],
  });

/** What a dry run answers, a rollback and a transaction. */
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
    confirmWithin: z.int().describe("Minutes in which the change has to be confirmed, or it goes back; 0: it stays"),
    reasons: z.array(z.string()).describe("How the change can cut off an operator who works over the network"),
    differences: z.array(difference).optional().describe("Of a dry run: what would change, object by object"),
    pending: pendingCommit.optional().describe("The change, when it was made and has to be confirmed"),
  })
  .meta({
    id: "Plan",
    examples: [
      {
        generation: 7,
        warnings: [],
        steps: [{ subsystem: "l4", kind: "put-farm", summary: "add farm web" }],
        confirmWithin: 0,
        reasons: [],
      },
    ],
  });

/** Header fields hold 8 KiB in most clients; the first warnings are enough to act on. */
const greatestWarnings = 20;

/** The user and address of a request that has passed the authentication hook. */
export function authorOf(request: FastifyRequest): Author {
  const { user, source } = principalOf(request);
  return { user, source };
}

export function principalOf({ principal }: FastifyRequest): Principal {
  if (!principal) throw new SteelyardError("unauthenticated", "log in first");
  return principal;
}

export function conditionsOf({ headers }: FastifyRequest): Conditions {
  return { ifMatch: headers["if-match"], ifNoneMatch: headers["if-none-match"] };
}

export function isDryRun({ query }: FastifyRequest): boolean {
  return (query as z.output<typeof changeQuery>).dryRun;
}

export function confirmWithinOf({ query }: FastifyRequest): number | undefined {
  return (query as z.output<typeof changeQuery>).confirmWithin;
}

export function isForced({ query }: FastifyRequest): boolean {
  return (query as z.output<typeof changeQuery>).force;
}

/**
 * Commits a change and prepares the answer: headers `Steelyard-Generation`, `Steelyard-Confirm-Before` (RFC 3339) when it has
 * to be confirmed and, when there are any, `Steelyard-Warnings` (JSON: `[{"path","message"}]`, ASCII). Throws `forbidden` when the
 * caller may not change one of the objects that differ. With `?dryRun=true` the plan is sent, and undefined comes back.
 */
export async function commitChange(
  { control, machine }: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  message: string,
  change: (current: Configuration) => Configuration,
  options: Pick<CommitRequest, "confirmWithin" | "madeFrom"> = {},
): Promise<CommitResult | undefined> {
  const dryRun = isDryRun(request);
  const confirmWithin = options.confirmWithin ?? confirmWithinOf(request);
  const guarded = guardChange(principalOf(request), machine, change);
  const author = authorOf(request);
  const force = isForced(request);
  const result = await control.commit({ author, message, change: guarded, dryRun, force, ...options, confirmWithin });
  keepCommit(request, reply, message, result);
  if (dryRun) {
    await sendPlan(reply, result);
    return undefined;
  }
  return result;
}

/** The change, refused when it touches an object that the principal may not change so. For whoever calls `commit` itself. */
export function guardChange(
  principal: Principal,
  { now }: Pick<Machine, "now">,
  change: (current: Configuration) => Configuration,
): (current: Configuration) => Configuration {
  return (current) => {
    const wanted = change(current);
    requireChange(principal, current, wanted, now());
    return wanted;
  };
}

/** Tells the client of a commit in headers, and the audit log by the request. A dry run is no commit. */
export function keepCommit(request: FastifyRequest, reply: FastifyReply, message: string, result: CommitResult): void {
  reply.header("Steelyard-Generation", result.generation);
  if (isDryRun(request)) return;
  request.commit = { ...result, message };
  if (result.pending) reply.header("Steelyard-Confirm-Before", result.pending.deadline);
  if (result.warnings.length > 0) reply.header("Steelyard-Warnings", formatWarnings(result.warnings));
}

/** The answer to a dry run: what would be done, and what would differ. */
export function sendPlan(reply: FastifyReply, result: CommitResult): FastifyReply {
  return reply.code(200).send({ ...toPlan(result), differences: result.compare() });
}

export function toPlan({ compare: _compare, forced: _forced, warnings, ...rest }: CommitResult): z.output<typeof plan> {
  return { ...rest, warnings: warnings.map(({ path, message }) => ({ path, message })) };
}

function formatWarnings(warnings: CommitResult["warnings"]): string {
  const first = warnings.slice(0, greatestWarnings).map(({ path, message }) => ({ path, message }));
  const escapeCharacter = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(first).replace(/[^\x20-\x7e]/g, escapeCharacter);
}

/** Answers with an object and its tag; 304 when the caller has it already. */
export function sendObject(request: FastifyRequest, reply: FastifyReply, object: object, shown: object): FastifyReply {
  return sendTagged(request, reply, entityTag(object), shown);
}

export function sendTagged(request: FastifyRequest, reply: FastifyReply, tag: string, shown: object): FastifyReply {
  reply.header("ETag", tag);
  const { ifNoneMatch } = conditionsOf(request);
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (isRead && ifNoneMatch !== undefined && listsWeakly(ifNoneMatch, tag)) return reply.code(304).send();
  return reply.send(shown);
}
