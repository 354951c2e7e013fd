import { z } from "zod";
import { address, description, objectName, port, portRange } from "../../configuration/fields.ts";

/** A server behind an L4xNAT farm. */
export const l4Backend = z
  .strictObject({
    address: address.describe("Address of the server; of the same family as the virtual addresses"),
    port: port.optional().describe("Port on the server; left out, the port the client asked for"),
    weight: z
      .int("expected a whole number from 1 to 255")
      .min(1, "expected a weight from 1 to 255")
      .max(255, "expected a weight from 1 to 255")
      .default(1)
      .describe("Share of new connections, next to the weights of the other backends"),
    priority: z
      .int("expected a whole number from 1 to 9")
      .min(1, "expected a priority from 1 to 9")
      .max(9, "expected a priority from 1 to 9")
      .default(1)
      .describe("1 is used first; for each backend in use that is not up, the next priority is used as well"),
    state: z
      .enum(["up", "maintenance", "down"], "expected up, maintenance or down")
      .default("up")
      .describe("up: takes connections; maintenance: keeps the ones it has, gets no new one; down: loses them all"),
  })
  .meta({ id: "L4Backend" });

/** A farm that balances at layer 4 in the kernel, by address translation. */
export const l4Farm = z
  .strictObject({
    profile: z.literal("l4xnat", "expected l4xnat").describe("Kind of farm"),
    enabled: z.boolean("expected true or false").default(true).describe("A farm that is not enabled opens no port"),
    description: description.default(""),
    virtualAddresses: z
      .array(address)
      .min(1, "expected at least one address")
      .max(64, "expected at most 64 addresses")
      .describe("Addresses clients connect to, all of one family; the box must own them"),
    ports: z
      .array(portRange)
      .min(1, "expected at least one port")
      .max(64, "expected at most 64 ports or ranges")
      .describe("Ports and ranges of ports clients connect to"),
    protocol: z.enum(["tcp", "udp"], "expected tcp or udp").default("tcp").describe("Protocol of layer 4"),
    natType: z
      .enum(["nat", "dnat"], "expected nat or dnat")
      .default("nat")
      .describe(
        "nat: backends see the box's address; dnat: they see the client's, and must route back through the box",
      ),
    algorithm: z
      .enum(
        ["weight", "round-robin", "hash-source-address", "hash-source-address-port"],
        "expected weight, round-robin, hash-source-address or hash-source-address-port",
      )
      .default("weight")
      .describe("How a new connection is given a backend"),
    backends: z.record(objectName, l4Backend).default({}).describe("Backends by name"),
  })
  .meta({
    id: "L4Farm",
    examples: [
      {
        profile: "l4xnat",
        virtualAddresses: ["192.0.2.10"],
        ports: ["80"],
        backends: { b1: { address: "198.51.100.1", port: 80 }, b2: { address: "198.51.100.2", port: 80, weight: 3 } },
      },
    ],
  });

export type L4Backend = z.output<typeof l4Backend>;
export type L4Farm = z.output<typeof l4Farm>;
