import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeMachine } from "../../adapters/machine.ts";
import { password, quiet, setUpServer } from "../../api/testing.ts";
import { certificate } from "../../certificates/schema.ts";
import { makeControl } from "../../commit/commit.ts";
import { type Configuration, collections, singletons } from "../../configuration/schema.ts";
import { openStore } from "../../configuration/store.ts";
import { directory } from "../directory/schema.ts";
import { apiKey, user } from "../schema.ts";
import { auditControl, openAudit } from "./audit.ts";
import type { AuditRecord } from "./record.ts";

/** What somebody does who would rather not stand in the log, or would push others out of it. */

async function setUp(t: Test, options: Parameters<typeof setUpServer>[1] = {}) {
  const box = await setUpServer(t, options);
  const { server, https, machine } = box;
  const records = async (query = ""): Promise<AuditRecord[]> =>
    (await server.local.inject({ url: `/api/v1/access/audit${query}` })).json().items;
  const verify = async () => (await server.local.inject({ url: "/api/v1/access/audit/verify" })).json();
  const directory = machine.path("/data/audit");
  const text = async () => {
    // The answer to a refusal does not wait for its record; this does.
    await verify();
    const names = (await fs.readdir(directory)).sort();
    return (await Promise.all(names.map((name) => fs.readFile(join(directory, name), "utf8")))).join("");
  };
  const post = async (url: string, payload: object, headers: Record<string, string> = {}) =>
    await https.inject({ method: "POST", url: `/api/v1${url}`, payload, headers });
  return { ...box, records, text, post, directory, verify };
}

t.test("a body of a megabyte makes a record of a few kilobytes", async (t) => {
  const { post, records, text } = await setUp(t);
  const keys = Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`field-${at}`, 1]));
  t.equal((await post("/sessions/second-factor", keys)).statusCode, 400);
  const before = await records();
  t.match(before[0], { operation: "beginRequiredSecondFactor", status: 400 });
  t.equal(before[0]?.problems?.length, 50);
  t.ok((before[0]?.omitted ?? 0) > 49_000);
  const name = "x".repeat(900_000);
  t.equal((await post("/sessions", { user: name, password: "no" })).statusCode, 400);
  t.equal((await post("/sessions/second-factor", { [name]: 1 })).statusCode, 400);
  t.ok((await text()).length < 30_000, `${(await text()).length} bytes`);
});

t.test("failures that a stranger can cause are limited as refusals are", async (t) => {
  const { post, text } = await setUp(t, { withUser: false });
  for (let count = 0; count < 50; count += 1)
    t.equal((await post("/sessions", { user: "admin", password: "no" })).statusCode, 503);
  t.equal((await text()).trimEnd().split("\n").length, 20);
});

t.test("who hangs up before the answer stands in the log all the same", async (t) => {
  const { server, machine, control, records } = await setUp(t);
  await server.listen();
  const before = control.current().generation;
  const payload = JSON.stringify({ hostname: "quick" });
  const headers = { "content-type": "application/json", "content-length": payload.length };
  const socketPath = machine.path("/run/steelyard/api.sock");
  const request = httpRequest({ socketPath, method: "PATCH", path: "/api/v1/system", headers });
  request.on("error", () => undefined);
  control.subscribe(() => request.destroy());
  request.end(payload);
  for (let count = 0; count < 100 && (await records("?operation=patchSystem")).length === 0; count += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(request.destroyed, true);
  t.match(await records("?operation=patchSystem"), [{ result: "done", generation: before + 1 }]);
});

t.test("an answer that is given twice is one change", async (t) => {
  const { records, post, control } = await setUp(t);
  const { token } = (await post("/sessions", { user: "admin", password })).json();
  const headers = { authorization: `Bearer ${token}`, "idempotency-key": "12345678" };
  const group = { name: "web-team" };
  t.equal((await post("/access/groups", group, headers)).statusCode, 201);
  const { generation } = control.current();
  t.equal((await post("/access/groups", group, headers)).statusCode, 201);
  const [second, first] = await records("?operation=createGroup");
  t.match(first, { generation, message: "create group web-team" });
  t.match(second, { message: /^nothing was done/, generation: undefined, changes: undefined });
  t.notOk("generation" in (second ?? {}));
});

t.test("who has shown who he is, and is refused, is named", async (t) => {
  const { records, https, clock, post } = await setUp(t);
  const logIn = async (more = {}) => await post("/sessions", { user: "admin", password, ...more });
  const { token } = (await logIn()).json();
  const expires = new Date(clock.time + 3_600_000).toISOString();
  const made = await post("/access/api-keys", { roles: ["read-only"], expires }, { authorization: `Bearer ${token}` });
  t.equal(made.statusCode, 201, made.body);
  const { id, key } = made.json();
  const use = async (bearer: string) =>
    await https.inject({ url: "/api/v1/farms", headers: { authorization: `Bearer ${bearer}` } });
  const change = async (bearer: string) =>
    await https.inject({ method: "DELETE", url: "/api/v1/farms/web", headers: { authorization: `Bearer ${bearer}` } });
  t.equal((await change(key)).statusCode, 403);
  t.match((await records())[0], { user: "admin", means: `api-key:${id}`, result: "refused", status: 403 });
  clock.time += 3_700_000;
  t.equal((await use(key)).statusCode, 401);
  t.match((await records())[0], {
    user: "admin",
    means: "none",
    status: 401,
    message: `the API key ${id} has expired`,
  });
  t.equal((await use(`${key.slice(0, -1)}${key.endsWith("A") ? "B" : "A"}`)).statusCode, 401);
  t.match((await records())[0], { user: "", status: 401 }, "who only knows the name of a key is nobody");

  const page = await https.inject({
    method: "POST",
    url: "/api/v1/sessions",
    headers: { "sec-fetch-site": "same-origin" },
    payload: { user: "admin", password, cookie: true },
  });
  t.equal(page.statusCode, 201, page.body);
  const cookie = String(page.headers["set-cookie"]).split(";")[0] ?? "";
  const forged = await https.inject({ method: "DELETE", url: "/api/v1/farms/web", headers: { cookie } });
  t.equal(forged.statusCode, 403);
  t.match((await records())[0], { user: "admin", operation: "deleteFarm", result: "refused", status: 403 });
});

t.test("noise of strangers does not hide what an insider is refused", async (t) => {
  const { post, server, records } = await setUp(t);
  for (let count = 0; count < 70; count += 1) await post("/sessions/second-factor", { challenge: `${count}` }, {});
  await server.local.inject({ method: "DELETE", url: "/api/v1/farms/none" });
  t.match((await records())[0], { user: "admin", operation: "deleteFarm", result: "refused" });
});

t.test("a box whose audit log cannot be written says so", async (t) => {
  const { server, directory, verify, records, log } = await setUp(t);
  const status = async () => (await server.local.inject({ url: "/api/v1/system/status" })).json();
  const change = async (hostname: string) =>
    await server.local.inject({ method: "PATCH", url: "/api/v1/system", payload: { hostname } });
  t.match(await status(), { health: "ok", problems: [] });
  // A file in the place of the directory stops root as well.
  await fs.rm(directory, { recursive: true, force: true });
  await fs.writeFile(directory, "");
  t.equal((await change("one")).statusCode, 200, "the box goes on");
  t.match(await status(), { health: "degraded", problems: [/audit log cannot be written: 1 records/] });
  const said = log.filter((line) => /a record could not be written: ENOTDIR.*"patchSystem"/.test(line));
  t.equal(said.length, 1, "the journal has the record");
  await fs.rm(directory);
  await fs.mkdir(directory);
  await change("two");
  t.match(await verify(), { whole: true, unwritten: 0, records: 2 });
  t.match(await records(), [{ operation: "patchSystem" }, { operation: "auditLost", result: "failed" }]);
  t.match(await status(), { health: "ok", problems: [] });
});

t.test("a generation that is damaged is loud at each start: an event, the journal, and a record", async (t) => {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const machine = makeMachine({ root: t.testdir(), log: { info: say, warn: say, error: say } });
  const open = async () => makeControl(await openStore(machine.path("/config"), machine.log), [], machine);
  const first = await open();
  for (const hostname of ["one", "two"])
    await first.commit({
      author: { user: "admin", source: "local" },
      message: `name ${hostname}`,
      change: (current) => ({ ...current, system: { ...current.system, hostname } }),
    });
  await fs.appendFile(machine.path("/config/generations/2/system.yaml"), "#");
  for (let start = 1; start <= 2; start += 1) {
    said.length = 0;
    const control = await open();
    const audit = await openAudit(machine);
    const events: string[] = [];
    const stops = [auditControl(audit, control), control.subscribe(({ kind }) => void events.push(kind))];
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.same(events, ["configuration-damaged"]);
    t.match(said.join("\n"), /generation 2 cannot be used/);
    const lines: AuditRecord[] = [];
    for await (const line of audit.log.lines("oldest")) lines.push(JSON.parse(line));
    t.equal(lines.length, start);
    t.match(lines.at(-1), {
      operation: "open",
      result: "failed",
      generation: 1,
      message: /generation 2 cannot be used, serving 1/,
    });
    for (const stop of stops) stop();
    await audit.close();
  }
});

t.test("no secret of the configuration is in a record, whatever is done to its object", async (t) => {
  const machine = makeMachine({ root: t.testdir(), log: quiet });
  const control = makeControl(await openStore(machine.path("/config"), quiet), [], machine);
  const audit = await openAudit(machine);
  const stop = auditControl(audit, control);
  const secrets: string[] = [];
  const secret = (made: string) => {
    secrets.push(made);
    return made;
  };
  const hex = () => secret(randomBytes(32).toString("hex"));
  const base64 = (size: number) => secret(randomBytes(size).toString("base64").replace(/=+$/, ""));
  const base32 = () =>
    secret([...randomBytes(32)].map((byte) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[byte % 32]).join(""));
  const pem = () => `-----BEGIN PRIVATE KEY-----\n${base64(48)}\n${base64(48)}\n-----END PRIVATE KEY-----\n`;
  /** One of each kind that has a secret. A new kind, or a new secret, has no place here and fails. */
  const samples: Record<string, (description: string) => object> = {
    certificates: (description) => certificate.parse({ description, key: pem() }),
    users: (description) =>
      user.parse({
        description,
        passwordHash: `$7$CU..../....${base64(15).replaceAll("+", ".")}$${secret(randomBytes(32).toString("hex").slice(0, 43))}`,
        totp: { secret: base32(), recoveryCodes: [hex(), hex()] },
      }),
    apiKeys: (description) =>
      apiKey.parse({ description, owner: "admin", hash: hex(), roles: ["admin"], created: "2026-01-01T00:00:00Z" }),
    directories: (description) =>
      directory.parse({
        description,
        servers: ["ldaps://ldap.example.com"],
        bindDn: "cn=box",
        baseDn: "dc=example",
        userFilter: "(uid={user})",
        bindPassword: base64(24),
      }),
  };
  const kinds = Object.entries(collections).filter(([, { secrets }]) => secrets.length > 0);
  t.same(Object.keys(samples).sort(), kinds.map(([name]) => name).sort());
  t.same(
    Object.values(singletons).flatMap(({ secrets }) => [...secrets]),
    [],
  );
  const commit = async (change: (current: Configuration) => Configuration) =>
    await control.commit({ author: { user: "admin", source: "answer-file" }, message: "change", change });
  for (const [kind, make] of Object.entries(samples)) {
    for (const description of ["one", "two", "two"]) {
      const object = make(description) as Record<string, unknown>;
      for (const name of collections[kind as keyof typeof collections].secrets)
        t.ok(object[name] !== undefined, `${kind} has its ${name}`);
      await commit((current) => ({ ...current, [kind]: { it: object } }));
    }
    await commit((current) => ({ ...current, [kind]: {} }));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  stop();
  const lines: AuditRecord[] = [];
  for await (const line of audit.log.lines("oldest")) {
    for (const each of secrets) if (line.includes(each)) t.fail(`${each} is in ${line}`);
    lines.push(JSON.parse(line));
  }
  await audit.close();
  t.equal(lines.length, 4 * kinds.length, "there is a record of each");
  t.equal(lines.filter(({ changes }) => /hidden, changed/.test(changes?.[0]?.text ?? "")).length, 2 * kinds.length);
  t.ok(secrets.length > 20);
});

/** Fields of requests whose values are secret. */
const secretFields = new Set(
  "bindPassword challenge code current hash key passphrase password passwordHash secret secretKey token totp".split(
    " ",
  ),
);

t.test("no secret of a request is in a record, be it taken or refused", async (t) => {
  const { server, text, clock } = await setUp(t);
  const secrets: string[] = [];
  const plant = (value: unknown, field = ""): unknown => {
    if (secretFields.has(field)) {
      const made = `hush-${randomBytes(12).toString("base64url")}`;
      secrets.push(made);
      if (typeof value !== "object" || value === null) return field === "key" ? `${value}${made}` : made;
      return Array.isArray(value) ? [made] : { ...value, secret: made };
    }
    if (Array.isArray(value)) return value.map((each) => plant(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plant(each, name)]));
  };
  const document = (await server.local.inject("/api/v1/openapi.json")).json();
  type Bodied = { operationId: string; requestBody?: { content: Record<string, { example?: unknown }> } };
  let sent = 0;
  const done: Record<string, number> = {};
  for (const [path, item] of Object.entries<Record<string, Bodied>>(document.paths)) {
    for (const [method, { operationId, requestBody }] of Object.entries(item)) {
      const example = (item.put ?? item.post)?.requestBody?.content["application/json"]?.example;
      if (!requestBody || typeof example !== "object" || operationId === "resetToFactory") continue;
      const url = path.replace(/\{[^}]*\}/g, "web");
      const bodies = [
        plant(example),
        plant({ ...example, password: "", nonsense: { key: "" } }),
        { ...(plant({ key: [example], secret: 7, password: { password: 1 } }) as object), name: "two" },
        plant([example]),
      ];
      for (const payload of bodies) {
        clock.time += 60_000;
        const { statusCode } = await server.local.inject({ method: method as "PUT", url, payload: payload as object });
        sent += 1;
        done[statusCode] = (done[statusCode] ?? 0) + 1;
      }
      // A transaction is another way to the same object.
      const change = {
        op: "put",
        object: path.replace("/api/v1/", "").replace(/\{[^}]*\}/g, "web"),
        value: plant(example),
      };
      await server.local.inject({
        method: "POST",
        url: "/api/v1/transactions",
        payload: { message: "m", changes: [change] },
      });
    }
  }
  t.comment(JSON.stringify(done));
  const log = await text();
  t.ok(sent > 150 && secrets.length > 200, `${sent} requests with ${secrets.length} secrets`);
  t.ok(log.trimEnd().split("\n").length > sent, "all of them are in the log");
  t.same(
    secrets.filter((each) => log.includes(each)),
    [],
  );
});
