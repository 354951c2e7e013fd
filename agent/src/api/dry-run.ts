import type { FastifyReply } from "fastify";
import type { ConfigurationControl } from "../commit/control.ts";
import { changeQuery, plan } from "./change.ts";

/**
 * Dry runs of what is no commit: an action on the box. The answer is a plan like any other, its steps in words, so that a
 * program reads all dry runs in one way. Everything that could refuse the action has been asked before.
 */

export const dryRunQuery = changeQuery.pick({ dryRun: true });
export const dryRunAnswer = plan.describe("The plan, for a dry run");

export type ActionStep = { subsystem: string; kind: string; summary: string };

export function sendSteps(
  reply: FastifyReply,
  control: Pick<ConfigurationControl, "current">,
  steps: readonly ActionStep[],
): FastifyReply {
  const { generation } = control.current();
  reply.code(200).header("Steelyard-Generation", generation);
  return reply.send({ generation, warnings: [], steps, confirmWithin: 0, reasons: [], differences: [] });
}
