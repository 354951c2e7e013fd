import { writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { sleep } from "../../../qemu-tests/src/wait.ts";

const request = "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";

export type Probe = {
  address: string;
  port: number;
  /** Milliseconds. */
  timeout: number;
  interval: number;
  /** Throws when waiting any longer is in vain; asked every five seconds. */
  check?: () => Promise<unknown>;
};

/**
 * Seconds from now until the first byte comes back. A new connection is tried at each interval and lives at most three
 * seconds: waiting for one lost SYN to be sent again would measure TCP's timer (1 s, 3 s, 7 s) instead of the box.
 */
export async function waitForFirstByte({ address, port, timeout, interval, check }: Probe): Promise<number> {
  const begin = performance.now();
  let arrived: number | undefined;
  let checked = begin;
  const tries = new Set<() => void>();
  try {
    while (arrived === undefined && performance.now() - begin < timeout) {
      const stop = tryOnce(address, port, 3_000, () => {
        arrived ??= performance.now();
      });
      tries.add(stop);
      if (tries.size > 200) tries.delete(tries.values().next().value ?? stop);
      await sleep(interval);
      if (check && performance.now() - checked > 5_000) {
        checked = performance.now();
        await check();
      }
    }
  } finally {
    for (const stop of tries) stop();
  }
  if (arrived === undefined) throw new Error(`no byte from ${address} port ${port} in ${timeout / 1000} s`);
  return (arrived - begin) / 1000;
}

function tryOnce(address: string, port: number, lifetime: number, answered: () => void): () => void {
  const socket = createConnection({ host: address, port });
  const timer = setTimeout(() => socket.destroy(), lifetime);
  socket.once("connect", () => socket.write(request));
  socket.once("data", () => {
    answered();
    socket.destroy();
  });
  socket.once("error", () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
  return () => socket.destroy();
}

/** Asks for a silent neighbour ten times a second instead of once, so that ARP does not round boot times up to seconds. */
export async function askNeighboursOften(networkInterface: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv4/neigh/${networkInterface}/retrans_time_ms`, "100");
}
