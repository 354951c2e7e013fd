import { createSocket } from "node:dgram";
import { get } from "node:http";
import { isIPv6 } from "node:net";

/** Who answered, and the address the client came from in that backend's eyes. */
export type Answer = { name: string; peer: string };

export type Target = { address: string; port: number; timeout: number };

/** One HTTP request on a connection of its own. */
export function askHttp({ address, port, timeout }: Target): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get({ host: address, port, agent: false, timeout }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        try {
          resolve(JSON.parse(text) as Answer);
        } catch (error) {
          reject(new Error(`not a backend's answer: ${text.slice(0, 200)}`, { cause: error }));
        }
      });
    });
    request.on("timeout", () => request.destroy(new Error(`no answer from ${address} port ${port} in ${timeout} ms`)));
    request.on("error", reject);
  });
}

/**
 * Source ports of datagrams rise and do not repeat soon: the box remembers a flow for minutes, and a datagram from a port used
 * before would go where that flow goes. TCP has no such trouble, for a SYN begins a flow anew.
 */
const firstUdpPort = 20_000;
const lastUdpPort = 60_000;
let nextUdpPort = firstUdpPort;

function takeUdpPort(): number {
  const port = nextUdpPort++;
  if (nextUdpPort > lastUdpPort) nextUdpPort = firstUdpPort;
  return port;
}

/** One datagram from a port of its own, and its answer. Not sent again: a lost one is an error. */
export function askUdp({ address, port, timeout }: Target): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    const finish = (act: () => void) => {
      clearTimeout(timer);
      socket.close();
      act();
    };
    const timer = setTimeout(
      () => finish(() => reject(new Error(`no answer from ${address} port ${port}/udp in ${timeout} ms`))),
      timeout,
    );
    socket.once("error", (error) => finish(() => reject(error)));
    socket.once("message", (text) => {
      const [name = "", peer = ""] = text.toString().split(" ");
      finish(() => resolve({ name, peer }));
    });
    // Connected, so that an ICMP error reaches us and a stranger's datagram does not.
    socket.bind(takeUdpPort(), () => socket.connect(port, address, () => socket.send("?")));
  });
}

/** What many questions gave: answers by backend, the peers each saw, and the errors. */
export type Tally = { counts: Record<string, number>; peers: Set<string>; errors: string[] };

/** Asks `total` times, `concurrency` at once. */
export async function askMany(total: number, ask: () => Promise<Answer>, concurrency = 4): Promise<Tally> {
  const tally: Tally = { counts: {}, peers: new Set(), errors: [] };
  let left = total;
  const worker = async () => {
    while (left-- > 0) {
      try {
        const { name, peer } = await ask();
        tally.counts[name] = (tally.counts[name] ?? 0) + 1;
        tally.peers.add(peer);
      } catch (error) {
        tally.errors.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return tally;
}
