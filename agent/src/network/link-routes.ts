import { z } from "zod";
import { isPermitted } from "../access/permissions.ts";
import { cardSettings } from "../adapters/card-settings.ts";
import { isDryRun, plan, principalOf } from "../api/change.ts";
import type { ApiContext, Routes } from "../api/context.ts";
import { dryRunAnswer, dryRunQuery, sendSteps } from "../api/dry-run.ts";
import { defineList } from "../api/list.ts";
import { problemDocument } from "../api/problem.ts";
import { interfaceName } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import { adoptCard, forgetCard } from "./identity/apply.ts";
import { listNamesInUse } from "./inventory.ts";
import { listenForPartners, recallPartners } from "./lacp/status.ts";
import { proposeBonds } from "./propose-bonds.ts";

/** Links as the machine has them, the cards their names are bound to, and the bonds that the cabling suggests. */

const count = z.int().describe("Since the link was made");

export const counters = z
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
  .describe("Counters of the kernel, of 64 bits");

export const linkExample = {
  name: "nic0",
  alternativeNames: ["enp3s0f0"],
  mac: "3c:ec:ef:12:34:56",
  permanentMac: "3c:ec:ef:12:34:56",
  driver: "ixgbe",
  bus: "0000:03:00.0",
  firmware: "0x80000d1b, 1.2585.0",
  profiles: ["metal"],
  speed: 10_000,
  duplex: "full" as const,
  carrier: true,
  state: "up" as const,
  mtu: 1500,
  minMtu: 68,
  maxMtu: 9710,
  queues: { receive: 8, send: 8 },
  settings: [
    { setting: "rings.receive" as const, now: 2048, most: 4096, fixed: false, wanted: 2048 },
    { setting: "offloads.tcpSegmentation" as const, now: true, fixed: false },
  ],
  virtualFunctions: { active: 0, greatest: 63 },
  addresses: ["192.0.2.5/24"],
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
  neighbour: { chassis: "00:1c:73:00:00:01", port: "Ethernet7", system: "tor1.example.com" },
  binding: { by: "mac" as const, mac: "3c:ec:ef:12:34:56", path: "pci-0000:03:00.0" },
};

/** A network interface as it is now; {@link readLinks} of status.ts reads it. */
export const link = z
  .object({
    name: z.string().describe("Name in the kernel"),
    alternativeNames: z.array(z.string()).describe("Names it also answers to, such as enp3s0f0"),
    kind: z.string().optional().describe("Of a virtual link: bond, vlan, …"),
    mac: z.string().optional().describe("Hardware address in use"),
    permanentMac: z.string().optional().describe("The address the card was made with"),
    driver: z.string().optional().describe("Kernel driver; for a virtual link its kind"),
    bus: z.string().optional().describe("Where the card sits: 0000:00:03.0 for PCI"),
    firmware: z.string().optional().describe("Version of the card's firmware"),
    profiles: z.array(z.string()).optional().describe("Hardware profiles whose images have the driver"),
    speed: z.number().optional().describe("Mbit/s"),
    duplex: z.enum(["full", "half"]).optional().describe("Whether both sides may send at once"),
    carrier: z.boolean().describe("The other end answers"),
    state: z
      .enum(["up", "no-carrier", "down", "missing"])
      .describe("down: administratively off; no-carrier: on, but no link; up: working; missing: the card is not there"),
    mtu: z.int().optional().describe("Bytes"),
    minMtu: z.int().optional().describe("Bytes; the least the driver takes"),
    maxMtu: z.int().optional().describe("Bytes; the most the driver takes"),
    queues: z
      .object({ receive: z.int().describe("Receive queues"), send: z.int().describe("Transmit queues") })
      .optional()
      .describe("Queues in use"),
    settings: z
      .array(
        z.object({
          setting: z.enum(cardSettings).describe("Field of card of an interface"),
          now: z.union([z.int(), z.boolean()]).describe("As the card has it"),
          most: z.int().optional().describe("The greatest number that the card takes"),
          fixed: z.boolean().describe("The card has it one way only"),
          wanted: z
            .union([z.int(), z.boolean(), z.literal("max")])
            .optional()
            .describe("What the card was told"),
          refused: z.string().optional().describe("Why the card does not have it so"),
        }),
      )
      .optional()
      .describe("Rings, queues, interrupts and offloads of a card, as far as its driver tells"),
    virtualFunctions: z
      .object({ active: z.int().describe("That are on"), greatest: z.int().describe("That the card can have") })
      .optional()
      .describe("Of a card with SR-IOV"),
    virtualFunctionOf: z.string().optional().describe("Name of the card this is a virtual function of"),
    master: z.string().optional().describe("Bond, bridge or VRF it belongs to"),
    addresses: z.array(z.string()).describe("With prefix length; link-local ones included"),
    counters: counters.optional(),
    neighbour: z
      .object({
        chassis: z.string().describe("What the switch is known by"),
        port: z.string().describe("The switch's port"),
        portDescription: z.string().optional().describe("What the switch calls the port"),
        system: z.string().optional().describe("Name of the switch"),
        systemDescription: z.string().optional().describe("What the switch is"),
      })
      .optional()
      .describe("Who is at the other end, by its own words (LLDP)"),
    binding: z
      .object({
        by: z.enum(["mac", "path"]).describe("mac: to the card, wherever it sits; path: to what sits there"),
        mac: z.string().optional().describe("Permanent MAC"),
        path: z.string().optional().describe("Place, as udev spells it"),
      })
      .optional()
      .describe("What the name is bound to; a link without one is no card"),
    candidates: z
      .array(
        z.object({
          name: z.string().describe("Name the card has now"),
          reason: z
            .enum(["replaced", "same-mac"])
            .describe("replaced: it sits in the slot; same-mac: it has the MAC, but so has another one"),
        }),
      )
      .optional()
      .describe("Of a missing card: those that may be in its place"),
  })
  .meta({ id: "Link", examples: [linkExample] });

export type Link = z.output<typeof link>;

const links = defineList(link, { sort: "name" });

const proposal = z
  .object({
    name: z.string().describe("The first bond name that is free"),
    mode: z.enum(["802.3ad", "active-backup"]).describe("802.3ad when the other end speaks LACP"),
    members: z.array(z.string()).describe("Cards, at least two"),
    reason: z.string().describe("Why, in words"),
  })
  .meta({
    id: "BondProposal",
    examples: [
      {
        name: "bond0",
        mode: "802.3ad",
        members: ["nic0", "nic1"],
        reason:
          "nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01), which has these ports in one group (key 7)",
      },
    ],
  });

const proposals = defineList(proposal, {
  also: {
    listen: z.coerce
      .number("expected a number of seconds")
      .int("expected a whole number of seconds")
      .min(0, "expected 0 to 35 seconds")
      .max(35, "expected 0 to 35 seconds")
      .default(0)
      .describe("Seconds to listen for LACP first; 0: what was heard in the last 90 seconds"),
  },
});
const parameters = z.strictObject({ link: interfaceName.describe("Name of the link") });
const adoption = z
  .strictObject({
    card: interfaceName
      .optional()
      .describe("Name the card has now; left out, the only one that is evidently in the place of the missing one"),
  })
  .meta({ id: "Adoption", examples: [{ card: "nic4" }] });

const config = { object: { kind: "interfaces", parameter: "link" } } as const;
const nameOf = (params: unknown) => (params as z.output<typeof parameters>).link;
const configuredIn = ({ control }: ApiContext) => listNamesInUse(control.current().configuration.interfaces);

async function findLink({ status }: ApiContext, name: string): Promise<Link> {
  const found = (await status.readLinks()).find((each) => each.name === name);
  if (!found) throw new SteelyardError("not-found", `the machine has no link ${name}`);
  return found;
}

export const addLinkRoutes: Routes = (app, context) => {
  app.get("/api/v1/network/links", {
    config: { permission: "network:read", object: "some" },
    schema: {
      operationId: "listLinks",
      tags: ["Network"],
      summary: "The links the machine has, configured or not",
      description:
        "Network cards, bonds and VLANs as the kernel has them now, and the names whose card is missing, with those that may be in its place.",
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
  app.get("/api/v1/network/links/:link", {
    config: { permission: "network:read", ...config },
    schema: {
      operationId: "getLink",
      tags: ["Network"],
      summary: "Read a link",
      description: "What the machine knows of one link.",
      params: parameters,
      response: { 200: link, default: problemDocument },
    },
    handler: async (request) => await findLink(context, nameOf(request.params)),
  });
  app.post("/api/v1/network/links/:link/adopt", {
    config: { permission: "network:update", errors: ["in-use", "ambiguous"], ...config },
    schema: {
      operationId: "adoptLink",
      tags: ["Network"],
      summary: "Give the name of a missing card to another one",
      description:
        "After a card was replaced: the card in its place takes its name, and what is configured for that name. Refused when the missing card is there, when the other one is configured, and when several would fit and none is named.",
      params: parameters,
      querystring: dryRunQuery,
      body: adoption,
      response: { 200: z.union([link, plan]).describe("The link; for a dry run, the plan"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const name = nameOf(request.params);
      const { card } = request.body as z.output<typeof adoption>;
      const dryRun = isDryRun(request);
      const taken = await adoptCard(context.machine, name, { card, configured: configuredIn(context), dryRun });
      if (dryRun) {
        const summary = `the card ${taken} becomes ${name}, with what is configured for it`;
        return sendSteps(reply, context.control, [{ subsystem: "network", kind: "adopt-card", summary }]);
      }
      await context.control.reconcile(`the card of ${name} was replaced`);
      return reply.send(await findLink(context, name));
    },
  });
  app.delete("/api/v1/network/links/:link", {
    config: { permission: "network:delete", errors: ["in-use"], ...config },
    schema: {
      operationId: "deleteLink",
      tags: ["Network"],
      summary: "Give up the name of a missing card",
      description: "The name is free for the next new card. Refused when the card is there or the name is configured.",
      params: parameters,
      querystring: dryRunQuery,
      response: { 200: dryRunAnswer, 204: z.null().describe("Done"), default: problemDocument },
    },
    handler: async (request, reply) => {
      const name = nameOf(request.params);
      const dryRun = isDryRun(request);
      await forgetCard(context.machine, name, { configured: configuredIn(context), dryRun });
      if (dryRun) {
        const summary = `the name ${name} is free for the next new card`;
        return sendSteps(reply, context.control, [{ subsystem: "network", kind: "forget-card", summary }]);
      }
      return reply.code(204).send();
    },
  });
  app.get("/api/v1/network/bond-proposals", {
    config: { permission: "network:read" },
    schema: {
      operationId: "listBondProposals",
      tags: ["Network"],
      summary: "Bonds that the cabling suggests",
      description:
        "Cards with carrier that nothing uses: those that hear LACP from one group of ports, or have the same LLDP neighbour. A quiet partner sends LACP every 30 seconds.",
      querystring: proposals.query,
      response: { 200: proposals.answer, default: problemDocument },
    },
    handler: async (request, reply) => {
      const { listen } = request.query as { listen: number };
      const configured = configuredIn(context);
      const isFree = (each: Link) =>
        each.kind === undefined && each.carrier && each.master === undefined && !configured.includes(each.name);
      if (listen > 0) {
        const names = (await context.status.readLinks()).filter(isFree).map(({ name }) => name);
        await listenForPartners(context.machine, names, { seconds: listen });
      }
      const found = await context.status.readLinks();
      const partners = recallPartners(context.machine);
      return proposals.send(request, reply, proposeBonds({ links: found as never, partners, configured }));
    },
  });
};
