import { z } from "zod";
import { addCollection, type CollectionDefinition } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { collections } from "../configuration/schema.ts";

const origin = z
  .enum(["steelyard", "kernel", "lease", "static", "unmanaged"])
  .describe(
    "Who made it. steelyard: the box, as configured; kernel: with an address; lease: DHCP or a router advertisement; unmanaged: somebody else, and it is left alone",
  );
const family = z.enum(["ipv4", "ipv6"]).describe("Address family");
const table = z
  .string()
  .describe("Name of the table, its number when it has none; an interface's own has the interface's");

/** A route of the kernel; {@link readRoutes} of status.ts reads it. */
export const routeStatus = z
  .object({
    family,
    type: z.string().describe("unicast, blackhole, unreachable or prohibit"),
    destination: z.string().describe("default, or the network"),
    via: z.string().optional().describe("The router"),
    interface: z.string().optional().describe("The interface packets leave by"),
    table,
    metric: z.int().describe("The lower of two routes to one network is used"),
    source: z.string().optional().describe("Address the box sends from"),
    origin,
    text: z.string().describe("As ip-route(8) would be told"),
  })
  .meta({
    id: "RouteStatus",
    examples: [
      {
        family: "ipv4",
        type: "unicast",
        destination: "203.0.113.0/24",
        via: "192.0.2.254",
        interface: "eth0",
        table: "main",
        metric: 0,
        origin: "steelyard",
        text: "unicast 203.0.113.0/24 via 192.0.2.254 dev eth0 table 254 metric 0",
      },
    ],
  });

/** A rule of the kernel; {@link readRules} of status.ts reads it. */
export const ruleStatus = z
  .object({
    family,
    priority: z.int().describe("Rules are asked in rising order"),
    table,
    origin,
    text: z.string().describe("As ip-rule(8) would be told"),
  })
  .meta({
    id: "RuleStatus",
    examples: [
      {
        family: "ipv4",
        priority: 29_100,
        table: "partner",
        origin: "steelyard",
        text: "priority 29100 from 198.51.100.0/24 lookup 100",
      },
    ],
  });

export type RouteStatus = z.output<typeof routeStatus>;
export type RuleStatus = z.output<typeof ruleStatus>;

const routeStatuses = defineList(routeStatus, { sort: "family,table,destination,metric" });
const ruleStatuses = defineList(ruleStatus, { sort: "family,priority" });

type Name = "routingTables" | "routingRules" | "routingRoutes";

function define(
  name: Name,
  rest: Pick<CollectionDefinition, "url" | "parameter" | "noun" | "command" | "operation" | "example">,
): CollectionDefinition {
  return {
    ...rest,
    name: collections[name].name,
    object: collections[name].object,
    resource: "network",
    tag: "Routing",
    read: (configuration) => configuration[name],
    replace: (configuration, _parameters, objects) => ({ ...configuration, [name]: objects }),
    path: () => [name],
  };
}

const definitions = [
  define("routingTables", {
    url: "/api/v1/routing/tables",
    parameter: "table",
    noun: "routing table",
    command: "routing table",
    operation: { one: "RoutingTable", many: "RoutingTables" },
    example: { name: "partner", id: 100 },
  }),
  define("routingRules", {
    url: "/api/v1/routing/rules",
    parameter: "rule",
    noun: "routing rule",
    command: "routing rule",
    operation: { one: "RoutingRule", many: "RoutingRules" },
    example: { name: "from-partner", priority: 29_100, from: "198.51.100.0/24", table: "partner" },
  }),
  define("routingRoutes", {
    url: "/api/v1/routing/routes",
    parameter: "route",
    noun: "route",
    command: "routing route",
    operation: { one: "Route", many: "Routes" },
    example: { name: "partner", destination: "203.0.113.0/24", via: "192.0.2.254", interface: "eth0" },
  }),
];

/** Routing tables, rules and routes, and what the kernel has of them. */
export const addRoutingRoutes: Routes = (app, context) => {
  for (const definition of definitions) addCollection(app, context, definition);
  app.get("/api/v1/routing/status/routes", {
    config: { permission: "network:read" },
    schema: {
      ...{ "x-command": "routing status routes" },
      operationId: "listRouteStatuses",
      tags: ["Routing"],
      summary: "The routes the kernel has, and who made each",
      description:
        "Of every table but the kernel's own table of local addresses. `origin=unmanaged`: those that are left alone.",
      querystring: routeStatuses.query,
      response: { 200: routeStatuses.answer, default: problemDocument },
    },
    handler: async (request, reply) => routeStatuses.send(request, reply, await context.status.readRoutes()),
  });
  app.get("/api/v1/routing/status/rules", {
    config: { permission: "network:read" },
    schema: {
      ...{ "x-command": "routing status rules" },
      operationId: "listRuleStatuses",
      tags: ["Routing"],
      summary: "The routing rules the kernel has, and who made each",
      description: "In the order in which the kernel asks them.",
      querystring: ruleStatuses.query,
      response: { 200: ruleStatuses.answer, default: problemDocument },
    },
    handler: async (request, reply) => ruleStatuses.send(request, reply, await context.status.readRules()),
  });
};
