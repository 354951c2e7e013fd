import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import t from "tap";
import { makeMachine } from "./machine.ts";
import { encodeQuestion, type Probe, probe } from "./probe.ts";

/** Probes against real servers on loopback. ICMP and the way by an uplink: agent/netns-tests/dslb.test.ts. */

let port = 21_000;
const ask = async (target: Partial<Probe>, timeout = 2_000) => {
  const way = { localAddress: "127.0.0.1", localPort: port++, mark: 0, interface: "lo" };
  const whole = { type: "tcp", address: "127.0.0.1", name: "example.com", path: "/", ...target } as Probe;
  return await probe(makeMachine(), whole, way, timeout);
};

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

t.test("tcp: a connection is enough, and a refusal or silence is told", async (t) => {
  const from: number[] = [];
  const open = await listen(
    createTcpServer((socket) => {
      from.push(socket.remotePort ?? 0);
      socket.on("error", () => {});
    }),
  );
  const expected = port;
  t.equal(await ask({ port: open }), undefined);
  t.same(from, [expected], "it comes from the port that picks the uplink");
  t.equal(await ask({ port: 1 }), "ECONNREFUSED");
});

t.test("http: the status counts", async (t) => {
  const hosts: (string | undefined)[] = [];
  const web = await listen(
    createServer((request, response) => {
      hosts.push(request.headers.host);
      if (request.url === "/slow") return;
      response.statusCode = request.url === "/gone" ? 410 : 204;
      response.end();
    }),
  );
  t.equal(await ask({ type: "http", port: web }), undefined);
  t.equal(await ask({ type: "http", port: web, path: "/gone", host: "check.example.com" }), "status 410");
  t.equal(await ask({ type: "http", port: web, path: "/gone", status: 410 }), undefined);
  t.equal(await ask({ type: "http", port: web, status: 200 }), "status 204");
  t.equal(await ask({ type: "http", port: web, path: "/slow" }, 200), "no answer in time");
  t.same(hosts[1], "check.example.com");
});

t.test("dns: an answer to the question counts, a name that is not there too; failure and silence do not", async (t) => {
  const server = createSocket("udp4");
  t.teardown(() => server.close());
  let code = 0;
  server.on("message", (message, from) => {
    if (code < 0) return;
    const answer = Buffer.from(message);
    answer[2] = 0x81;
    answer[3] = code;
    const stranger = Buffer.from(answer);
    stranger.writeUInt16BE((answer.readUInt16BE(0) + 1) & 0xffff, 0);
    stranger[3] = 5;
    server.send(stranger, from.port, from.address);
    server.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const dns = { type: "dns", port: server.address().port } as const;
  t.equal(await ask(dns), undefined);
  code = 3;
  t.equal(await ask(dns), undefined);
  code = 2;
  t.equal(await ask(dns), "the server answers with code 2");
  code = -1;
  t.equal(await ask(dns, 200), "no answer in time");
  t.equal(
    encodeQuestion(0x1234, "a.example").toString("hex"),
    `123401000001000000000000${"0161"}${"076578616d706c65"}0000010001`,
  );
});
