import ipaddr from "ipaddr.js";
import { addressFamily, splitPrefixed } from "../configuration/fields.ts";

/** Arithmetic on addresses that have passed the schema. Pure. */

/** An address with its prefix length as numbers. */
type Prefixed = { family: "ipv4" | "ipv6"; bits: bigint; length: number; size: number };

function toBits(address: string): bigint {
  return ipaddr
    .parse(address)
    .toByteArray()
    .reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function parsePrefixed(text: string): Prefixed {
  const { address, length } = splitPrefixed(text);
  const family = addressFamily(address);
  return { family, bits: toBits(address), length, size: family === "ipv4" ? 32 : 128 };
}

function networkBits({ bits, length, size }: Prefixed): bigint {
  return bits >> BigInt(size - length);
}

/** True when the network of `prefixed` (192.0.2.5/24) holds the address. */
export function isWithin(address: string, prefixed: string): boolean {
  const network = parsePrefixed(prefixed);
  if (addressFamily(address) !== network.family) return false;
  return networkBits({ ...network, bits: toBits(address) }) === networkBits(network);
}

/** True when two networks share addresses. */
export function overlaps(one: string, other: string): boolean {
  const [first, second] = [parsePrefixed(one), parsePrefixed(other)];
  if (first.family !== second.family) return false;
  const length = Math.min(first.length, second.length);
  return networkBits({ ...first, length }) === networkBits({ ...second, length });
}

/**
 * Why no host can have this address, as what is expected instead; undefined when one can.
 * 127/8, 0/8, multicast and 240/4: RFC 6890. Network and broadcast address: RFC 1122, with RFC 3021 for /31. The all-zero
 * host part of IPv6 belongs to the routers: RFC 4291 2.6.1, with RFC 6164 for /127.
 */
export function explainUnusable(prefixed: string): string | undefined {
  const { address } = splitPrefixed(prefixed);
  const { family, bits, length, size } = parsePrefixed(prefixed);
  if (family === "ipv4") {
    const first = Number(bits >> 24n);
    if (first === 0 || first === 127 || first >= 224)
      return "expected an address a host can have (unicast, not loopback)";
  } else if (["multicast", "loopback", "unspecified", "ipv4Mapped"].includes(ipaddr.parse(address).range())) {
    return "expected an address a host can have (unicast, not loopback)";
  }
  if (length === 0) return "expected a prefix length of at least 1";
  const hostSize = BigInt(size - length);
  if (hostSize < 2n) return undefined;
  const host = bits & ((1n << hostSize) - 1n);
  if (host === 0n) return `expected the address of a host, but this is the network of /${length} itself`;
  if (family === "ipv4" && host === (1n << hostSize) - 1n)
    return `expected the address of a host, but this is the broadcast address of /${length}`;
  return undefined;
}
