import { z } from "zod";

import { address, hostName, interfaceName, objectName, port } from "../configuration/fields.ts";
import { hostsEntry, ntpServer, proxySettings, resolver, timeZone } from "./fields.ts";

const expectedGenerations = "expected a whole number from 2 to 1000";
const expectedShare = "expected percent of the disk, from 5 to 80";

/** The box itself: one object. */
export const system = z
  .strictObject({
    hostname: hostName.default("steelyard").describe("Name of the box, alone or with its domain"),
    dns: z
      .strictObject({
        servers: z
          .array(resolver)
          .max(8, "expected at most 8 servers")
          .default([])
          .describe("Resolvers, asked in this order: address, or address#name with the name in its TLS certificate"),
        search: z
          .array(hostName)
          .max(8, "expected at most 8 domains")
          .default([])
          .describe("Domains tried with names that have none"),
        dnssec: z
          .enum(["no", "allow-downgrade", "yes"], "expected no, allow-downgrade or yes")
          .default("no")
          .describe("Check signatures: not; where the resolver can (an attacker may say that it cannot); always"),
        overTls: z
          .enum(["no", "opportunistic", "yes"], "expected no, opportunistic or yes")
          .default("no")
          .describe("Ask over TLS (RFC 7858): not; where the resolver can, unchecked; always, with its certificate"),
      })
      .default({ servers: [], search: [], dnssec: "no", overTls: "no" })
      .describe("Resolvers; DHCP may add its own"),
    ntp: z
      .strictObject({
        servers: z
          .array(
            z.union([address, hostName, ntpServer], "expected the address or name of a server, or an object of it"),
          )
          .max(8, "expected at most 8 servers")
          .default([])
          .describe("Addresses or names of NTP servers, or objects of them with nts and prefer"),
      })
      .default({ servers: [] })
      .describe("Time servers; none: the clock is not set from the network"),
    timeZone: timeZone.default("UTC").describe("Of logs and shells on the box; the API speaks UTC"),
    hosts: z
      .array(hostsEntry)
      .max(256, "expected at most 256 entries")
      .default([])
      .describe("Names the box knows without DNS, as in hosts(5)"),
    proxy: proxySettings
      .default({ bypass: [] })
      .describe("How the box itself reaches web servers; farms are not affected"),
    management: z
      .strictObject({
        interfaces: z
          .array(interfaceName)
          .max(64, "expected at most 64 interfaces")
          .default([])
          .describe("Interfaces on which the API and SSH answer; on all others they are closed"),
        port: port.default(444).describe("Port of the API and the web console"),
        certificate: objectName
          .exactOptional()
          .describe("Name of the certificate that the API shows; none: one the box has made and signed itself"),
      })
      .default({ interfaces: [], port: 444 })
      .describe("Where the box is managed"),
    lldp: z
      .enum(["receive", "both", "off"], "expected receive, both or off")
      .default("receive")
      .describe("Link Layer Discovery Protocol on network cards: hear switches; announce this box too; neither"),
    unconfiguredCards: z
      .enum(["down", "up"], "expected down or up")
      .default("down")
      .describe("Network cards that nothing uses: down, or up without any address, for their lights and LLDP"),
    history: z
      .strictObject({
        generations: z
          .int(expectedGenerations)
          .min(2, expectedGenerations)
          .max(1000, expectedGenerations)
          .default(100)
          .describe("The newest so many generations of the configuration are kept"),
        diskShare: z
          .int(expectedShare)
          .min(5, expectedShare)
          .max(80, expectedShare)
          .default(50)
          .describe("Percent of the configuration disk, its space and its inodes; the oldest generations beyond it go"),
      })
      .default({ generations: 100, diskShare: 50 })
      .describe("Generations to look up and to roll back to; the current one and the one before it stay in any case"),
    console: z
      .strictObject({
        passwordReset: z
          .boolean("expected true or false")
          .default(true)
          .describe(
            "Whoever is at the console may set a new administrator's password in the first minutes after a start",
          ),
      })
      .default({ passwordReset: true })
      .describe("VGA and serial console of the box"),
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
        dns: { servers: ["192.0.2.53"], search: ["example.com"], dnssec: "no", overTls: "no" },
        ntp: { servers: ["192.0.2.123", { address: "time.example.com", nts: true, prefer: false }] },
        timeZone: "Europe/Berlin",
        hosts: [{ address: "192.0.2.80", names: ["files.example.com"] }],
        proxy: { url: "http://proxy.example.com:3128", bypass: ["example.com"] },
        management: { interfaces: ["nic0"], port: 444 },
        lldp: "receive",
        unconfiguredCards: "down",
        history: { generations: 100, diskShare: 50 },
        console: { passwordReset: true },
        ssh: { enabled: true, port: 22, passwordAuthentication: false },
      },
    ],
  });

export type System = z.output<typeof system>;
