import { z } from "zod";
import { address, description, interfaceName, prefixedAddress } from "../configuration/fields.ts";

const network = prefixedAddress.meta({ examples: ["198.51.100.0/24"] });
const enabled = z.boolean("expected true or false").default(true);

/** `main`, the name of a routing table of the operator, or that of an interface: each has one of its own. */
const tableName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/, "expected main, the name of a routing table, or that of an interface")
  .default("main")
  .describe("main, the name of a routing table, or that of an interface: its own table")
  .meta({ examples: ["main"] });

export const routingTable = z
  .strictObject({
    description: description.default(""),
    id: z
      .int("expected a whole number from 1 to 999")
      .min(1, "expected a number from 1 to 999")
      .max(999, "expected a number from 1 to 999")
      .describe("Number of the table in the kernel; 253 to 255 are the kernel's own"),
  })
  .meta({ id: "RoutingTable", examples: [{ description: "to the partner", id: 100 }] });

export const routingRule = z
  .strictObject({
    description: description.default(""),
    enabled: enabled.describe("false: the rule is not in the kernel"),
    priority: z
      .int("expected a whole number from 29000 to 30999")
      .min(29_000, "expected a priority from 29000 to 30999")
      .max(30_999, "expected a priority from 29000 to 30999")
      .describe("Rules are asked in rising order, these before those that the box makes by itself"),
    from: network.optional().describe("Network the packet comes from"),
    to: network.optional().describe("Network the packet goes to"),
    mark: z
      .strictObject({
        value: z
          .int("expected a whole number")
          .min(0, "expected 0 or more")
          .max(0xffffffff, "expected 32 bits")
          .describe("What the mark is compared with, as far as the mask goes"),
        mask: z
          .int("expected a whole number")
          .min(1, "expected a mask of at least one bit")
          .max(0xffffffff, "expected 32 bits")
          .default(0xffffffff)
          .describe("Bits that count"),
      })
      .optional()
      .describe("Mark of the packet"),
    interface: interfaceName.optional().describe("Interface the packet came in by; lo: the box itself sends it"),
    not: z.boolean("expected true or false").default(false).describe("true: for packets that do not fit"),
    table: tableName,
  })
  .meta({ id: "RoutingRule", examples: [{ priority: 29_100, from: "198.51.100.0/24", table: "partner" }] });

export const routingRoute = z
  .strictObject({
    description: description.default(""),
    enabled: enabled.describe("false: the route is not in the kernel"),
    type: z
      .enum(["unicast", "blackhole", "unreachable", "prohibit"], "expected unicast, blackhole, unreachable or prohibit")
      .default("unicast")
      .describe("unicast leads on; the others drop packets: silently, as unreachable, or as forbidden"),
    destination: network.describe("Network the route leads to; 0.0.0.0/0 or ::/0 for a default route"),
    via: address.optional().describe("Address of the router"),
    interface: interfaceName.optional().describe("Interface the packets leave by"),
    metric: z
      .int("expected a whole number of at least 0")
      .min(0, "expected at least 0")
      .max(0xffffffff, "expected 32 bits")
      .default(0)
      .describe("The lower of two routes to one network is used; in IPv6, 0 stands for 1024"),
    table: tableName,
    source: address.optional().describe("Address the box sends from, where the sender names none"),
    mtu: z
      .int("expected a whole number of bytes")
      .min(68, "expected an MTU of at least 68 bytes (RFC 791)")
      .max(65_535, "expected an MTU of at most 65535 bytes")
      .optional()
      .describe("Bytes"),
    onlink: z
      .boolean("expected true or false")
      .default(false)
      .describe("true: the router is on the link, though no network of the interface holds it"),
  })
  .meta({
    id: "RoutingRoute",
    examples: [{ destination: "203.0.113.0/24", via: "192.0.2.254", interface: "eth0", table: "main" }],
  });

export type RoutingTable = z.output<typeof routingTable>;
export type RoutingRule = z.output<typeof routingRule>;
export type RoutingRoute = z.output<typeof routingRoute>;
