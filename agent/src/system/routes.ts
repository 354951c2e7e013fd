import { z } from "zod";
import { describeAuditProblem, describeExportWarnings } from "../access/audit/problems.ts";
import { changeQuery, commitChange, conditionsOf, plan, sendObject } from "../api/change.ts";
import { mergePatch, parseObject } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { requireConditions } from "../api/entity-tag.ts";
import { problemDocument } from "../api/problem.ts";
import { describeBackupProblem } from "../backup/problems.ts";
import { applyMergePatch } from "../configuration/merge-patch.ts";
import { type System, system } from "./schema.ts";

const timeStatus = z
  .object({
    synchronized: z.boolean().describe("The clock follows its servers"),
    stratum: z.int().optional().describe("Steps to a reference clock"),
    offset: z.number().optional().describe("Seconds the clock is ahead of true time, as estimated"),
    sources: z
      .array(
        z.object({
          server: z.string().describe("As configured"),
          state: z
            .enum(["selected", "combined", "not-combined", "unreachable", "falseticker", "unstable"])
            .describe("What chrony makes of it; falseticker: the others agree against it"),
          stratum: z.int().describe("Its own; 0 until it has answered"),
          answered: z.int().describe("Of the last eight questions, how many it answered"),
          offset: z.number().describe("Seconds the box was ahead of it when last measured"),
          nts: z.boolean().describe("Its answers are authenticated by NTS"),
        }),
      )
      .describe("Each server"),
  })
  .meta({ id: "ClockStatus" });

/** How the box is. */
export const systemStatus = z
  .object({
    hostname: z.string().describe("Name of the box"),
    node: z.uuid().optional().describe("Id of this box, made once; a clone of a sealed box has its own"),
    version: z.string().describe("Of the appliance"),
    image: z.string().optional().describe("The image it runs, with its profile"),
    slot: z.enum(["a", "b"]).optional().describe("The root slot it runs from; none when it does not run from an image"),
    uptime: z.number().describe("Seconds"),
    time: z.string().describe("RFC 3339, UTC"),
    memory: z
      .object({
        total: z.int().describe("Installed"),
        available: z.int().describe("Free, or free when asked for"),
      })
      .describe("Bytes"),
    load: z.array(z.number()).describe("Mean number of runnable tasks over 1, 5 and 15 minutes"),
    disks: z
      .array(
        z.object({
          path: z.string().describe("Where it is mounted"),
          size: z.int().describe("Bytes"),
          used: z.int().describe("Bytes"),
          available: z.int().describe("Bytes, without those kept for root"),
        }),
      )
      .describe("Bytes; the file systems that fill up"),
    generation: z.int().describe("The current generation of the configuration"),
    health: z.enum(["ok", "degraded"]).describe("degraded: there are problems"),
    problems: z
      .array(z.string())
      .describe(
        "A unit or the last scheduled backup has failed, the audit log cannot be written, another generation stands in for one that cannot be used, or the certificate of the API has expired; none when it is ok",
      ),
    warnings: z
      .array(z.string())
      .describe("What has to be done soon: a certificate expires, a syslog server does not get the audit log"),
    units: z
      .array(
        z.object({
          name: z.string().describe("As systemd calls it"),
          state: z.string().describe("ActiveState of systemd: active, inactive, failed, …"),
        }),
      )
      .describe("The services that matter"),
    failedUnits: z.array(z.string()).describe("Every unit that has failed, be it ours or not"),
    clock: timeStatus.optional().describe("Of the clock and its servers; none while no time servers are configured"),
  })
  .meta({
    id: "SystemStatus",
    examples: [
      {
        hostname: "lb1",
        node: "0d2f6c1e-7b1f-4e0a-9c55-3f6f1f0f8a11",
        version: "0.1.0",
        image: "steelyard-virt 0.1.0",
        slot: "a",
        uptime: 86_400,
        time: "2026-01-01T12:00:00.000Z",
        memory: { total: 2_147_483_648, available: 1_610_612_736 },
        load: [0.1, 0.05, 0.01],
        disks: [{ path: "/config", size: 520_093_696, used: 1_048_576, available: 480_247_808 }],
        generation: 7,
        health: "ok",
        problems: [],
        warnings: [],
        units: [{ name: "steelyard-agent.service", state: "active" }],
        failedUnits: [],
        clock: {
          synchronized: true,
          stratum: 3,
          offset: -0.000012,
          sources: [
            { server: "time.example.com", state: "selected", stratum: 2, answered: 8, offset: 0.000034, nts: true },
          ],
        },
      },
    ],
  });

export type SystemStatus = z.output<typeof systemStatus>;

const url = "/api/v1/system";
const tags = ["System"];
const noun = "the system's settings";
const bodyPath = () => ["system"];

/** The box itself: its settings are one object that always exists. */
export const addSystemRoutes: Routes = (app, context) => {
  const { control, status, jobs, audit, auditExport } = context;

  app.get(url, {
    config: { permission: "system:read", entityTag: true },
    schema: {
      operationId: "getSystem",
      tags,
      summary: "Read the system's settings",
      description: "Host name, DNS, time, static names, proxy, management and SSH: one object that always exists.",
      response: { 200: system, default: problemDocument },
    },
    handler: async (request, reply) => {
      const object = control.current().configuration.system;
      return sendObject(request, reply, object, object);
    },
  });

  app.put(url, {
    config: { permission: "system:update", bodyPath, entityTag: true },
    schema: {
      operationId: "putSystem",
      tags,
      summary: "Replace the system's settings",
      description: "Fields that are left out go back to their defaults.",
      querystring: changeQuery,
      body: system,
      response: { 200: z.union([system, plan]), default: problemDocument },
    },
    handler: async (request, reply) => {
      const object = request.body as System;
      const done = await commitChange(context, request, reply, "replace system", (configuration) => {
        requireConditions(conditionsOf(request), configuration.system, noun);
        return { ...configuration, system: object };
      });
      return done ? sendObject(request, reply, object, object) : reply;
    },
  });

  app.patch(url, {
    config: { permission: "system:update", bodyPath, entityTag: true },
    schema: {
      operationId: "patchSystem",
      tags,
      summary: "Change some of the system's settings (JSON merge patch, RFC 7396)",
      description: "Fields that are left out stay; null takes one back to its default.",
      querystring: changeQuery,
      consumes: ["application/merge-patch+json", "application/json"],
      body: mergePatch.meta({ examples: [{ hostname: "lb2.example.com" }] }),
      response: { 200: z.union([system, plan]), default: problemDocument },
    },
    handler: async (request, reply) => {
      let object: object = {};
      const done = await commitChange(context, request, reply, "change system", (configuration) => {
        requireConditions(conditionsOf(request), configuration.system, noun);
        object = parseObject(system, applyMergePatch(configuration.system, request.body), bodyPath());
        return { ...configuration, system: object as System };
      });
      return done ? sendObject(request, reply, object, object) : reply;
    },
  });

  app.get(`${url}/status`, {
    config: { permission: "system:read" },
    schema: {
      operationId: "getSystemStatus",
      tags,
      summary: "How the box is",
      description: "Version, uptime, memory, disks, the generation in use and the units that matter.",
      response: { 200: systemStatus, default: problemDocument },
    },
    handler: async () => {
      const found = await status.readSystemStatus();
      const { enabled } = control.current().configuration.backups;
      const problems = [
        ...found.problems,
        ...describeBackupProblem(jobs.list(), enabled),
        ...describeAuditProblem(audit.log.unwritten()),
      ];
      const warnings = [...found.warnings, ...describeExportWarnings(auditExport, control.current().configuration)];
      return { ...found, problems, warnings, health: problems.length > 0 ? "degraded" : found.health };
    },
  });
};
