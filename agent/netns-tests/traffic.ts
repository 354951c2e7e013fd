import { createSocket } from "node:dgram";
import { connect, createServer, type Socket } from "node:net";

/**
 * The client or a backend of the namespace tests, as a process of its own inside its namespace, driven over Node's IPC
 * channel: one request, one answer. A backend says who it is, the port it was reached on and whom it sees:
 * `b1 8080 10.9.1.2`, and echoes what it is sent from then on.
 */
export type Request =
  | { ask: "serve"; name: string; tcp: number[]; udp: number[] }
  | { ask: "connect"; host: string; port: number; count: number; at?: number; patience?: number }
  | { ask: "send"; host: string; port: number; count: number }
  | { ask: "hold"; host: string; port: number; count: number }
  | { ask: "held"; within: number }
  | { ask: "release" };

/** Of a connection that is held: whether the backend answered in the time asked about. */
export type Held = { greeting: string; alive: boolean };

/** Milliseconds to wait for an answer: a lost first packet is sent again after a second. */
const longPatience = 1_500;
const held: { socket: Socket; greeting: string; answered: number; ended: boolean }[] = [];

const handlers: { [Ask in Request["ask"]]: (request: Extract<Request, { ask: Ask }>) => Promise<unknown> } = {
  serve: async ({ name, tcp, udp }) => {
    const greet = (port: number, client: string | undefined) => `${name} ${port} ${client?.replace("::ffff:", "")}\n`;
    await Promise.all([
      ...tcp.map(
        (port) =>
          new Promise<void>((resolve) => {
            const server = createServer((socket) => {
              socket.on("error", () => {});
              socket.write(greet(port, socket.remoteAddress));
              socket.pipe(socket);
            });
            server.listen({ port, host: "::", backlog: 4096 }, () => resolve());
          }),
      ),
      ...udp.flatMap((port) =>
        (["udp4", "udp6"] as const).map(
          (type) =>
            new Promise<void>((resolve) => {
              const socket = createSocket({ type, ipv6Only: type === "udp6" });
              socket.on("message", (_message, from) => socket.send(greet(port, from.address), from.port, from.address));
              socket.bind(port, () => resolve());
            }),
        ),
      ),
    ]);
  },
  connect: async ({ host, port, count, at = 1, patience = longPatience }) => {
    const answers: string[] = [];
    let left = count;
    const work = async () => {
      while (left-- > 0) answers.push(await greetOnce(host, port, patience));
    };
    await Promise.all(Array.from({ length: at }, work));
    return answers;
  },
  send: async ({ host, port, count }) => {
    const answers: string[] = [];
    for (let at = 0; at < count; at++) answers.push(await sendOnce(host, port));
    return answers;
  },
  hold: async ({ host, port, count }) => {
    await Promise.all(Array.from({ length: count }, () => holdOne(host, port)));
    return held.length;
  },
  held: async ({ within }) =>
    held.map(({ greeting, answered, ended }): Held => ({ greeting, alive: !ended && Date.now() - answered <= within })),
  release: async () => {
    for (const { socket } of held.splice(0)) socket.destroy();
  },
};

/** The greeting without its line end, or what went wrong: `timeout`, `ECONNREFUSED`, `ECONNRESET`. */
async function greetOnce(host: string, port: number, patience: number): Promise<string> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (answer: string) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(patience, () => finish("timeout"));
    socket.on("error", ({ message, code }: NodeJS.ErrnoException) => finish(code ?? message));
    socket.on("data", (data) => finish(String(data).trim()));
  });
}

async function sendOnce(host: string, port: number): Promise<string> {
  return await new Promise((resolve) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const finish = (answer: string) => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => finish("timeout"), longPatience);
    socket.on("error", ({ message }) => finish(message));
    socket.on("message", (data) => finish(String(data).trim()));
    socket.send("hello", port, host);
  });
}

/** A connection that says something twenty times a second and notes when it was last answered. */
async function holdOne(host: string, port: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect({ host, port });
    const entry = { socket, greeting: "", answered: 0, ended: false };
    held.push(entry);
    const end = () => {
      entry.ended = true;
      clearInterval(beat);
      resolve();
    };
    socket.setNoDelay(true);
    socket.on("error", end);
    socket.on("close", end);
    socket.on("data", (data) => {
      entry.greeting ||= String(data).split("\n")[0] ?? "";
      entry.answered = Date.now();
      resolve();
    });
    const beat = setInterval(() => socket.write("."), 50);
  });
}

process.on("message", ({ id, request }: { id: number; request: Request }) => {
  const handler = handlers[request.ask] as (request: Request) => Promise<unknown>;
  handler(request).then(
    (answer) => process.send?.({ id, answer: answer ?? null }),
    (error) => process.send?.({ id, failure: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
