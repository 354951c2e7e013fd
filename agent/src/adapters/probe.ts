import { createSocket } from "node:dgram";
import { request } from "node:http";
import { connect } from "node:net";
import type { Machine } from "./machine.ts";

/** Probes of a target that leave by one uplink: from its address, and from a port (or with a mark) that picks its table. */

export type Probe = {
  type: "icmp" | "tcp" | "dns" | "http";
  address: string;
  port?: number | undefined;
  /** dns: the name to ask for. */
  name: string;
  /** http. */
  host?: string | undefined;
  path: string;
  status?: number | undefined;
};

export type ProbeWay = { localAddress: string; localPort: number; mark: number; interface: string };

/** Asks once. Undefined when the target answered; else what happened, in words. Milliseconds. */
export async function probe(
  machine: Machine,
  target: Probe,
  way: ProbeWay,
  timeout: number,
): Promise<string | undefined> {
  if (target.type === "icmp") return await ping(machine, target, way, timeout);
  const failure = { tcp: openConnection, dns: askName, http: askPage }[target.type](target, way, timeout);
  return await failure.catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
}

async function ping(machine: Machine, { address }: Probe, { mark, interface: device }: ProbeWay, timeout: number) {
  const wait = Math.max(timeout / 1_000, 0.01).toString();
  // -I with a name binds to the device, so no main route to the target can take the probe elsewhere.
  const argv = ["ping", "-n", "-q", "-c", "1", "-W", wait, "-m", String(mark), "-I", device, address] as const;
  const { code } = await machine.run(argv, { timeout: timeout + 2_000, accept: [0, 1, 2] });
  return code === 0 ? undefined : "no echo reply";
}

async function openConnection({ address, port = 80 }: Probe, { localAddress, localPort }: ProbeWay, timeout: number) {
  return await new Promise<string | undefined>((resolve) => {
    const socket = connect({ host: address, port, localAddress, localPort });
    const finish = (failure?: string) => {
      clearTimeout(timer);
      // A reset leaves no TIME_WAIT behind, which would keep the port from the next probe.
      socket.resetAndDestroy();
      resolve(failure);
    };
    const timer = setTimeout(() => finish("no connection in time"), timeout);
    socket.on("connect", () => finish());
    socket.on("error", ({ code, message }: NodeJS.ErrnoException) => finish(code ?? message));
  });
}

async function askPage(
  { address, port = 80, host, path, status }: Probe,
  { localAddress, localPort }: ProbeWay,
  timeout: number,
) {
  return await new Promise<string | undefined>((resolve) => {
    const headers = { host: host ?? (address.includes(":") ? `[${address}]` : address), "user-agent": "steelyard" };
    const asked = request({ host: address, port, path, headers, localAddress, localPort, agent: false });
    const finish = (failure?: string) => {
      clearTimeout(timer);
      asked.socket?.resetAndDestroy();
      asked.destroy();
      resolve(failure);
    };
    const timer = setTimeout(() => finish("no answer in time"), timeout);
    asked.on("response", ({ statusCode = 0 }) => {
      const fits = status === undefined ? statusCode < 400 : statusCode === status;
      finish(fits ? undefined : `status ${statusCode}`);
    });
    asked.on("error", ({ code, message }: NodeJS.ErrnoException) => finish(code ?? message));
    asked.end();
  });
}

/** RFC 1035: any answer to the question shows that the way there works, NXDOMAIN too; a server that refuses or fails does not. */
async function askName({ address, port = 53, name }: Probe, { localAddress, localPort }: ProbeWay, timeout: number) {
  const id = Math.floor(Math.random() * 0x10000);
  return await new Promise<string | undefined>((resolve, reject) => {
    const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
    const finish = (failure?: string) => {
      clearTimeout(timer);
      socket.close();
      resolve(failure);
    };
    const timer = setTimeout(() => finish("no answer in time"), timeout);
    socket.on("error", (error) => {
      clearTimeout(timer);
      socket.close();
      reject(error);
    });
    socket.on("message", (message) => {
      if (message.length < 12 || message.readUInt16BE(0) !== id) return;
      const code = message.readUInt8(3) & 0x0f;
      finish(code === 0 || code === 3 ? undefined : `the server answers with code ${code}`);
    });
    socket.bind({ address: localAddress, port: localPort }, () => socket.send(encodeQuestion(id, name), port, address));
  });
}

/** A query for the A record of a name, recursion desired. */
export function encodeQuestion(id: number, name: string): Buffer {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label, "latin1")]);
  return Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
}
