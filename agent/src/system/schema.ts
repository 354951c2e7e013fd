import { z } from "zod";
import { address, hostName, interfaceName, port } from "../configuration/fields.ts";

/** The box itself: one object. */
export const system = z
  .strictObject({
    hostname: hostName.default("steelyard"),
    dns: z
      .strictObject({
        servers: z.array(address).max(8, "expected at most 8 servers").default([]),
        search: z.array(hostName).max(8, "expected at most 8 domains").default([]),
      })
      .default({ servers: [], search: [] })
      .describe("Resolvers; DHCP may add its own"),
    ntp: z
      .strictObject({
        servers: z
          .array(z.union([address, hostName]))
          .max(8, "expected at most 8 servers")
          .default([]),
      })
      .default({ servers: [] })
      .describe("Time servers; none: the clock is not set from the network"),
    management: z
      .strictObject({
        interfaces: z
          .array(interfaceName)
          .max(64, "expected at most 64 interfaces")
          .default([])
          .describe("Interfaces on which the API and SSH answer; on all others they are closed"),
        port: port.default(444).describe("Port of the API and the web console"),
      })
      .default({ interfaces: [], port: 444 }),
    ssh: z
      .strictObject({
        enabled: z.boolean("expected true or false").default(false),
        port: port.default(22),
        passwordAuthentication: z.boolean("expected true or false").default(false).describe("Keys alone when false"),
      })
      .default({ enabled: false, port: 22, passwordAuthentication: false }),
  })
  .meta({ id: "System" });

export type System = z.output<typeof system>;
