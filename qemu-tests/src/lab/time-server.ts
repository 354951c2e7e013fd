import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { environment, findFile, makeAuthority } from "../../../agent/netns-tests/daemons.ts";
import { tryConnection } from "../traffic/backends.ts";
import { waitFor } from "../wait.ts";
import type { Lab } from "./enter.ts";
import { front } from "./plan.ts";

/** The name in the certificate of the time server. */
export const timeServerName = "time.lab.test";

/** NTS key establishment (RFC 8915, 4). */
const keyPort = 4460;

export type TimeServer = {
  /** The certificate of the authority that vouches for the server, as PEM's file. */
  authority: string;
  stop(): Promise<void>;
};

/**
 * A time server on the clients' network: chronyd with NTP and NTS, by the clock of the host, which it does not touch. The caller
 * stands in the client's namespace.
 */
export async function startTimeServer(lab: Lab): Promise<TimeServer> {
  const directory = join(lab.directory, "time");
  await mkdir(directory, { recursive: true, mode: 0o750 });
  const { certificate: authority, sign } = await makeAuthority(directory, "lab-time");
  const { key, certificate } = await sign("server", `DNS:${timeServerName}`);
  const configuration = join(directory, "chrony.conf");
  const lines = [
    // The host's clock is what the box is compared with, right or wrong.
    "local stratum 3",
    "allow",
    `bindaddress ${front.client.ipv4}`,
    "cmdport 0",
    "bindcmdaddress /",
    `pidfile ${join(directory, "chronyd.pid")}`,
    `ntsserverkey ${key}`,
    `ntsservercert ${certificate}`,
    `ntsdumpdir ${directory}`,
  ];
  await writeFile(configuration, `${lines.join("\n")}\n`);
  // -d: in the foreground; -x: it does not control the clock; -u: as the account that the lab has.
  const server = spawn(findFile("/usr/sbin/chronyd"), ["-d", "-x", "-u", "root", "-f", configuration], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  const log = createWriteStream(join(lab.logs, "chronyd.log"), { flags: "a" });
  server.stdout.pipe(log, { end: false });
  server.stderr.pipe(log, { end: false });
  await once(server, "spawn");
  const listens = async () => (await tryConnection(front.client.ipv4, keyPort, 1_000)) === "open";
  await waitFor("the time server to listen", listens, { timeout: 20_000 });
  return {
    authority,
    stop: async () => {
      if (server.exitCode !== null || server.signalCode !== null) return;
      server.kill();
      await once(server, "exit");
    },
  };
}
