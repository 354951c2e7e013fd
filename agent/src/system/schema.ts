import { z } from "zod";
import { address, hostName, interfaceName, port } from "../configuration/fields.ts";

/** The box itself: one object. */
export const system = z
  .strictObject({
    hostname: hostName.default("steelyard").describe("Name of the box, alone or with its domain"),
    dns: z
      .strictObject({
        servers: z
          .array(address)
          .max(8, "expected at most 8 servers")
          .default([])
          .describe("Addresses of resolvers, asked in this order"),
        search: z
          .array(hostName)
          .max(8, "expected at most 8 domains")
          .default([])
          .describe("Domains tried with names that have none"),
      })
      .default({ servers: [], search: [] })
      .describe("Resolvers; DHCP may add its own"),
    ntp: z
      .strictObject({
        servers: z
          .array(z.union([address, hostName]))
          .max(8, "expected at most 8 servers")
          .default([])
          .describe("Addresses or names of NTP servers"),
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
      .default({ interfaces: [], port: 444 })
      .describe("Where the box is managed"),
    ssh: z
      .strictObject({
        enabled: z
          .boolean("expected true or false")
          .default(false)
          .describe("SSH answers on the management interfaces"),
        port: port.default(22).describe("TCP port"),
        passwordAuthentication: z.boolean("expected true or false").default(false).describe("Keys alone when false"),
      })
      .default({ enabled: false, port: 22, passwordAuthentication: false })
      .describe("The shell of administrators"),
  })
  .meta({
    id: "System",
    examples: [
      {
        hostname: "lb1.example.com",
        dns: { servers: ["192.0.2.53"], search: ["example.com"] },
        ntp: { servers: ["ntp.example.com"] },
        management: { interfaces: ["eth0"], port: 444 },
        ssh: { enabled: true, port: 22, passwordAuthentication: false },
      },
    ],
  });

export type System = z.output<typeof system>;
