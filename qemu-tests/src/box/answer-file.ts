import { randomBytes } from "node:crypto";
import { stringify } from "yaml";
import { back, front, virtualAddresses } from "../lab/plan.ts";

/** Names the kernel gives the cards, in the order of `vm/arguments.ts`. */
export const interfaces = { front: "nic0", back: "nic1" } as const;

/** A password nobody knows beforehand. */
export function makePassword(): string {
  return randomBytes(15).toString("base64url");
}

/**
 * The configuration of the lab's box as an answer file: addresses on both sides, virtual addresses, no farm. Without a host name,
 * that of NoCloud's meta-data counts.
 */
export function makeAnswerFile(password: string, hostname?: string): string {
  const both = (net: typeof front | typeof back) => ({
    ipv4: { method: "static", addresses: [`${net.box.ipv4}/${net.prefix.ipv4}`] },
    ipv6: { method: "static", addresses: [`${net.box.ipv6}/${net.prefix.ipv6}`] },
  });
  const onFront = (address: string, length: number) => ({
    interface: interfaces.front,
    address: `${address}/${length}`,
  });
  const answers = {
    version: 1,
    admin: { password },
    system: { ...(hostname === undefined ? {} : { hostname }), management: { interfaces: [interfaces.front] } },
    interfaces: { [interfaces.front]: both(front), [interfaces.back]: both(back) },
    virtualAddresses: {
      web: onFront(virtualAddresses.ipv4, front.prefix.ipv4),
      web6: onFront(virtualAddresses.ipv6, front.prefix.ipv6),
      second: onFront(virtualAddresses.secondIpv4, front.prefix.ipv4),
    },
    farms: {},
  };
  return `#steelyard\n${stringify(answers)}`;
}
