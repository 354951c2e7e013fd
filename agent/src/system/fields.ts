import { z } from "zod";
import { address, canonicalAddress, hostName, isAddress, port } from "../configuration/fields.ts";

/** The smaller objects that the system's settings are made of. */

/** `192.0.2.53`, or `192.0.2.53#dns.example.com` where the name is that in the resolver's certificate (resolved.conf(5)). */
export const resolver = z
  .string()
  .refine((text) => {
    const [server = "", name, ...rest] = text.split("#");
    return isAddress(server) && rest.length === 0 && (name === undefined || hostName.safeParse(name).success);
  }, "expected an IPv4 or IPv6 address, perhaps with the name in its certificate, like 192.0.2.53#dns.example.com")
  .transform((text) => {
    const [server = "", ...name] = text.split("#");
    return [canonicalAddress(server), ...name].join("#");
  })
  .meta({ examples: ["192.0.2.53"] });

/** An NTP server with what a plain address does not say. */
export const ntpServer = z
  .strictObject({
    address: z.union([address, hostName], "expected the address or name of a server").describe("Address or name"),
    port: port.optional().describe("UDP port of NTP; left out, 123, or what NTS negotiates"),
    nts: z
      .boolean("expected true or false")
      .default(false)
      .describe("Authenticate it by Network Time Security (RFC 8915); it must be given by name, as in its certificate"),
    prefer: z.boolean("expected true or false").default(false).describe("Before those that are as good"),
  })
  .meta({ id: "NtpServer", examples: [{ address: "time.example.com", nts: true, prefer: false }] });

export type NtpServer = z.output<typeof ntpServer>;

/** A name of the tz database, in its own spelling: it becomes a path below /usr/share/zoneinfo. */
export const timeZone = z
  .string()
  .refine(isTimeZone, "expected a time zone of the tz database, like Europe/Berlin or UTC")
  .meta({ examples: ["Europe/Berlin"] });

function isTimeZone(text: string): boolean {
  if (!/^[A-Z][A-Za-z0-9_+-]*(?:\/[A-Z][A-Za-z0-9_+-]*){0,2}$/.test(text)) return false;
  try {
    // Takes any case and gives back some names under a newer one, so the pattern above has to keep out the rest.
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

export const hostsEntry = z
  .strictObject({
    address: address.describe("What the names stand for"),
    names: z
      .array(hostName)
      .min(1, "expected at least one name")
      .max(16, "expected at most 16 names")
      .describe("The first one is the canonical name"),
  })
  .meta({ id: "HostsEntry", examples: [{ address: "192.0.2.80", names: ["files.example.com", "files"] }] });

/** What a proxy is not asked for: a name with all below it, an address, or a network. */
const bypass = z
  .string()
  .regex(
    /^[A-Za-z0-9.:_-]+(?:\/\d{1,3})?$/,
    "expected a domain, an address or a network, like example.com, 192.0.2.1 or 192.0.2.0/24",
  )
  .max(253, "expected at most 253 characters");

export const proxySettings = z
  .strictObject({
    url: z
      .string()
      .refine(
        isProxyUrl,
        "expected the address of an HTTP proxy without a password, like http://proxy.example.com:3128",
      )
      .optional()
      .describe("HTTP proxy (CONNECT for HTTPS); left out, servers are asked directly"),
    bypass: z
      .array(bypass)
      .max(32, "expected at most 32 entries")
      .default([])
      .describe("Asked directly: domains with all below them, addresses, networks; loopback always is"),
  })
  .meta({ id: "ProxySettings" });

export type ProxySettings = z.output<typeof proxySettings>;

function isProxyUrl(text: string): boolean {
  if (!/^http:\/\/[^\s/?#@]+\/?$/.test(text) || !URL.canParse(text)) return false;
  const { hostname, username, password } = new URL(text);
  return hostname !== "" && username === "" && password === "";
}
