import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { withTimeout } from "../wait.ts";

type Held = { socket: Socket; name: string; peer: string; echoed: number; lost: string | undefined };

/**
 * Established connections to the backends' echo service, watched: while pulsing, each sends a line every `interval` and the
 * backend sends it back. One that is reset, closed or falls silent is lost.
 */
export class HeldConnections {
  readonly #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Opens connections one after the other and waits for each greeting. */
  static async open(address: string, port: number, count: number, timeout: number): Promise<HeldConnections> {
    const connections = new HeldConnections();
    try {
      for (let index = 0; index < count; index++) connections.#held.push(await open(address, port, timeout));
    } catch (error) {
      connections.close();
      throw error;
    }
    return connections;
  }

  /** How many connections each backend holds. */
  get counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { name } of this.#held) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  }

  /** How many that live come from each address, in the backends' eyes. */
  get peers(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { peer, lost } of this.#held) if (lost === undefined) counts[peer] = (counts[peer] ?? 0) + 1;
    return counts;
  }

  /** Why connections were lost; empty when all live. */
  get losses(): string[] {
    return this.#held.flatMap(({ lost, name }) => (lost === undefined ? [] : [`${name}: ${lost}`]));
  }

  /** Keeps every connection busy until {@link stopPulsing}. */
  startPulsing(interval: number): void {
    this.#timer = setInterval(() => {
      for (const { socket, lost } of this.#held) if (lost === undefined) socket.write("pulse\n");
    }, interval);
  }

  stopPulsing(): void {
    clearInterval(this.#timer);
  }

  /** Sends one line on each connection and waits for it to come back. Returns how many answered in time. */
  async probe(timeout: number): Promise<number> {
    const answers = this.#held.map((held) => probeOne(held, timeout));
    return (await Promise.all(answers)).filter(Boolean).length;
  }

  close(): void {
    this.stopPulsing();
    for (const { socket } of this.#held) {
      socket.removeAllListeners("close");
      socket.destroy();
    }
  }
}

async function open(address: string, port: number, timeout: number): Promise<Held> {
  const socket = createConnection({ host: address, port });
  socket.setEncoding("utf8");
  socket.setNoDelay(true);
  try {
    const [greeting] = (await withTimeout(`greeting from ${address} port ${port}`, timeout, once(socket, "data"))) as [
      string,
    ];
    const [name = "", peer = ""] = greeting.trim().split(" ");
    const held: Held = { socket, name, peer, echoed: 0, lost: undefined };
    socket.on("data", (text: string) => {
      held.echoed += text.split("\n").length - 1;
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      held.lost ??= error.code ?? error.message;
    });
    socket.on("close", () => {
      held.lost ??= "closed";
    });
    return held;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function probeOne(held: Held, timeout: number): Promise<boolean> {
  if (held.lost !== undefined) return false;
  // The line is a mark of its own, so that the echoes of earlier pulses are not taken for it.
  const mark = `probe-${Math.random()}`;
  let seen = "";
  return await new Promise<boolean>((resolve) => {
    const finish = (answered: boolean) => {
      clearTimeout(timer);
      held.socket.off("data", take);
      if (!answered) held.lost ??= `no echo in ${timeout} ms`;
      resolve(answered);
    };
    const take = (text: string) => {
      seen += text;
      if (seen.includes(mark)) finish(true);
    };
    const timer = setTimeout(() => finish(false), timeout);
    held.socket.on("data", take);
    held.socket.write(`${mark}\n`);
  });
}
