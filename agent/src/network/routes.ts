import { z } from "zod";
import { isPermitted } from "../access/permissions.ts";
import { principalOf } from "../api/change.ts";
import { addCollection, type CollectionDefinition } from "../api/collection.ts";
import type { Routes } from "../api/context.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { interfaceName } from "../configuration/fields.ts";
import { type Configuration, collections } from "../configuration/schema.ts";

const linkExample = {
  name: "nic0",
  mac: "52:54:00:12:34:56",
  driver: "virtio_net",
  bus: "0000:00:03.0",
  speed: 10_000,
  duplex: "full" as const,
  carrier: true,
  state: "up" as const,
  mtu: 1500,
  addresses: ["192.0.2.5/24"],
};

/** A network interface as it is now; {@link readLinks} of status.ts reads it. */
export const link = z
  .object({
    name: z.string().describe("Name in the kernel"),
    mac: z.string().optional().describe("Hardware address in use"),
    permanentMac: z.string().optional().describe("The address the card was made with"),
    driver: z.string().optional().describe("Kernel driver; for a virtual link its kind"),
    bus: z.string().optional().describe("Where the card sits: 0000:00:03.0 for PCI"),
    speed: z.number().optional().describe("Mbit/s"),
    duplex: z.enum(["full", "half"]).optional().describe("Whether both sides may send at once"),
    carrier: z.boolean().describe("The other end answers"),
    state: z
      .enum(["up", "no-carrier", "down"])
      .describe("down: administratively off; no-carrier: on, but no link; up: working"),
    mtu: z.int().describe("Bytes"),
    addresses: z.array(z.string()).describe("With prefix length; link-local ones included"),
  })
  .meta({ id: "Link", examples: [linkExample] });

const links = defineList(link, { sort: "name" });

const count = z.int().describe("Since boot");

/** An interface with its gateways and counters; {@link readInterfaceStatus} of status.ts reads it. */
export const interfaceStatus = link
  .extend({
    gateways: z.array(z.string()).describe("Default gateways reached through it"),
    counters: z
      .object({
        receivedBytes: count,
        receivedPackets: count,
        receivedErrors: count,
        receivedDropped: count,
        sentBytes: count,
        sentPackets: count,
        sentErrors: count,
        sentDropped: count,
      })
      .describe("Counters of the kernel"),
    master: z.string().optional().describe("The bond or bridge it belongs to"),
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
  })
  .meta({
    id: "InterfaceStatus",
    examples: [
      {
        ...linkExample,
        gateways: ["192.0.2.1"],
        counters: {
          receivedBytes: 1_234_567,
          receivedPackets: 9_876,
          receivedErrors: 0,
          receivedDropped: 0,
          sentBytes: 7_654_321,
          sentPackets: 8_765,
          sentErrors: 0,
          sentDropped: 0,
        },
      },
    ],
  });

export type Link = z.output<typeof link>;
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
  app.get("/api/v1/network/links", {
    config: { permission: "network:read", object: "some" },
    schema: {
      operationId: "listLinks",
      tags: ["Network"],
      summary: "The links the machine has, configured or not",
      description: "Network cards, bonds and VLANs as the kernel has them now.",
      querystring: links.query,
      response: { 200: links.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const visible = (await context.status.readLinks()).filter(({ name }) =>
        isPermitted(principalOf(request), "network:read", { name }),
      );
      return links.send(request, reply, visible);
    },
  });
};
