import { createServer } from "node:net";

/**
 * A backend that costs next to nothing, so that the box is what is measured: the first bytes of a request are answered with a
 * constant, and the connection is closed. Not HTTP in full, and enough for clients that send one small request.
 *
 *     node answer-server.ts PORT...
 */
const body = "steelyard\n";
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
);

const ports = process.argv.slice(2).map(Number);
let listening = 0;
for (const port of ports) {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(answer));
  });
  server.listen({ host: "0.0.0.0", port, backlog: 4096 }, () => {
    listening += 1;
    if (listening === ports.length) process.send?.("ready");
  });
}
