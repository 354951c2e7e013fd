import { createSocket } from "node:dgram";
import { createServer as createHttpServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { backendPorts } from "../lab/plan.ts";

/**
 * A backend of the lab: its own process in its own namespace. On every port it tells its name and the address it sees the
 * client at, which is how a test knows who answered and whether the source was translated.
 *
 *     node backend-server.ts NAME
 */
const name = process.argv[2] ?? "unnamed";

/** A socket on `::` shows IPv4 peers as mapped addresses (RFC 4291, 2.5.5.2). */
const plainAddress = (address: string | undefined) => (address ?? "").replace(/^::ffff:/, "");

for (const port of [backendPorts.http, backendPorts.alternativeHttp]) {
  const server = createHttpServer((request, response) => {
    const answer = { name, peer: plainAddress(request.socket.remoteAddress), port };
    response.writeHead(200, { "content-type": "application/json", connection: "close" });
    response.end(`${JSON.stringify(answer)}\n`);
  });
  server.listen({ host: "::", port, backlog: 1024 });
}

/** Greets with name and peer, then sends back every line: a connection whose life a client can watch. */
const echo = createTcpServer((socket) => {
  socket.on("error", () => socket.destroy());
  socket.write(`${name} ${plainAddress(socket.remoteAddress)}\n`);
  socket.pipe(socket);
});
echo.listen({ host: "::", port: backendPorts.echo, backlog: 1024 });

// Two sockets: an answer must leave from the address that was asked, which one on `::` would not promise for IPv4.
for (const type of ["udp4", "udp6"] as const) {
  const socket = createSocket({ type, ipv6Only: type === "udp6" });
  socket.on("message", (_, peer) => socket.send(`${name} ${peer.address}`, peer.port, peer.address));
  socket.bind(backendPorts.udp);
}

process.send?.("ready");
