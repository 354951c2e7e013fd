import { z } from "zod";
import { isDryRun } from "../api/change.ts";
import { addCollection, type CollectionDefinition } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { objectName } from "../configuration/fields.ts";
import { type Configuration, collections } from "../configuration/schema.ts";
import { SteelyardError } from "../errors.ts";
import { type UplinkFarm, uplink } from "./schema.ts";

/** What the kernel does for a farm of uplinks; {@link readUplinkStatuses} of status.ts reads it. */
export const uplinkFarmStatus = z
  .object({
    name: z.string().describe("The farm"),
    state: z.enum(["up", "down", "disabled"]).describe("up: at least one uplink takes new connections"),
    uplinks: z
      .array(
        z.object({
          name: z.string().describe("The uplink"),
          interface: z.string().describe("Interface towards the gateway"),
          gateway: z.string().describe("Its gateway"),
          state: z
            .enum(["used", "standby", "maintenance", "down", "dead", "waiting", "no-link"])
            .describe(
              "used: takes new connections; standby: another priority is used; maintenance, down: as set; dead: its probes fail; waiting: up again, waits for its return; no-link: its interface has no carrier",
            ),
          since: z.string().optional().describe("Since when its probes say so (RFC 3339); none without probes"),
          failures: z.array(z.string()).describe("What did not answer in the last round"),
          connections: z.int().describe("Connections that go out by it now"),
          sentBytes: z.int().describe("Of its connections, since the set of uplinks last changed"),
          receivedBytes: z.int().describe("Of its connections, since the set of uplinks last changed"),
        }),
      )
      .describe("Each uplink"),
  })
  .meta({
    id: "UplinkFarmStatus",
    examples: [
      {
        name: "isp",
        state: "up",
        uplinks: [
          {
            name: "fibre",
            interface: "nic1",
            gateway: "192.0.2.1",
            state: "used",
            since: "2026-01-02T03:04:05.000Z",
            failures: [],
            connections: 120,
            sentBytes: 1_234_567,
            receivedBytes: 9_876_543,
          },
        ],
      },
    ],
  });

export type UplinkFarmStatus = z.output<typeof uplinkFarmStatus>;

const farms: CollectionDefinition = {
  url: "/api/v1/dslb/farms",
  parameter: "farm",
  name: collections.uplinkFarms.name,
  object: collections.uplinkFarms.object,
  resource: "network",
  tag: "Uplinks",
  noun: "uplink farm",
  command: "dslb farm",
  operation: { one: "UplinkFarm", many: "UplinkFarms" },
  example: {
    name: "isp",
    interfaces: ["nic0"],
    probes: { resolver: { type: "dns", address: "203.0.113.53" } },
    uplinks: {
      fibre: { interface: "nic1", gateway: "192.0.2.1", weight: 3 },
      cable: { interface: "nic2", gateway: "198.51.100.1" },
    },
  },
  read: (configuration) => configuration.uplinkFarms,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    uplinkFarms: objects as Configuration["uplinkFarms"],
  }),
  path: () => ["uplinkFarms"],
};

const uplinks: CollectionDefinition = {
  url: "/api/v1/dslb/farms/:farm/uplinks",
  parameter: "uplink",
  name: objectName,
  parents: { farm: objectName },
  object: uplink,
  resource: "network",
  tag: "Uplinks",
  noun: "uplink",
  command: "dslb uplink",
  operation: { one: "Uplink", many: "Uplinks" },
  example: { name: "radio", interface: "nic3", gateway: "203.0.113.1", weight: 1 },
  read: (configuration, { farm = "" }) => findFarm(configuration, farm).uplinks,
  replace: (configuration, { farm = "" }, objects) => ({
    ...configuration,
    uplinkFarms: {
      ...configuration.uplinkFarms,
      [farm]: { ...findFarm(configuration, farm), uplinks: objects as UplinkFarm["uplinks"] },
    },
  }),
  path: ({ farm = "" }) => ["uplinkFarms", farm, "uplinks"],
};

const statuses = defineList(uplinkFarmStatus, { sort: "name" });

/** Farms of uplinks, what the kernel has of them, and the return of an uplink by hand. */
export const addUplinkRoutes: Routes = (app, context) => {
  addCollection(app, context, farms);
  addCollection(app, context, uplinks);
  app.get("/api/v1/dslb/status", {
    config: { permission: "network:read" },
    schema: {
      ...{ "x-command": "dslb status" },
      operationId: "listUplinkStatuses",
      tags: ["Uplinks"],
      summary: "What the kernel does for the farms of uplinks",
      description: "State, probes, connections and bytes of each uplink.",
      querystring: statuses.query,
      response: { 200: statuses.answer, default: problemDocument },
    },
    handler: async (request, reply) => statuses.send(request, reply, await context.status.readUplinkStatuses()),
  });
  app.post("/api/v1/dslb/farms/:farm/uplinks/:uplink/return", {
    config: { permission: "network:update", errors: ["not-found"] },
    schema: {
      ...{ "x-command": "dslb uplink return" },
      operationId: "returnUplink",
      tags: ["Uplinks"],
      summary: "Use an uplink again that waits for its return",
      description:
        "For farms whose uplinks return manually, and to end a hold time early. 404 when the uplink does not wait.",
      params: z.strictObject({
        farm: objectName.describe("Name of the uplink farm"),
        uplink: objectName.describe("Name of the uplink"),
      }),
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 204: z.null().describe("It takes new connections"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const { farm, uplink: name } = request.params as { farm: string; uplink: string };
      const dryRun = isDryRun(request);
      const found = dryRun ? await isWaiting(farm, name) : await context.status.returnUplink(farm, name);
      if (!found) throw new SteelyardError("not-found", `there is no uplink ${farm}/${name} that waits for its return`);
      if (!dryRun) return reply.status(204).send(null);
      const summary = `uplink ${farm}/${name} takes new connections again`;
      return sendSteps(reply, context.control, [{ subsystem: "dslb", kind: "return-uplink", summary }]);
    },
  });

  async function isWaiting(farm: string, name: string): Promise<boolean> {
    const found = (await context.status.readUplinkStatuses()).find((each) => each.name === farm);
    return found?.uplinks.some((each) => each.name === name && each.state === "waiting") ?? false;
  }
};

function findFarm({ uplinkFarms }: Configuration, name: string): UplinkFarm {
  const farm = Object.hasOwn(uplinkFarms, name) ? uplinkFarms[name] : undefined;
  if (!farm) throw new SteelyardError("not-found", `there is no uplink farm ${name}`);
  return farm;
}
