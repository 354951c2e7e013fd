import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { decoyHash } from "../access/password.ts";
import { type User, user } from "../access/schema.ts";
import { setUpServer } from "./testing.ts";

const farm = { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };
const json = { "content-type": "application/json" };

/** A request in raw bytes on a socket; gives back what came until the server ended it, or until it was silent. */
async function speak(path: string, ...parts: string[]): Promise<string> {
  const socket = connect(path);
  let answer = "";
  const ended = new Promise<void>((resolve) => {
    socket.on("data", (part) => {
      answer += part;
    });
    socket.on("error", () => {}).on("close", () => resolve());
  });
  for (const part of parts) {
    socket.write(part);
    await Promise.race([ended, sleep(parts.length > 1 ? 100 : 0)]);
  }
  await Promise.race([ended, sleep(2_000)]);
  socket.destroy();
  return answer;
}

const close = "Connection: close\r\n";
const get = (path: string, more = "") => `GET /api/v1${path} HTTP/1.1\r\nHost: lb\r\n${close}${more}\r\n`;

async function listen(t: Test) {
  const box = await setUpServer(t);
  const anna: User = { ...user.parse({ roles: ["operator"] }), passwordHash: decoyHash };
  const setAnna = (roles: string[]) =>
    box.control.commit({
      author: { user: "admin", source: "local" },
      message: "users",
      change: (now) => ({ ...now, users: { admin: now.users.admin as User, anna: { ...anna, roles } } }),
    });
  await setAnna(["operator"]);
  await box.server.listen();
  const root = box.machine.path("/run/steelyard/api.sock");
  return { ...box, root, own: box.machine.path("/run/steelyard/users/anna/api.sock"), setAnna };
}

t.test("what the parser of HTTP refuses is a problem like any other, on every socket", async (t) => {
  const { root, own } = await listen(t);
  const cases: [string, string, number, string][] = [
    ["no HTTP", "nonsense\r\n\r\n", 400, "bad-input"],
    ["no method", "BREW /pot HTTP/1.1\r\nHost: lb\r\n\r\n", 400, "bad-input"],
    ["no Host", "GET /api/v1/farms HTTP/1.1\r\nConnection: close\r\n\r\n", 400, "bad-input"],
    ["long fields", get("/farms", `X-Long: ${"a".repeat(20_000)}\r\n`), 431, "too-large"],
    ["a long address", get(`/farms?name=${"a".repeat(20_000)}`), 431, "too-large"],
    ["what nobody can do", get("/farms", "Expect: miracles\r\n"), 400, "bad-input"],
    ["two lengths", get("/farms", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400, "bad-input"],
  ];
  const star = await speak(root, `OPTIONS * HTTP/1.1\r\nHost: lb\r\n${close}\r\n`);
  t.match(star, /^HTTP\/1.1 204 [\s\S]*allow: [A-Z, ]*PATCH[A-Z, ]*OPTIONS/i);
  for (const path of [root, own])
    for (const [name, request, status, code] of cases) {
      const answer = await speak(path, request);
      const [head = "", body = ""] = answer.split("\r\n\r\n");
      t.match(head, new RegExp(`^HTTP/1.1 ${status} [\\s\\S]*application/problem\\+json`, "i"), name);
      t.match(head, /content-security-policy: default-src 'none'/i, name);
      t.match(JSON.parse(body), { status, code, detail: String, requestId: /^[0-9a-f-]{36}$/ }, name);
      t.match(head, /request-id: [0-9a-f-]{36}/i, name);
    }
});

t.test("a body is asked for once it is known that it will be read", async (t) => {
  const { root, own, control } = await listen(t);
  const body = JSON.stringify({ name: "web", ...farm });
  const post = (path: string, length: number) =>
    `POST /api/v1${path} HTTP/1.1\r\nHost: lb\r\n${close}Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
  t.match(await speak(own, post("/access/users", 100)), /^HTTP\/1.1 403 /, "whoever may not is told so first");
  t.match(await speak(root, post("/farms", 9_000_000)), /^HTTP\/1.1 413 [\s\S]*1048576 bytes/);
  t.match(
    await speak(own, post("/farms", body.length), body),
    /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 201 [\s\S]*"name":"web"/,
  );
  t.ok(control.current().configuration.farms.web);
});

t.test(
  "whose shell is taken away, and whoever is there when the agent stops, gets the answer that is under way",
  async (t) => {
    const { server, own, setAnna } = await listen(t);
    const head = `POST /api/v1/farms?dryRun=true HTTP/1.1\r\nHost: lb\r\n${close}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{`;
    const begin = async (): Promise<[Socket, Promise<string>]> => {
      const socket = connect(own);
      let answer = "";
      const ended = new Promise<string>((resolve) => {
        socket.on("data", (part) => {
          answer += part;
        });
        socket.on("error", () => {}).on("close", () => resolve(answer));
      });
      socket.write(head);
      await sleep(200);
      return [socket, ended];
    };
    const [first, firstEnd] = await begin();
    await setAnna(["read-only"]);
    await server.follow();
    await t.rejects(
      begin().then(([, ended]) => ended.then((text) => text || Promise.reject(new Error("none")))),
      "closed",
    );
    first.write("}");
    t.match(await firstEnd, /^HTTP\/1.1 400 /, "with the rights it had when it began");
    await setAnna(["operator"]);
    await server.follow();
    const [second, secondEnd] = await begin();
    const closing = server.close();
    await sleep(100);
    second.write("}");
    t.match(await secondEnd, /^HTTP\/1.1 400 /);
    await closing;
  },
);

t.test("methods, addresses, media types and bodies that make no sense are told what would", async (t) => {
  const { server, control } = await setUpServer(t);
  const ask = (method: string, path: string, payload?: string, headers: Record<string, string> = json) =>
    server.local.inject({ method: method as "GET", url: `/api/v1${path}`, headers, ...(payload ? { payload } : {}) });
  const refused = async (line: Parameters<typeof ask>, status: number, words: RegExp) => {
    const answer = await ask(...line);
    t.equal(answer.statusCode, status, `${line[0]} ${line[1]}: ${answer.body}`);
    t.match(answer.json().detail, words);
  };
  const options = await ask("OPTIONS", "/farms", undefined, {});
  t.match(options, { statusCode: 204, body: "", headers: { allow: "GET, HEAD, POST, OPTIONS" } });
  t.notOk(
    Object.keys(options.headers).some((name) => name.startsWith("access-control")),
    "no CORS",
  );
  t.equal((await ask("OPTIONS", "/nothing", undefined, {})).statusCode, 404);
  await refused(["GET", "/farms/", undefined, {}], 404, /nothing at \/api\/v1\/farms\/: expected a name/);
  await refused(["POST", "/farms/", "{}"], 404, /nothing at/);
  await refused(["POST", "/farms", "{}", { "content-type": "text/plain" }], 415, /expected application\/json/);
  await refused(["POST", "/farms", "{}", { "content-type": "application/merge-patch+json" }], 415, /PATCH alone/);
  await refused(["POST", "/farms", "{}", { ...json, "content-encoding": "gzip" }], 415, /Content-Encoding/);
  const number = await ask(
    "POST",
    "/farms",
    `{"name":"web","profile":"l4xnat","ports":7,"backends":{"b1":{"weight":1e30}}}`,
  );
  t.same(
    number
      .json()
      .problems.map(({ path, message }: { path: string; message: string }) => `${path}: ${message}`)
      .sort(),
    [
      "farms.web.backends.b1.address: expected a text, but the field is missing",
      "farms.web.backends.b1.weight: expected a whole number from 1 to 255",
      "farms.web.ports: expected a list, not a number",
      "farms.web.virtualAddresses: expected a list, but the field is missing",
    ],
    "each field once, in words",
  );
  for (const body of ["[]", "null", "1", '"text"', ""])
    await refused(["POST", "/farms", body], 400, /^farms: expected a JSON object$/);
  await refused(["PATCH", "/system", "[]"], 400, /^system: expected a JSON object$/);
  const deep = `{"x":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`;
  await refused(["PATCH", "/system", deep], 400, /at most 64 objects and lists in each other/);
  await refused(["POST", "/farms", "x".repeat(1024 * 1024 + 1)], 413, /at most 1048576 bytes/);
  const text = await ask("PATCH", "/system", `{"hostname":"lb1","console":{}}`);
  t.equal(text.statusCode, 200);
  t.match(
    (await ask("POST", "/farms", `\ufeff${JSON.stringify({ name: "web", ...farm, description: '"[{\\' })}`)).json(),
    {
      description: '"[{\\',
    },
  );
  t.equal((await ask("DELETE", "/farms/web")).statusCode, 204, "a media type without a body is harmless");
  t.notOk(control.current().configuration.farms.web);
});

t.test("entity tags are compared as RFC 9110 has it", async (t) => {
  const { server } = await setUpServer(t);
  const made = await server.local.inject({ method: "POST", url: "/api/v1/farms", payload: { name: "web", ...farm } });
  const tag = String(made.headers.etag);
  const status = async (method: string, path: string, headers: Record<string, string>, payload?: object) =>
    (
      await server.local.inject({
        method: method as "GET",
        url: `/api/v1${path}`,
        headers,
        ...(payload ? { payload } : {}),
      })
    ).statusCode;
  for (const method of ["GET", "HEAD"]) {
    for (const list of [tag, `W/${tag}`, `"a,b", W/${tag}`, "*"])
      t.equal(await status(method, "/farms/web", { "if-none-match": list }), 304, `${method} ${list}`);
    t.equal(await status(method, "/farms/web", { "if-none-match": '"a,b"' }), 200);
  }
  const description = String((await server.local.inject("/api/v1/openapi.json")).headers.etag);
  t.equal(await status("GET", "/openapi.json", { "if-none-match": description }), 304, "the description has a tag");
  const whole = String((await server.local.inject("/api/v1/configuration")).headers.etag);
  t.equal(
    await status("GET", "/configuration", { "if-none-match": whole }),
    304,
    "the whole configuration has a tag too",
  );
  t.equal(
    await status("PUT", "/farms/web", { "if-match": `W/${tag}` }, farm),
    412,
    "a weak tag is not enough to change",
  );
  t.equal(await status("PUT", "/farms/web", { "if-none-match": `W/${tag}` }, farm), 412);
  t.equal(await status("PUT", "/farms/web", { "if-none-match": "star" }, farm), 400, "no condition passes unread");
  t.equal(await status("PUT", "/farms/web", { "if-match": `"x", ${tag}` }, farm), 200);
  const gone = await server.local.inject({
    method: "PUT",
    url: "/api/v1/farms/new",
    headers: { "if-match": "*" },
    payload: farm,
  });
  t.match(gone.json(), { code: "stale", detail: "there is no farm new any more" });
});
