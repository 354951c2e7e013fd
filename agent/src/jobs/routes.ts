import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { isPermitted } from "../access/permissions.ts";
import { requirePermission } from "../api/authentication.ts";
import { isDryRun, plan, principalOf } from "../api/change.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { SteelyardError } from "../errors.ts";
import { isEnded, type Job, job, jobId, jobLine } from "./schema.ts";

export const jobsUrl = "/api/v1/jobs";
const tags = ["Jobs"];
const parameters = z.strictObject({ job: jobId });
const jobs = defineList(job, { sort: "-created" });
const lines = defineList(jobLine);

/** Where whoever started a job follows it. */
export const locationOf = ({ id }: Pick<Job, "id">) => `${jobsUrl}/${id}`;

const stepOn = (verb: "cancel" | "forget", { id, title }: Job) => ({
  subsystem: "jobs",
  kind: `${verb}-job`,
  summary: `${verb} job ${id}: ${title}`,
});

/** Everybody sees and cancels the own jobs; those of others take the permissions of jobs. */
export const addJobRoutes: Routes = (app, context) => {
  const find = (request: FastifyRequest): Job => {
    const { job: id } = request.params as { job: string };
    const principal = principalOf(request);
    const found = context.jobs.find(id);
    if (!found || (found.owner !== principal.user && !isPermitted(principal, "jobs:read")))
      throw new SteelyardError("not-found", `there is no job ${id}`);
    return found;
  };
  const requireOwn = (request: FastifyRequest, { owner }: Job, permission: "jobs:cancel" | "jobs:delete") => {
    const principal = principalOf(request);
    if (owner !== principal.user) requirePermission(principal, permission);
  };

  app.get(jobsUrl, {
    config: { permission: "self:read" },
    schema: {
      operationId: "listJobs",
      tags,
      summary: "List jobs",
      description:
        "Newest first: the caller's own; everybody's for whom jobs:read is permitted. Of those that have ended the last 100 are kept, also over a restart.",
      querystring: jobs.query,
      response: { 200: jobs.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request);
      const all = isPermitted(principal, "jobs:read");
      return jobs.send(
        request,
        reply,
        context.jobs.list().filter(({ owner }) => all || owner === principal.user),
      );
    },
  });

  app.get(`${jobsUrl}/:job`, {
    config: { permission: "self:read" },
    schema: {
      operationId: "getJob",
      tags,
      summary: "Read a job: its state, how far it is, and what it made",
      description: "The events of the topic jobs tell of each change as it happens.",
      params: parameters,
      response: { 200: job, default: problemDocument },
    },
    handler: async (request) => find(request),
  });

  app.get(`${jobsUrl}/:job/log`, {
    config: { permission: "self:read" },
    schema: {
      operationId: "getJobLog",
      ...{ "x-command": "none" },
      tags,
      summary: "Read the log of a job",
      description: "At most 500 lines; the last 20 after a restart of the agent.",
      params: parameters,
      querystring: lines.query,
      response: { 200: lines.answer, default: problemDocument },
    },
    handler: async (request, reply) => lines.send(request, reply, context.jobs.log(find(request).id)),
  });

  app.post(`${jobsUrl}/:job/cancel`, {
    config: { permission: "self:update" },
    schema: {
      operationId: "cancelJob",
      tags,
      summary: "Cancel a job",
      description:
        "It ends soon and leaves nothing behind; one that has ended stays as it is. That of another user takes jobs:cancel.",
      params: parameters,
      querystring: dryRunQuery,
      response: { 200: z.union([job, plan]).describe("The job; for a dry run, the plan"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const found = find(request);
      requireOwn(request, found, "jobs:cancel");
      if (isDryRun(request)) return sendSteps(reply, context.control, isEnded(found) ? [] : [stepOn("cancel", found)]);
      return reply.send(context.jobs.cancel(found.id) ?? found);
    },
  });

  app.delete(`${jobsUrl}/:job`, {
    config: { permission: "self:delete", errors: ["unended"] },
    schema: {
      operationId: "deleteJob",
      tags,
      summary: "Forget a job that has ended",
      description: "409 while it has not: cancel it first. That of another user takes jobs:delete.",
      params: parameters,
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 204: z.null().describe("Forgotten"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const found = find(request);
      requireOwn(request, found, "jobs:delete");
      if (!isEnded(found)) throw new SteelyardError("unended", `job ${found.id} has not ended: cancel it first`);
      if (isDryRun(request)) return sendSteps(reply, context.control, [stepOn("forget", found)]);
      context.jobs.forget(found.id);
      return reply.code(204).send();
    },
  });
};
