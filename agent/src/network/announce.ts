import type { Machine } from "../adapters/machine.ts";
import { addressFamily, splitPrefixed } from "../configuration/fields.ts";

/**
 * Gratuitous ARP (RFC 5944, 4.6) as request and as reply, since hosts differ in what they believe: who had the address at
 * another MAC hears of it at once. IPv6 does so itself after duplicate address detection (sysctl ndisc_notify).
 * An announcement that fails is logged: the address works, and neighbours learn it when they ask.
 */
export async function announceAddresses(machine: Machine, name: string, prefixed: readonly string[]): Promise<void> {
  const link = (await machine.netlink.links()).find((each) => each.name === name);
  if (!link?.carrier) return;
  for (const { address } of prefixed.map(splitPrefixed)) {
    if (addressFamily(address) !== "ipv4") continue;
    try {
      await machine.run(["arping", "-q", "-U", "-c", "1", "-I", name, address], { timeout: 5_000 });
      await machine.run(["arping", "-q", "-A", "-c", "1", "-I", name, address], { timeout: 5_000 });
    } catch (error) {
      machine.log.warn(`announcing ${address} on ${name}: ${String(error)}`);
    }
  }
}
