import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { requirePermission } from "../../api/authentication.ts";
import { changeQuery, isDryRun, isForced, plan, principalOf } from "../../api/change.ts";
import type { Routes } from "../../api/context.ts";
import { dryRunQuery, sendSteps } from "../../api/dry-run.ts";
import { problemDocument } from "../../api/problem.ts";
import { objectName } from "../../configuration/fields.ts";
import { checkHold, findVirtualAddress, holdAddress, readHoldStatus, releaseAddress } from "./move.ts";

/** Floating addresses: a virtual address is given up and taken again, so that it moves between two boxes. */

const url = "/api/v1/network/virtual-addresses/:address";
const params = z.strictObject({ address: objectName.describe("Name of the virtual address") });
const status = z
  .object({
    held: z.boolean().describe("false: this node has given it up; farms on it stay configured"),
    present: z.boolean().describe("Whether the kernel has it"),
    conflict: z.string().optional().describe("MAC of another host that has it too"),
  })
  .meta({ id: "VirtualAddressStatus", examples: [{ held: true, present: true }] });

const answer = z.union([status, plan]).describe("The virtual address; for a dry run, the plan");

export const addReleaseRoutes: Routes = (app, { machine, control }) => {
  /** Bound by the interface it stands on, as the object itself is. */
  const nameOf = (request: FastifyRequest, permission: "network:read" | "network:update") => {
    const { address: name } = request.params as z.output<typeof params>;
    const { interface: device } = findVirtualAddress(control, name);
    requirePermission(principalOf(request), permission, { name: device });
    return name;
  };

  app.get(`${url}/status`, {
    config: { permission: "network:read", object: "some" },
    schema: {
      ...{ "x-command": "address status" },
      operationId: "getVirtualAddressStatus",
      tags: ["Network"],
      summary: "Whether this node holds a virtual address",
      description: "What this node has been told, and what the kernel has.",
      params,
      response: { 200: status, default: problemDocument },
    },
    handler: async (request) => await readHoldStatus(machine, control, nameOf(request, "network:read")),
  });

  app.post(`${url}/release`, {
    config: { permission: "network:update", object: "some", errors: ["apply-failed"] },
    schema: {
      ...{ "x-command": "address release" },
      operationId: "releaseVirtualAddress",
      tags: ["Network"],
      summary: "Give a virtual address up, for another box to have it",
      description:
        "It leaves this node and stays away, over restarts too, until it is held again. The configuration does not change: farms on it stay.",
      params,
      querystring: dryRunQuery,
      response: { 200: answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { user } = principalOf(request);
      const name = nameOf(request, "network:update");
      if (!isDryRun(request)) return reply.send(await releaseAddress(machine, control, name, user));
      const { held } = await readHoldStatus(machine, control, name);
      const summary = `virtual address ${name} leaves this node until it is held again`;
      return sendSteps(reply, control, held ? [{ subsystem: "network", kind: "release-address", summary }] : []);
    },
  });

  app.post(`${url}/hold`, {
    config: { permission: "network:update", object: "some", errors: ["apply-failed", "address-taken"] },
    schema: {
      ...{ "x-command": "address hold" },
      operationId: "holdVirtualAddress",
      tags: ["Network"],
      summary: "Take a virtual address that was given up",
      description: "Refused while another host has it, unless forced. Neighbours are told at once.",
      params,
      querystring: changeQuery.pick({ dryRun: true, force: true }),
      response: { 200: answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { user } = principalOf(request);
      const name = nameOf(request, "network:update");
      if (isDryRun(request)) {
        const { held: already } = await readHoldStatus(machine, control, name);
        await checkHold(machine, control, name, isForced(request));
        const summary = `virtual address ${name} comes back to this node, and the neighbours are told`;
        return sendSteps(reply, control, already ? [] : [{ subsystem: "network", kind: "hold-address", summary }]);
      }
      const { forced, ...held } = await holdAddress(machine, control, name, { by: user, force: isForced(request) });
      if (forced.length > 0) request.forced = forced;
      return reply.send(held);
    },
  });
};
