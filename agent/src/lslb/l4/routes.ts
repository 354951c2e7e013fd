import { z } from "zod";
import { isPermitted } from "../../access/permissions.ts";
import { principalOf } from "../../api/change.ts";
import { addCollection, type CollectionDefinition } from "../../api/collection.ts";
import type { Routes } from "../../api/context.ts";
import { defineList } from "../../api/list.ts";
import { problemDocument } from "../../api/problem.ts";
import { objectName } from "../../configuration/fields.ts";
import { type Configuration, collections, type Farm } from "../../configuration/schema.ts";
import { SteelyardError } from "../../errors.ts";
import { l4Backend } from "./schema.ts";

/** What the kernel does for a farm; {@link readFarmStatuses} of status.ts reads it. */
export const farmStatus = z
  .object({
    name: z.string().describe("The farm"),
    state: z.enum(["up", "down", "disabled"]).describe("up: at least one backend takes new connections"),
    backends: z
      .array(
        z.object({
          name: z.string().describe("The backend"),
          address: z.string().describe("Address of the server"),
          port: z.int().optional().describe("Left out: the port the client asked for"),
          state: z.enum(["up", "maintenance", "down"]).describe("What the operator set"),
          effective: z
            .enum(["up", "standby", "maintenance", "down", "disabled"])
            .describe(
              "What the kernel does. up: takes new connections; standby: waits for its priority's turn; maintenance: keeps the connections it has; down: has no rule; disabled: of a farm that is not enabled",
            ),
          connections: z.int().describe("Connections to it now; of tcp, the established ones"),
        }),
      )
      .describe("Each backend, in the order of the configuration"),
  })
  .meta({
    id: "FarmStatus",
    examples: [
      {
        name: "web",
        state: "up",
        backends: [
          { name: "b1", address: "198.51.100.1", port: 80, state: "up", effective: "up", connections: 12 },
          {
            name: "b2",
            address: "198.51.100.2",
            port: 80,
            state: "maintenance",
            effective: "maintenance",
            connections: 1,
          },
        ],
      },
    ],
  });

export type FarmStatus = z.output<typeof farmStatus>;

const farmExample = {
  name: "web",
  profile: "l4xnat",
  virtualAddresses: ["192.0.2.10"],
  ports: ["80"],
  backends: { b1: { address: "198.51.100.1", port: 80 }, b2: { address: "198.51.100.2", port: 80, weight: 3 } },
};

const farms: CollectionDefinition = {
  url: "/api/v1/farms",
  parameter: "farm",
  name: collections.farms.name,
  object: collections.farms.object,
  resource: "farms",
  binding: { kind: "farms", parameter: "farm" },
  tag: "Farms",
  noun: "farm",
  operation: { one: "Farm", many: "Farms" },
  example: farmExample,
  read: (configuration) => configuration.farms,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    farms: objects as Configuration["farms"],
  }),
  path: () => ["farms"],
};

const backends: CollectionDefinition = {
  url: "/api/v1/farms/:farm/backends",
  parameter: "backend",
  name: objectName,
  parents: { farm: objectName },
  object: l4Backend,
  resource: "farms",
  binding: { kind: "farms", parameter: "farm" },
  tag: "Farms",
  noun: "backend",
  operation: { one: "Backend", many: "Backends" },
  example: { name: "b3", address: "198.51.100.3", port: 80, weight: 2 },
  read: (configuration, { farm = "" }) => findFarm(configuration, farm).backends,
  replace: (configuration, { farm = "" }, objects) => ({
    ...configuration,
    farms: {
      ...configuration.farms,
      [farm]: { ...findFarm(configuration, farm), backends: objects as Farm["backends"] },
    },
  }),
  path: ({ farm = "" }) => ["farms", farm, "backends"],
};

const statuses = defineList(farmStatus, { sort: "name" });

/** Farms, their backends, and what the data plane has of them. */
export const addFarmRoutes: Routes = (app, context) => {
  addCollection(app, context, farms);
  addCollection(app, context, backends);
  app.get("/api/v1/farms/:farm/status", {
    config: { permission: "farms:read", object: { kind: "farms", parameter: "farm" } },
    schema: {
      operationId: "getFarmStatus",
      tags: ["Farms"],
      summary: "What the data plane really has of a farm",
      description: "Read from the rules and the connections of the kernel, not from the configuration.",
      params: z.strictObject({ farm: objectName.describe("Name of the farm") }),
      response: { 200: farmStatus, default: problemDocument },
    },
    handler: async (request) => {
      const { farm } = request.params as { farm: string };
      findFarm(context.control.current().configuration, farm);
      const [status] = await context.status.readFarmStatuses([farm]);
      return status;
    },
  });
  app.get("/api/v1/status/farms", {
    config: { permission: "farms:read", object: "some" },
    schema: {
      // `steelyard status` shows it.
      ...{ "x-command": "none" },
      operationId: "listFarmStatuses",
      tags: ["Farms"],
      summary: "What the data plane really has of the farms, read in one go",
      description:
        "The kernel's rules are read once, whatever the number of farms: for many farms ask here, not farm by farm.",
      querystring: statuses.query,
      response: { 200: statuses.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const visible = Object.keys(context.control.current().configuration.farms).filter((name) =>
        isPermitted(principalOf(request), "farms:read", { name }),
      );
      return statuses.send(request, reply, await context.status.readFarmStatuses(visible));
    },
  });
};

function findFarm({ farms }: Configuration, name: string): Farm {
  const farm = Object.hasOwn(farms, name) ? farms[name] : undefined;
  if (!farm) throw new SteelyardError("not-found", `there is no farm ${name}`);
  return farm;
}
