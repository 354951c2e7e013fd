import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { connect as connectTcp, createServer as createTcpServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import t, { type Test } from "tap";
import { decoyHash } from "../access/password.ts";
import { type User, user } from "../access/schema.ts";
import { ensureManagementCertificate, readManagementFingerprint } from "../certificates/management.ts";
import type { Limits } from "./application.ts";
import { findFreePort, setUpServer } from "./testing.ts";

/** Speaks TLS to the port and hands over the open connection. */
function openTls(port: number, options: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () =>
      resolve(socket),
    );
    socket.on("error", reject);
  });
}

/** One request on a connection that is closed after it; gives back the whole answer as text. */
async function ask(socket: TLSSocket, text: string): Promise<string> {
  socket.end(text);
  let answer = "";
  for await (const part of socket) answer += part;
  return answer;
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n`;

t.test("the local socket and HTTPS serve the same routes; the port follows the configuration", async (t) => {
  const { server, control, machine } = await setUpServer(t);
  const setPort = (port: number) =>
    control.commit({
      author: { user: "admin", source: "local" },
      message: "move",
      change: (now) => ({ ...now, system: { ...now.system, management: { interfaces: [], port } } }),
    });
  const [first, second] = [await findFreePort(), await findFreePort()];
  await setPort(first);
  await server.listen();
  const socketPath = machine.path("/run/steelyard/api.sock");
  t.equal((await stat(socketPath)).mode & 0o777, 0o600);
  const local = await new Promise<number | undefined>((resolve, reject) => {
    httpRequest({ socketPath, path: "/api/v1/farms" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
  t.equal(local, 200, "the socket's caller is admin");

  const answer = await ask(await openTls(first), get("/api/v1/farms"));
  t.match(answer, /^HTTP\/1.1 401 /);
  for (const header of [
    /strict-transport-security: max-age=\d+/i,
    /x-content-type-options: nosniff/i,
    /cache-control: no-store/i,
    /permissions-policy: camera=\(\), geolocation=\(\), microphone=\(\)/i,
    /content-security-policy: default-src 'none'/i,
    /request-id: [0-9a-f-]{36}/i,
  ])
    t.match(answer, header);
  t.notMatch(answer, /access-control|server:|x-powered-by/i);

  t.match(await ask(await openTls(first), "nonsense\r\n\r\n"), /^HTTP\/1.1 400 [\s\S]*problem\+json[\s\S]*bad-input/);
  const plain = connectTcp(first, "127.0.0.1");
  plain.write(get("/api/v1/farms"));
  let explained = "";
  for await (const part of plain) explained += part;
  t.match(explained, /^HTTP\/1.1 400 [\s\S]*problem\+json[\s\S]*begins with https:\/\//, "HTTP without TLS is told so");
  const modern = await openTls(first);
  t.equal(modern.getProtocol(), "TLSv1.3");
  t.equal(modern.getPeerCertificate().fingerprint256, await readManagementFingerprint(machine));
  modern.destroy();
  const older = await openTls(first, { maxVersion: "TLSv1.2" });
  t.match(older.getCipher().name, /^ECDHE-ECDSA-/);
  older.destroy();
  await t.rejects(openTls(first, { maxVersion: "TLSv1.1", minVersion: "TLSv1" }), "nothing older");

  await server.follow();
  const blocker = createTcpServer();
  await new Promise<void>((resolve) => blocker.listen(second, "::", resolve));
  await setPort(second);
  await server.follow();
  t.match(
    await ask(await openTls(first), get("/api/v1/farms")),
    /^HTTP\/1.1 401 /,
    "the old port is kept while the new one is taken",
  );
  await new Promise((resolve) => blocker.close(resolve));
  await Promise.all([server.follow(), server.follow()]);
  t.match(await ask(await openTls(second), get("/api/v1/farms")), /^HTTP\/1.1 401 /);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await t.rejects(
    new Promise((resolve, reject) => connectTcp(first, "127.0.0.1", () => resolve(0)).on("error", reject)),
    "the old port is closed",
  );
  await server.close();
  await t.rejects(stat(socketPath), "the socket is gone");
});

t.test("a user with a shell has a socket of its own, and acts there as itself", async (t) => {
  const { server, control, machine } = await setUpServer(t);
  const anna = { ...user.parse({ roles: ["operator"] }), passwordHash: decoyHash };
  const setUsers = (more: object) =>
    control.commit({
      author: { user: "admin", source: "local" },
      message: "users",
      change: (now) => ({ ...now, users: { admin: now.users.admin as User, ...more } }),
    });
  await setUsers({ anna, eve: { ...anna, roles: ["read-only"] } });
  await server.listen();
  const socketOf = (name: string) => machine.path(`/run/steelyard/users/${name}/api.sock`);
  const ask = (name: string, path: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      httpRequest({ socketPath: socketOf(name), path: `/api/v1${path}` }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on("error", reject)
        .end();
    });
  t.equal((await stat(socketOf("anna"))).mode & 0o777, 0o600);
  t.equal(await ask("anna", "/farms"), 200);
  t.equal(await ask("anna", "/access/users"), 403, "with the rights of an operator");
  await t.rejects(ask("eve", "/farms"), { code: "ENOENT" }, "who has no shell has no socket");
  await setUsers({ anna: { ...anna, roles: ["read-only"] } });
  t.equal(await ask("anna", "/farms"), 401, "the rights of now, also before the socket is gone");
  await server.follow();
  await t.rejects(ask("anna", "/farms"), { code: "ENOENT" });
});

t.test("before the first boot only the local socket answers", async (t) => {
  const { server, control, machine, log } = await setUpServer(t, { withUser: false });
  const port = await findFreePort();
  await server.listen();
  t.ok((await stat(machine.path("/run/steelyard/api.sock"))).isSocket());
  t.same(log, [], "nothing was opened, and nothing was wrong");
  await control.commit({
    author: { user: "admin", source: "console" },
    message: "first boot",
    change: (now) => ({ ...now, system: { ...now.system, management: { interfaces: [], port } } }),
  });
  await server.follow();
  (await openTls(port)).destroy();
});

t.test("the management certificate is made once, and never over a damaged one", async (t) => {
  const { machine } = await setUpServer(t);
  const made = await ensureManagementCertificate(machine, "lb1.example.com");
  const again = await ensureManagementCertificate(machine, "other.example.com");
  t.same(again, made);
  t.match(made.fingerprint, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  const [key, certificate] = ["key", "certificate"].map((name) => machine.path(`/config/local/api/${name}.pem`)) as [
    string,
    string,
  ];
  t.equal((await stat(key)).mode & 0o777, 0o600);
  const { stdout } = await machine.run([
    "openssl",
    "x509",
    "-in",
    certificate,
    "-noout",
    "-ext",
    "subjectAltName",
    "-fingerprint",
    "-sha256",
  ]);
  t.match(stdout, "DNS:steelyard");
  t.match(stdout, made.fingerprint);

  const good = await readFile(certificate, "utf8");
  await writeFile(certificate, good.slice(0, 200));
  await t.rejects(ensureManagementCertificate(machine, "lb1"), { code: "corrupt", message: /is damaged/ });
  t.equal((await readFile(certificate, "utf8")).length, 200, "it is left as it is");
  await machine.run(["rm", certificate]);
  t.not(
    (await ensureManagementCertificate(machine, "lb1")).certificate,
    good,
    "a missing one is made, for the same key",
  );
  await chmod(key, 0o600);
  await machine.run(["rm", key]);
  await t.rejects(ensureManagementCertificate(machine, "lb1"), { code: "corrupt", message: /does not belong/ });
});

/** Opens HTTPS with narrow limits; `ended` waits for the end of a connection and gives back what came on it. */
async function setUpLimited(t: Test, limits: Partial<Limits>) {
  const box = await setUpServer(t, { limits });
  const port = await findFreePort();
  await box.control.commit({
    author: { user: "admin", source: "local" },
    message: "port",
    change: (now) => ({ ...now, system: { ...now.system, management: { interfaces: [], port } } }),
  });
  await box.server.listen();
  const ended = (socket: TLSSocket) =>
    new Promise<string>((resolve) => {
      let answer = "";
      socket.on("data", (part) => {
        answer += part;
      });
      socket.on("error", () => {}).on("close", () => resolve(answer));
    });
  return { ...box, port, ended };
}

t.test("a client that sends its request drop by drop is cut off", async (t) => {
  const limits = { headersTimeout: 1_500, requestTimeout: 3_000, slowness: 100 };
  const { port, ended } = await setUpLimited(t, limits);
  const started = Date.now();
  const slow = await openTls(port);
  const answer = ended(slow);
  slow.write("GET /api/v1/farms HTTP/1.1\r\nHost: lb\r\n");
  let drops = 0;
  const drip = setInterval(() => {
    drops += 1;
    if (slow.writable) slow.write(`X-Drop-${drops}: a\r\n`);
  }, 50);
  t.teardown(() => clearInterval(drip));
  const silent = await openTls(port);
  const body = await openTls(port);
  body.write(
    "POST /api/v1/sessions HTTP/1.1\r\nHost: lb\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
  );
  const [headers, nothing, half] = await Promise.all([answer, ended(silent), ended(body)]);
  t.match(headers, /^HTTP\/1.1 408 [\s\S]*problem\+json[\s\S]*did not arrive in time/, "header fields");
  t.notMatch(nothing, /HTTP\/1.1 [^4]/, "nothing at all");
  t.match(half, /^HTTP\/1.1 408 /, "the body");
  t.ok(drops > 2, "it was sending until the end");
  t.ok(Date.now() - started < 60_000);
  t.match(await ask(await openTls(port), get("/api/v1/farms")), /^HTTP\/1.1 401 /, "others are served");
});

t.test("one address has a number of connections, and others have theirs", async (t) => {
  const { port } = await setUpLimited(t, { connectionsPerAddress: 3 });
  const open = await Promise.all([1, 2, 3].map(() => openTls(port)));
  await t.rejects(openTls(port), /ECONNRESET|disconnected/, "one more is refused");
  const other = await openTls(port, { localAddress: "127.0.0.2" });
  t.match(await ask(other, get("/api/v1/farms")), /^HTTP\/1.1 401 /, "another address is served");
  open[0]?.destroy();
  let again: TLSSocket | undefined;
  for (let tries = 0; tries < 50 && !again; tries += 1) {
    again = await openTls(port).catch(() => undefined);
    if (!again) await sleep(20);
  }
  t.ok(again, "a place that is free again is taken");
  for (const socket of [...open, again]) socket?.destroy();
});

t.test("closing answers what is under way, ends what is idle, and waits for nobody for ever", async (t) => {
  const { server, port, ended } = await setUpLimited(t, {
    drain: 5_000,
    headersTimeout: 60_000,
    requestTimeout: 60_000,
  });
  const idle = await openTls(port);
  idle.write("GET /api/v1/farms HTTP/1.1\r\nHost: lb\r\n\r\n");
  await new Promise((resolve) => idle.once("data", resolve));
  const half =
    "POST /api/v1/sessions HTTP/1.1\r\nHost: lb\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{";
  const [busy, stuck] = [await openTls(port), await openTls(port)];
  const [idleEnd, busyEnd, stuckEnd] = [idle, busy, stuck].map(ended);
  busy.write(half);
  stuck.write(half);
  // Until the server has them: what has not arrived when it closes is not under way.
  await sleep(500);
  const closing = server.close();
  await idleEnd;
  busy.write("}");
  t.match(await busyEnd, /^HTTP\/1.1 400 [\s\S]*connection: close/i, "the request under way is answered");
  t.equal(await stuckEnd, "", "the one that never comes is cut off");
  await closing;
  await t.rejects(openTls(port), { code: "ECONNREFUSED" });
});

t.test("a route without a permission does not register", async (t) => {
  const { server } = await setUpServer(t);
  t.throws(() => server.local.get("/api/v1/secret", async () => "x"), /does not say which permission it needs/);
});

t.test("an address that asks too much is told to wait", async (t) => {
  const { https } = await setUpServer(t, { limits: { requestsPerMinute: 60 } });
  let refused = 0;
  for (let count = 0; count < 61; count += 1) {
    const answer = await https.inject(count % 2 ? "/api/v1/nothing" : "/api/v1/farms");
    if (answer.statusCode === 429) refused += 1;
  }
  t.equal(refused, 1);
  const answer = await https.inject("/api/v1/openapi.json");
  t.match(answer, { statusCode: 429, headers: { "retry-after": /^\d\d?$/ } });
  t.match(answer.json(), { code: "too-many-requests" });
});
