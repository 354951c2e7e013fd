import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import type { Socket } from "node:net";
import { messageOf } from "../errors.ts";
import { openSocket, openTls, requirePin, type TlsTarget } from "./tls-client.ts";

/** A syslog server: RFC 5425 (TLS), RFC 6587 with octet counting (TCP), RFC 5426 (UDP). */
export type SyslogChannel = {
  /** Resolves when the kernel has the message: syslog knows no receipt. Throws when the connection is broken. */
  send(message: Buffer): Promise<void>;
  /** Throws the reason when the connection has ended. */
  check(): void;
  close(): void;
};

export type SyslogServer = TlsTarget & { transport: "tls" | "tcp" | "udp" };

export async function openSyslog(server: SyslogServer): Promise<SyslogChannel> {
  return server.transport === "udp" ? await openDatagrams(server) : await openStream(server);
}

async function openStream(server: SyslogServer): Promise<SyslogChannel> {
  const plain = await openSocket(server);
  let socket: Socket = plain;
  try {
    if (server.transport === "tls") {
      const secured = await openTls(server, plain);
      requirePin(server, secured);
      socket = secured;
    }
  } catch (error) {
    plain.destroy();
    throw error;
  }
  let ended: Error | undefined;
  const end = (error: Error) => {
    ended ??= error;
    socket.destroy();
  };
  plain.setKeepAlive(true, 30_000);
  socket.on("error", end);
  // A server that hangs up says so by end; half a connection is of no use.
  socket.on("end", () => end(new Error("the server closed the connection")));
  socket.on("close", () => end(new Error("the connection is closed")));
  // It has nothing to say; unread it would hold up the end of the connection.
  socket.resume();
  const check = () => {
    if (ended) throw ended;
  };
  return {
    check,
    send(message) {
      check();
      return new Promise((resolve, reject) => {
        const stuck = setTimeout(
          () => end(new Error(`the server took nothing for ${server.timeout / 1000} s`)),
          server.timeout,
        );
        const frame = Buffer.concat([Buffer.from(`${message.length} `), message]);
        const finish = (error?: Error | null) => {
          clearTimeout(stuck);
          if (error ?? ended) reject(ended ?? error);
          else resolve();
        };
        socket.write(frame, finish);
      });
    },
    close: () => void socket.end(() => socket.destroy()),
  };
}

async function openDatagrams({ host, port }: SyslogServer): Promise<SyslogChannel> {
  // First, since the kind of the socket follows from it; and a connect that has no address to go to would not say so.
  const { address, family } = await lookup(host).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot connect to ${host}:${port}: ${error.code ?? error.message}`, { cause: error });
  });
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  let failed: Error | undefined;
  // ECONNREFUSED, by ICMP: the message before is lost, the next may arrive.
  socket.on("error", (error) => {
    failed = error;
  });
  try {
    await connectDatagrams(socket, port, address);
  } catch (error) {
    socket.close();
    throw new Error(`cannot connect to ${host}:${port}: ${messageOf(error)}`, { cause: error });
  }
  return {
    check() {
      const error = failed;
      failed = undefined;
      if (error) throw error;
    },
    send: (message) => new Promise((done, fail) => socket.send(message, (error) => (error ? fail(error) : done()))),
    close: () => socket.close(),
  };
}

/** Node hands what goes wrong to the same function. */
function connectDatagrams(socket: DatagramSocket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) =>
    socket.connect(port, address, ((error?: Error) => (error ? reject(error) : resolve())) as () => void),
  );
}
