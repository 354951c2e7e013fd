import ipaddr from "ipaddr.js";
import { z } from "zod";

/** The field types that objects are made of. Each error message says what is expected, for it is shown as it stands. */

/**
 * True for a dotted quad of four decimal numbers or an IPv6 address without a zone.
 * ipaddr.js alone takes `1`, `127.1` and octal parts as IPv4 (inet_aton), which nobody means in a configuration.
 */
export function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || (ipaddr.IPv6.isValid(text) && !text.includes("%"));
}

export function addressFamily(address: string): "ipv4" | "ipv6" {
  return address.includes(":") ? "ipv6" : "ipv4";
}

/** The one spelling of an address we store and compare: RFC 5952 for IPv6. */
export function canonicalAddress(address: string): string {
  return addressFamily(address) === "ipv4" ? address : ipaddr.IPv6.parse(address).toRFC5952String();
}

function isPrefixed(text: string): boolean {
  const [address, length, ...rest] = text.split("/");
  if (address === undefined || length === undefined || rest.length > 0) return false;
  if (!isAddress(address) || !/^\d{1,3}$/.test(length)) return false;
  return Number(length) <= (addressFamily(address) === "ipv4" ? 32 : 128);
}

/** Splits `192.0.2.1/24`. The text has passed {@link prefixedAddress}. */
export function splitPrefixed(text: string): { address: string; length: number } {
  const [address = "", length = ""] = text.split("/");
  return { address, length: Number(length) };
}

/** The name of an object: it becomes a file name, an nft identifier and a URL segment, so its alphabet is narrow. */
export const objectName = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/,
    "expected 1 to 63 of a-z, 0-9, - and _, beginning and ending with a letter or digit",
  )
  .meta({ examples: ["web"] });

/** A Linux interface name (IFNAMSIZ 16 with the closing NUL; no slash or white space). */
export const interfaceName = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/, "expected a network interface name of at most 15 characters, like nic0")
  .meta({ examples: ["nic0"] });

export const address = z
  .string()
  .refine(isAddress, "expected an IPv4 or IPv6 address, like 192.0.2.10 or 2001:db8::10")
  .transform(canonicalAddress)
  .meta({ examples: ["192.0.2.10"] });

export const prefixedAddress = z
  .string()
  .refine(isPrefixed, "expected an address with its prefix length, like 192.0.2.10/24 or 2001:db8::10/64")
  .transform((text) => {
    const { address, length } = splitPrefixed(text);
    return `${canonicalAddress(address)}/${length}`;
  })
  .meta({ examples: ["192.0.2.10/24"] });

export const port = z
  .int("expected a whole number from 1 to 65535")
  .min(1, "expected a port from 1 to 65535")
  .max(65_535, "expected a port from 1 to 65535")
  .meta({ examples: [80] });

/** A port (`80`) or a range of ports (`8000-8010`). */
export const portRange = z
  .union([port.transform(String), z.string()])
  .refine(isPortRange, "expected a port or a range of ports from 1 to 65535, like 80 or 8000-8010")
  .meta({ examples: ["80", "8000-8010"] });

function isPortRange(text: string): boolean {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (!match) return false;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first >= 1 && first <= last && last <= 65_535;
}

/** First and last port of a {@link portRange}. */
export function splitPortRange(text: string): { first: number; last: number } {
  const [first = "0", last = first] = text.split("-");
  return { first: Number(first), last: Number(last) };
}

/** A host name or a domain name: RFC 1123 labels, at most 253 characters. */
export const hostName = z
  .string()
  .max(253, "expected at most 253 characters")
  .regex(
    /^(?=.{1,253}$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/,
    "expected a host name of letters, digits and hyphens, like lb1 or lb1.example.com",
  )
  .meta({ examples: ["lb1.example.com"] });

/** Free text of one line, shown to people only. */
export const description = z
  .string()
  .max(255, "expected at most 255 characters")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  .regex(/^[^\u0000-\u001f\u007f-\u009f]*$/, "expected one line of text without control characters")
  .describe("Free text of one line, for people");

/** The network that an address with prefix length lies in: `192.0.2.0/24` of `192.0.2.5/24`, spelled as prefixedAddress does. */
export function networkOf(network: string): string {
  const { length } = splitPrefixed(network);
  const [parsed] = ipaddr.parseCIDR(network);
  const base =
    parsed.kind() === "ipv4"
      ? ipaddr.IPv4.networkAddressFromCIDR(network).toString()
      : (ipaddr.IPv6.networkAddressFromCIDR(network) as ipaddr.IPv6).toRFC5952String();
  return `${base}/${length}`;
}
