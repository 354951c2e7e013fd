import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { requireConcern } from "../access/changes.ts";
import { requireChange } from "../access/guard.ts";
import { requirePermission } from "../api/authentication.ts";
import {
  authorOf,
  changeQuery,
  commitChange,
  confirmWithin,
  isDryRun,
  keepCommit,
  pendingCommit,
  plan,
  principalOf,
  sendPlan,
  toPlan,
} from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { problemDocument } from "../api/problem.ts";
import { description } from "../configuration/fields.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import type { PendingCommit } from "./control.ts";
import { applyTransaction, listMentions, replaceConfiguration } from "./transaction.ts";

const url = "/api/v1/configuration";
const tags = ["Configuration"];

/** A change that waits for its confirmation. */
export const addConfirmationRoutes: Routes = (app, { control, machine }) => {
  /** To take back what another did is a change of its objects, like a rollback; an own change may go in any case. */
  async function requireReverse(request: FastifyRequest): Promise<void> {
    const pending = control.pending();
    const principal = principalOf(request);
    if (!pending || pending.author === principal.user) return;
    requireOwn(request, pending);
    const before = pending.parent === 0 ? emptyConfiguration() : await control.read(pending.parent);
    requireChange(principal, control.current().configuration, before, machine.now());
  }

  app.get(`${url}/pending`, {
    config: { permission: "configuration:read", errors: ["not-found"] },
    schema: {
      operationId: "getPendingCommit",
      tags,
      summary: "Read the change that awaits its confirmation",
      description: "404 when there is none.",
      response: { 200: pendingCommit, default: problemDocument },
    },
    handler: async () => {
      const pending = control.pending();
      if (!pending) throw new SteelyardError("not-found", "no change awaits its confirmation");
      return pending;
    },
  });

  app.post(`${url}/confirm`, {
    config: { permission: "configuration:commit", errors: ["not-found", "stale"] },
    schema: {
      operationId: "confirmConfiguration",
      tags,
      summary: "Confirm the pending change: it stays",
      description: "404 when there is none, 412 when it is not the generation that the body names.",
      querystring: dryRunQuery,
      body: z
        .strictObject({
          generation: z
            .int("expected the number of a generation")
            .optional()
            .describe("The one that is meant; refused when another is pending"),
        })
        .meta({ examples: [{ generation: 7 }] }),
      response: {
        200: z.union([pendingCommit, plan]).describe("What was confirmed; for a dry run, the plan"),
        default: problemDocument,
      },
    },
    handler: async (request, reply) => {
      const { generation } = request.body as { generation?: number };
      requireOwn(request, control.pending());
      if (!isDryRun(request)) return reply.send(await control.confirm(authorOf(request), generation));
      const { generation: number, message } = requirePending(control.pending(), generation);
      const summary = `generation ${number} stays: ${message}`;
      return sendSteps(reply, control, [{ subsystem: "commit", kind: "confirm", summary }]);
    },
  });

  app.post(`${url}/pending/revert`, {
    config: { permission: "configuration:commit", errors: ["not-found", "corrupt"] },
    schema: {
      operationId: "revertPendingCommit",
      tags,
      summary: "Take the pending change back now",
      description:
        "The confirmed configuration comes back as a new generation, as it would when the time is up. What cannot be applied is tried again.",
      querystring: dryRunQuery,
      response: { 200: plan, default: problemDocument },
    },
    handler: async (request, reply) => {
      await requireReverse(request);
      if (isDryRun(request)) {
        const { parent } = requirePending(control.pending());
        if (parent > 0) {
          const result = await control.rollback(parent, authorOf(request), { dryRun: true });
          // That a change awaits its confirmation is why it is taken back, and going back awaits none.
          const warnings = result.warnings.filter(({ path }) => path !== "pending");
          return sendPlan(reply, { ...result, warnings, confirmWithin: 0, reasons: [] });
        }
        const summary = "the first boot begins again";
        return sendSteps(reply, control, [{ subsystem: "commit", kind: "revert", summary }]);
      }
      const result = await control.revert(authorOf(request));
      keepCommit(request, reply, "take the pending change back", result);
      return reply.send(toPlan(result));
    },
  });
};

/** Whether what is stored is what was committed. */
export const addVerificationRoute: Routes = (app, { control }) => {
  app.get(`${url}/verify`, {
    config: { permission: "configuration:read" },
    schema: {
      operationId: "verifyConfiguration",
      tags,
      summary: "Check every generation against its hash and the chain of hashes",
      description:
        "Reads all of them again. A problem tells that files were damaged or altered, or that the metadata were.",
      response: {
        200: z
          .object({
            whole: z.boolean().describe("true: nothing is wrong with any generation"),
            generations: z
              .array(
                z.object({
                  generation: z.int().describe("Number of the generation"),
                  problem: z.string().optional().describe("What is wrong with it"),
                }),
              )
              .describe("Newest first"),
          })
          .meta({ id: "Verification", examples: [{ whole: true, generations: [{ generation: 7 }] }] }),
        default: problemDocument,
      },
    },
    handler: async () => {
      const generations = await control.verify();
      return { whole: generations.every(({ problem }) => problem === undefined), generations };
    },
  });
};

/** Bytes: a thousand farms of ten backends take 1.5 MB. */
const greatestTransaction = 16 * 1024 * 1024;

const objectPath = z
  .string()
  .max(128, "expected the path of an object, like farms/web")
  .describe("Path of the object in a generation: farms/web, network/interfaces/nic0, system")
  .meta({ examples: ["farms/web"] });

const objectChange = z
  .discriminatedUnion(
    "op",
    [
      z.strictObject({
        op: z.literal("put").describe("Makes the object, or replaces it whole"),
        object: objectPath,
        value: z.looseObject({}).describe("The object, without its name; (hidden) keeps a secret as it is"),
      }),
      z.strictObject({
        op: z.literal("patch").describe("Changes fields: JSON merge patch, RFC 7396"),
        object: objectPath,
        value: z.looseObject({}).describe("The fields to change; null takes a field back to its default"),
      }),
      z.strictObject({ op: z.literal("delete").describe("Deletes the object"), object: objectPath }),
    ],
    "expected op to be put, patch or delete",
  )
  .meta({ id: "ObjectChange" });

const transaction = z
  .strictObject({
    message: description.min(1, "expected some words").describe("What the change is for; stands in the history"),
    generation: z
      .int("expected the number of a generation")
      .min(0, "expected the number of a generation")
      .optional()
      .describe("The generation the change was made from; when another is current by now, it is refused"),
    confirmWithin: confirmWithin.optional(),
    changes: z
      .array(objectChange)
      .max(100_000, "expected at most 100000 changes")
      .optional()
      .describe("Carried out in their order, all or none"),
    replace: z
      .looseObject({})
      .optional()
      .describe("In place of changes: the whole configuration as GET /api/v1/configuration shows it"),
  })
  .refine(
    ({ changes, replace }) => (changes === undefined) !== (replace === undefined),
    "expected either changes or replace",
  )
  .meta({
    id: "Transaction",
    examples: [
      {
        message: "move web to the new servers",
        generation: 7,
        changes: [
          { op: "patch", object: "farms/web", value: { backends: { b1: { address: "198.51.100.7" } } } },
          { op: "delete", object: "farms/old" },
        ],
      },
    ],
  });

/** Many objects in one commit. */
export const addTransactionRoutes: Routes = (app, context) => {
  app.post("/api/v1/transactions", {
    bodyLimit: greatestTransaction,
    config: { permission: "configuration:commit" },
    schema: {
      operationId: "commitTransaction",
      tags,
      summary: "Change many objects in one commit",
      description:
        "All or nothing: one generation, one plan. Every problem of every object is told at once. Each change needs the permission of its own route.",
      querystring: changeQuery,
      body: transaction,
      response: { 200: plan, default: problemDocument },
    },
    handler: async (request, reply) => {
      const body = request.body as z.output<typeof transaction>;
      const options = { confirmWithin: body.confirmWithin, ...optional("madeFrom", body.generation) };
      const change = (current: Configuration) => {
        requireConcern(principalOf(request), current, listMentions(body));
        return body.replace
          ? replaceConfiguration(current, body.replace)
          : applyTransaction(current, body.changes ?? []);
      };
      const result = await commitChange(context, request, reply, body.message, change, options);
      return result ? reply.send(toPlan(result)) : reply;
    },
  });
};

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [name in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [name in Key]?: Value });
}

/** Throws what confirming would throw. */
function requirePending(pending: PendingCommit | undefined, generation = pending?.generation): PendingCommit {
  if (!pending) throw new SteelyardError("not-found", "no change awaits its confirmation");
  if (pending.generation === generation) return pending;
  throw new SteelyardError("stale", `the pending generation is ${pending.generation}`);
}

/** Whoever may commit decides on an own change; on that of another, who may change any configuration. */
function requireOwn({ principal }: FastifyRequest, pending: PendingCommit | undefined): void {
  if (principal && pending && pending.author !== principal.user) requirePermission(principal, "configuration:update");
}
