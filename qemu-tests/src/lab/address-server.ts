import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "./enter.ts";
import { inNamespace } from "./namespaces.ts";
import { front, type Role } from "./plan.ts";
import { type UplinkName, uplinks } from "./uplinks.ts";

/** What the address server gives, beside the prefix of the network. */
export const leased = {
  ipv4: "10.10.0.50",
  gateway: front.client.ipv4,
  dns: front.client.ipv4,
  /** A name that only this server's DNS knows. */
  name: { host: "probe.lab.test", address: "10.10.0.123" },
} as const;

/** Of the namespace that the writer stands in. */
const forwarding = "/proc/sys/net/ipv6/conf/eth0/forwarding";

export type AddressServer = { stop(): Promise<void> };

/**
 * A router as offices have one, on the clients' network: dnsmasq with DHCP, router advertisements and DNS. The caller stands in the
 * client's namespace, so nothing of the host's hears it; it ends with {@link stop} or with the lab. `more` are options of dnsmasq's.
 */
export async function startAddressServer(lab: Lab, more: readonly string[] = []): Promise<AddressServer> {
  // Who does not forward says so in its neighbour advertisements, and is dropped as a gateway (RFC 4861, 7.2.5).
  await writeFile(forwarding, "1");
  const server = await startDnsmasq(lab, "client", "eth0", [
    `--dhcp-range=${leased.ipv4},${leased.ipv4},255.255.255.0,1h`,
    `--dhcp-option=option:router,${leased.gateway}`,
    "--dhcp-range=fd10::,ra-only,64,1h",
    `--host-record=${leased.name.host},${leased.name.address}`,
    ...more,
  ]);
  return {
    stop: async () => {
      await writeFile(forwarding, "0");
      await server.stop();
    },
  };
}

/** What a router towards the world gives: DHCPv4, DHCPv6, a prefix for SLAAC, and DNS, all with the same last number. */
export function offerOf(uplink: UplinkName, last: number) {
  const { gateway } = uplinks[uplink];
  return {
    ipv4: gateway.ipv4.replace(/\d+$/, String(last)),
    ipv6: gateway.ipv6.replace(/1$/, String(last)),
    prefix: gateway.ipv6.replace(/1$/, ""),
    gateway: gateway.ipv4,
    name: { host: "provider.lab.test", address: `192.0.2.${last}` },
  };
}

/** Lets a router of `uplinks.ts` give addresses to the box. */
export async function startProvider(lab: Lab, uplink: UplinkName, last: number): Promise<AddressServer> {
  const { ipv4, ipv6, name } = offerOf(uplink, last);
  return await startDnsmasq(lab, uplinks[uplink].router, "near", [
    `--dhcp-range=${ipv4},${ipv4},255.255.255.0,1h`,
    `--dhcp-range=${ipv6},${ipv6},slaac,64,1h`,
    `--host-record=${name.host},${name.address}`,
  ]);
}

let servers = 0;

async function startDnsmasq(lab: Lab, role: Role, link: string, more: readonly string[]): Promise<AddressServer> {
  const argv = [
    ...["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file="],
    ...["--log-facility=-", "--log-dhcp", `--interface=${link}`, "--bind-interfaces"],
    // One of its own: what another gave is unknown to it, as in another network.
    `--dhcp-leasefile=${join(lab.directory, `leases-${++servers}`)}`,
    // Alone on this network, so it need not ask who else is there.
    ...["--dhcp-authoritative", "--no-ping", "--enable-ra", "--no-resolv", "--no-hosts"],
    ...more,
  ];
  const [file, ...args] = inNamespace(lab.id, role, argv);
  const server = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(lab.logs, "dnsmasq.log"), { flags: "a" });
  server.stdout.pipe(log, { end: false });
  server.stderr.pipe(log, { end: false });
  await once(server, "spawn");
  return {
    stop: async () => {
      if (server.exitCode !== null || server.signalCode !== null) return;
      server.kill();
      await once(server, "exit");
    },
  };
}
