import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { requirePermission } from "../api/authentication.ts";
import { authorOf, keepCommit, pendingCommit, plan, toPlan } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import type { PendingCommit } from "./control.ts";

const url = "/api/v1/configuration";
const tags = ["Configuration"];

/** A change that waits for its confirmation. */
export const addConfirmationRoutes: Routes = (app, { control }) => {
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
      body: z
        .strictObject({
          generation: z
            .int("expected the number of a generation")
            .optional()
            .describe("The one that is meant; refused when another is pending"),
        })
        .meta({ examples: [{ generation: 7 }] }),
      response: { 200: pendingCommit.describe("What was confirmed"), default: problemDocument },
    },
    handler: async (request) => {
      const { generation } = request.body as { generation?: number };
      requireOwn(request, control.pending());
      return await control.confirm(authorOf(request), generation);
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
      response: { 200: plan, default: problemDocument },
    },
    handler: async (request, reply) => {
      requireOwn(request, control.pending());
      const result = await control.revert(authorOf(request));
      keepCommit(request, reply, "take the pending change back", result);
      return reply.send(toPlan(result));
    },
  });
};

/** Whoever may commit decides on an own change; on that of another, who may change any configuration. */
function requireOwn({ principal }: FastifyRequest, pending: PendingCommit | undefined): void {
  if (principal && pending && pending.author !== principal.user) requirePermission(principal, "configuration:update");
}
