import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeMachine } from "../../adapters/machine.ts";
import { password, quiet, setUpServer } from "../../api/testing.ts";
import { makeControl } from "../../commit/commit.ts";
import { openStore } from "../../configuration/store.ts";
import { hashPassword } from "../password.ts";
import { user } from "../schema.ts";
import { auditControl, openAudit, recordMissed } from "./audit.ts";
import type { AuditRecord } from "./record.ts";
import { limitRepeats } from "./repeats.ts";

const farm = {
  name: "web",
  profile: "l4xnat",
  virtualAddresses: ["192.0.2.10"],
  ports: ["80"],
  backends: {},
};

async function setUp(t: Test) {
  const box = await setUpServer(t);
  const { https, machine, server } = box;
  const login = async (given = password, user = "admin") =>
    await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user, password: given } });
  const { token } = (await login()).json();
  const authorization = `Bearer ${token}`;
  const send = async (method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", url: string, payload?: object) =>
    await https.inject({ method, url: `/api/v1${url}`, headers: { authorization }, ...(payload ? { payload } : {}) });
  const records = async (query = ""): Promise<AuditRecord[]> =>
    (await server.local.inject({ url: `/api/v1/access/audit${query}` })).json().items;
  const directory = machine.path("/data/audit");
  const text = async () => {
    const names = (await fs.readdir(directory)).sort();
    return (await Promise.all(names.map((name) => fs.readFile(join(directory, name), "utf8")))).join("");
  };
  return { ...box, login, send, records, text, directory, token };
}

t.test("a change is recorded with who, from where, what and which generation", async (t) => {
  const { send, records, server } = await setUp(t);
  const created = await send("POST", "/farms", farm);
  t.equal(created.statusCode, 201, created.body);
  const [record, login] = await records();
  t.match(record, {
    time: "2026-01-02T03:04:05.000Z",
    user: "admin",
    means: "session",
    source: "127.0.0.1",
    requestId: created.headers["request-id"],
    method: "POST",
    operation: "createFarm",
    object: "farms/web",
    result: "done",
    status: 201,
    message: "create farm web",
    generation: 2,
    changes: [{ object: "farms/web", change: "added", text: /\+profile: l4xnat/ }],
  });
  t.match(login, { user: "admin", operation: "createSession", object: "sessions", result: "done", status: 201 });

  await server.local.inject({ method: "DELETE", url: "/api/v1/farms/web" });
  t.match((await records())[0], {
    means: "local",
    source: "local",
    operation: "deleteFarm",
    changes: [{ change: "removed" }],
  });
  const before = (await records()).length;
  await send("GET", "/farms");
  await send("POST", "/farms?dryRun=true", farm);
  t.equal((await records()).length, before, "reading and dry runs change nothing");
  await send("DELETE", "/sessions");
  t.match((await records())[0], { user: "admin", operation: "deleteSession", result: "done" });
});

t.test("what users change about themselves is recorded with its difference", async (t) => {
  const { send, records, control } = await setUp(t);
  const made = (await send("POST", "/access/api-keys", { roles: ["read-only"] })).json();
  t.match((await records())[0], {
    operation: "createApiKey",
    generation: 2,
    changes: [{ object: `access/api-keys/${made.id}`, change: "added" }],
  });
  await send("DELETE", `/access/api-keys/${made.id}`);
  t.match((await records())[0], { operation: "deleteApiKey", changes: [{ change: "removed" }] });
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";
  await send("PUT", "/access/me/ssh-keys", { sshKeys: [key] });
  t.match((await records())[0], { operation: "putOwnSshKeys", changes: [{ text: /ssh-ed25519/ }] });
  await send("PUT", "/access/me/password", { current: password, password: "a better one than that" });
  const { generation } = control.current();
  t.match((await records())[0], {
    operation: "changeOwnPassword",
    generation,
    changes: [{ text: /hidden, changed/ }],
  });
});

t.test("every refused attempt is recorded", async (t) => {
  const { send, records, login, https } = await setUp(t);
  const refused = async (expected: object) => t.match((await records())[0], { result: "refused", ...expected });

  await login("wrong");
  await refused({ user: "admin", means: "none", operation: "createSession", status: 401, code: "unauthenticated" });
  await login("wrong", "nobody-knows");
  await refused({ user: "", operation: "createSession", status: 401 });
  await https.inject({ url: "/api/v1/farms" });
  await refused({ user: "", means: "none", operation: "listFarms", status: 401, source: "127.0.0.1" });
  await send("POST", "/farms", { ...farm, description: "wrong" });
  await refused({ user: "admin", object: "farms/web", status: 422, problems: [{ path: "farms.web.description" }] });
  await send("DELETE", "/farms/none");
  await refused({ object: "farms/none", operation: "deleteFarm", status: 404 });
  await send("POST", "/farms", { name: "web", ports: 80 });
  await refused({ status: 400, code: "bad-input" });
  await send("POST", "/first-boot", { version: 1, admin: { password: "correct horse battery" } });
  await refused({ operation: "completeFirstBoot", status: 403, code: "forbidden" });
  await send("POST", "/farms", { ...farm, description: "refuse" });
  t.match((await records())[0], { result: "failed", status: 502, code: "apply-failed", message: /the daemon says no/ });
  for (let count = 0; count < 6; count += 1) await login("wrong");
  await refused({ operation: "createSession", status: 429, code: "too-many-requests" });
});

t.test("the log is filtered, paged, exported and checked over the API", async (t) => {
  const { send, records, server, clock, text, directory } = await setUp(t);
  for (const name of ["one", "two", "three"]) {
    clock.time += 60_000;
    await send("POST", "/farms", { ...farm, name });
  }
  await send("DELETE", "/farms/none");
  t.match(await records("?object=farms/two"), [{ object: "farms/two" }]);
  t.equal((await records("?object=farms")).length, 4);
  t.equal((await records("?result=refused")).length, 1);
  t.equal((await records("?operation=createFarm&user=admin")).length, 3);
  t.same(await records("?user=eve"), []);
  const during = await records("?from=2026-01-02T03:06:05Z&to=2026-01-02T04:07:05%2B01:00");
  t.same(
    during.map(({ object }) => object),
    ["farms/two"],
  );

  const first = (await server.local.inject({ url: "/api/v1/access/audit?limit=2" })).json();
  t.same(
    first.items.map(({ sequence }: AuditRecord) => sequence),
    [5, 4],
  );
  const second = (await server.local.inject({ url: `/api/v1/access/audit?limit=2&before=${first.next}` })).json();
  t.same(
    second.items.map(({ sequence }: AuditRecord) => sequence),
    [3, 2],
  );
  const last = (await server.local.inject({ url: `/api/v1/access/audit?limit=2&before=${second.next}` })).json();
  t.same(
    last.items.map(({ sequence }: AuditRecord) => sequence),
    [1],
  );
  t.equal(last.next, undefined);

  const exported = await server.local.inject({ url: "/api/v1/access/audit?format=jsonl" });
  t.match(exported.headers["content-type"], /^application\/jsonl/);
  t.equal(exported.body, await text(), "an export is the lines themselves");

  const check = async () => (await server.local.inject({ url: "/api/v1/access/audit/verify" })).json();
  t.match(await check(), { whole: true, records: 5, first: 1, last: 5 });
  const [name = ""] = await fs.readdir(directory);
  await fs.writeFile(join(directory, name), (await text()).replace("create farm two", "create farm 2"));
  t.match(await check(), { whole: false, broken: { sequence: 3, line: 3 } });
  const bad = await server.local.inject({ url: "/api/v1/access/audit?from=yesterday&result=odd" });
  t.equal(bad.statusCode, 400);
});

t.test("no secret is ever in the log", async (t) => {
  const { send, login, control, text, https, token, machine } = await setUp(t);
  const secrets: string[] = [token];
  const secret = () => {
    const made = randomBytes(12).toString("base64url");
    secrets.push(made);
    return made;
  };
  for (let count = 0; count < 5; count += 1) {
    const passwordHash = await hashPassword(secret(), machine.randomBytes, { logN: 4, r: 8, p: 1 });
    secrets.push(passwordHash, passwordHash.slice(-43));
    const users = { admin: user.parse({ passwordHash, roles: ["admin"] }) };
    await control.commit({
      author: { user: "admin", source: "answer-file" },
      message: "change the password",
      change: (current) => ({ ...current, users: { ...current.users, ...users } }),
    });
  }
  await login(secret());
  await login(secret(), secret());
  await login(secret(), `${secret()}`.toLowerCase());
  await send("POST", "/farms", { ...farm, password: secret() });
  await send("POST", "/first-boot", { version: 1, admin: { password: secret() } });
  await send("PATCH", "/system", { hostname: secret().padStart(99, "-") });
  const garbage = { method: "POST", url: "/api/v1/sessions", headers: { "content-type": "application/json" } } as const;
  await https.inject({ ...garbage, payload: `{"password": "${secret()}` });
  await https.inject({ ...garbage, payload: `${secret()}` });
  await https.inject({ url: "/api/v1/farms", headers: { authorization: `Bearer ${secret()}` } });
  await https.inject({ url: `/api/v1/farms?token=${secret()}` });

  const log = await text();
  t.ok(log.split("\n").length > 10);
  t.match(log, /hidden, changed/, "that a secret changed is told");
  for (const each of secrets) t.notOk(log.includes(each), each);
});

t.test("what the agent does by itself is recorded too", async (t) => {
  const machine = makeMachine({ root: t.testdir(), log: quiet });
  const control = makeControl(await openStore(machine.path("/config"), quiet), [], machine);
  let audit = await openAudit(machine);
  const stop = auditControl(audit, control);
  const commit = async (source: string, hostname: string) => {
    await control.commit({
      author: { user: "admin", source },
      message: `name ${hostname}`,
      change: (current) => ({ ...current, system: { ...current.system, hostname } }),
    });
  };
  const collect = async () => {
    const lines: AuditRecord[] = [];
    for await (const line of audit.log.lines("oldest")) lines.push(JSON.parse(line));
    return lines;
  };
  await commit("answer-file", "one");
  await commit("192.0.2.1", "two");
  await commit("local", "three");
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.match(await collect(), [
    { user: "admin", means: "agent", source: "answer-file", generation: 1, message: "name one" },
  ]);
  t.equal((await collect()).length, 1, "requests of the API have a record of their own");

  stop();
  await audit.close();
  audit = await openAudit(machine);
  await recordMissed(audit, control);
  t.match(await collect(), [
    { generation: 1 },
    {
      generation: 2,
      source: "192.0.2.1",
      message: "name two (recorded after a restart)",
      changes: [{ object: "system" }],
    },
    { generation: 3, source: "local" },
  ]);
  await recordMissed(audit, control);
  t.equal((await collect()).length, 3);
  await audit.close();
});

t.test("a flood of refusals does not flood the log", async (t) => {
  let time = 0;
  const written: { source: string; repeated?: number }[] = [];
  const write = async (event: { source: string; repeated?: number | undefined }) =>
    void written.push({ source: event.source, ...(event.repeated ? { repeated: event.repeated } : {}) });
  const repeats = limitRepeats(write, { now: () => new Date(time) }, { perSource: 3, overall: 5 });
  const add = async (source: string) =>
    await repeats.add({
      user: "",
      means: "none",
      source,
      operation: "createSession",
      object: "sessions",
      result: "refused",
    });
  for (let count = 0; count < 100; count += 1) await add("192.0.2.1");
  t.same(written, Array(3).fill({ source: "192.0.2.1" }));
  for (let count = 0; count < 100; count += 1) await add(`2001:db8:0:${count}::1`);
  t.equal(written.length, 5);
  time += 60_000;
  await add("192.0.2.2");
  t.same(written.slice(5), [
    { source: "192.0.2.1", repeated: 97 },
    { source: "several", repeated: 98 },
    { source: "192.0.2.2" },
  ]);
  await repeats.flush();
  t.equal(written.length, 8, "nothing is told twice");
});
