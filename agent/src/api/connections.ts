import type { Server, Socket } from "node:net";
import { attemptKey, clientAddress } from "../access/address.ts";

/**
 * Holds the open connections of one address (IPv6: of one /64) to a number, so that no single client takes all that the
 * server has. Beyond it a connection is closed before its handshake: an answer would cost more than the client's next try.
 */
export function limitConnections(server: Server, most: number): void {
  const open = new Map<string, number>();
  server.on("connection", (socket: Socket) => {
    const from = attemptKey(clientAddress({ ip: socket.remoteAddress }));
    const count = (open.get(from) ?? 0) + 1;
    if (count > most) {
      socket.destroy();
      return;
    }
    open.set(from, count);
    socket.once("close", () => {
      const left = (open.get(from) ?? 1) - 1;
      if (left > 0) open.set(from, left);
      else open.delete(from);
    });
  });
}
