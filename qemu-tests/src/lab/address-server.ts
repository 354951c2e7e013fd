import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab } from "./enter.ts";
import { front } from "./plan.ts";

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

/**
 * A router as offices have one, on the clients' network: dnsmasq with DHCP, router advertisements and DNS. The caller stands in the
 * client's namespace, so nothing of the host's hears it; it ends with {@link stop} or with the lab. `more` are options of dnsmasq's.
 */
export async function startAddressServer(lab: Lab, more: readonly string[] = []): Promise<{ stop(): Promise<void> }> {
  // Who does not forward says so in its neighbour advertisements, and is dropped as a gateway (RFC 4861, 7.2.5).
  await writeFile(forwarding, "1");
  const server = spawn(
    "dnsmasq",
    [
      ...[
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--pid-file=",
        "--log-facility=-",
        "--log-dhcp",
      ],
      ...["--interface=eth0", "--bind-interfaces", `--dhcp-leasefile=${join(lab.directory, "leases")}`],
      // Alone on this network, so it need not ask who else is there.
      ...["--dhcp-authoritative", "--no-ping"],
      ...[
        `--dhcp-range=${leased.ipv4},${leased.ipv4},255.255.255.0,1h`,
        `--dhcp-option=option:router,${leased.gateway}`,
      ],
      ...["--enable-ra", "--dhcp-range=fd10::,ra-only,64,1h"],
      ...["--no-resolv", "--no-hosts", `--host-record=${leased.name.host},${leased.name.address}`],
      ...more,
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  const log = createWriteStream(join(lab.logs, "dnsmasq.log"), { flags: "a" });
  server.stdout.pipe(log, { end: false });
  server.stderr.pipe(log, { end: false });
  await once(server, "spawn");
  return {
    stop: async () => {
      await writeFile(forwarding, "0");
      if (server.exitCode !== null) return;
      server.kill();
      await once(server, "exit");
    },
  };
}
