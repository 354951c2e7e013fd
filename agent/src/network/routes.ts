import { z } from "zod";
import { addCollection, type CollectionDefinition } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { problemDocument } from "../api/problem.ts";
import { interfaceName } from "../configuration/fields.ts";
import { type Configuration, collections } from "../configuration/schema.ts";
import { addLinkRoutes, counters, link, linkExample } from "./link-routes.ts";
import { addReleaseRoutes } from "./released/routes.ts";

/** An interface with its gateways and counters; {@link readInterfaceStatus} of status.ts reads it. */
export const interfaceStatus = link
  .extend({
    gateways: z.array(z.string()).describe("Default gateways reached through it"),
    counters,
    bond: z
      .object({
        mode: z.string().describe("As in the configuration"),
        active: z.string().optional().describe("The member that carries the traffic, in modes that use one"),
        members: z
          .array(
            z.object({
              name: z.string().describe("Name of the interface"),
              state: z.enum(["active", "backup"]).describe("Whether it is used"),
              link: z.string().describe("up, going-down, down or going-up"),
              failures: z.int().describe("How often its link was lost since it is a member"),
              aggregator: z.int().optional().describe("The group that LACP has put it into"),
            }),
          )
          .describe("The members"),
        partner: z
          .object({
            mac: z.string().optional().describe("Its system; none when it sends no LACPDU"),
            ports: z.int().describe("Links in the group that is used"),
          })
          .optional()
          .describe("The other end; 802.3ad"),
      })
      .optional()
      .describe("Of a bond"),
    vrf: z
      .object({
        table: z.int().optional().describe("Number of its routing table"),
        members: z.array(z.string()).describe("Interfaces that are kept apart"),
      })
      .optional()
      .describe("Of a VRF"),
  })
  .meta({
    id: "InterfaceStatus",
    examples: [
      {
        ...linkExample,
        gateways: ["192.0.2.1"],
      },
    ],
  });

export type InterfaceStatus = z.output<typeof interfaceStatus>;

const interfaces: CollectionDefinition = {
  url: "/api/v1/network/interfaces",
  parameter: "interface",
  name: collections.interfaces.name,
  object: collections.interfaces.object,
  resource: "network",
  binding: { kind: "interfaces", parameter: "interface" },
  tag: "Network",
  noun: "interface",
  operation: { one: "Interface", many: "Interfaces" },
  example: {
    name: "nic0",
    ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" },
  },
  read: (configuration) => configuration.interfaces,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    interfaces: objects as Configuration["interfaces"],
  }),
  path: () => ["interfaces"],
};

const virtualAddresses: CollectionDefinition = {
  url: "/api/v1/network/virtual-addresses",
  parameter: "address",
  name: collections.virtualAddresses.name,
  object: collections.virtualAddresses.object,
  resource: "network",
  binding: { kind: "interfaces", field: "interface" },
  tag: "Network",
  noun: "virtual address",
  command: "address",
  operation: { one: "VirtualAddress", many: "VirtualAddresses" },
  example: { name: "web", interface: "nic0", address: "192.0.2.10/24" },
  read: (configuration) => configuration.virtualAddresses,
  replace: (configuration, _parameters, objects) => ({
    ...configuration,
    virtualAddresses: objects as Configuration["virtualAddresses"],
  }),
  path: () => ["virtualAddresses"],
};

/** Interfaces, virtual addresses, and the links the machine has. */
export const addNetworkRoutes: Routes = (app, context) => {
  addCollection(app, context, interfaces);
  addCollection(app, context, virtualAddresses);
  app.get("/api/v1/network/interfaces/:interface/status", {
    config: { permission: "network:read", object: { kind: "interfaces", parameter: "interface" } },
    schema: {
      operationId: "getInterfaceStatus",
      tags: ["Network"],
      summary: "What the machine reports of an interface",
      description: "State, addresses, gateways and counters, read from the kernel.",
      params: z.strictObject({ interface: interfaceName.describe("Name of the interface") }),
      response: { 200: interfaceStatus, default: problemDocument },
    },
    handler: async (request) =>
      await context.status.readInterfaceStatus((request.params as { interface: string }).interface),
  });
  addLinkRoutes(app, context);
  addReleaseRoutes(app, context);
};
