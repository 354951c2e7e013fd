import { createHash, randomBytes } from "node:crypto";
import { lstat, readdir, readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { Secret, TOTP } from "otpauth";
import t from "tap";
import { canonicalJson, entityTag } from "../api/entity-tag.ts";
import { password, setUpServer } from "../api/testing.ts";
import { defineSubsystem, type StepBase } from "../commit/subsystem.ts";
import { compareConfigurations } from "../configuration/difference.ts";
import { type Configuration, emptyConfiguration } from "../configuration/schema.ts";
import { directory } from "./directory/schema.ts";
import { endangersAccess } from "./endangers.ts";
import { hashPassword } from "./password.ts";
import { role, user } from "./schema.ts";
import { makeSessions } from "./sessions.ts";
import { verifyAccess } from "./verify.ts";

/** What somebody with some rights tries, to get at those of another. */

type Test = Parameters<typeof setUpServer>[0];
type Headers = Record<string, string>;

const farm = { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };
const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHuRJ2fUK7ZkYkXwqvYkqN2Qv7ZbQm1cJ2Y4t3Zt8b5d me";

/** The logins of the box, as far as they say what cuts off an operator. */
const logins = defineSubsystem<object, StepBase>({
  name: "logins",
  dependsOn: [],
  verify: verifyAccess,
  render: () => ({}),
  observe: async () => ({}),
  plan: () => [],
  executors: {} as never,
  endangers: endangersAccess,
});

/** Users of a role of their own each, which has these permissions. */
async function setUp(t: Test, rights: Record<string, string[]>, more: Partial<Configuration> = {}) {
  const parts = await setUpServer(t, { subsystems: [logins] });
  const { control, machine, https } = parts;
  const passwordHash = await hashPassword(password, machine.randomBytes, { logN: 4, r: 8, p: 1 });
  const names = Object.keys(rights);
  const author = { user: "admin", source: "local" };
  await control.commit({
    author,
    message: "users",
    change: (now) => ({
      ...now,
      ...more,
      roles: {
        ...now.roles,
        ...more.roles,
        ...Object.fromEntries(names.map((name) => [`of-${name}`, role.parse({ permissions: rights[name] })])),
      },
      users: {
        ...now.users,
        ...more.users,
        ...Object.fromEntries(names.map((name) => [name, user.parse({ passwordHash, roles: [`of-${name}`] })])),
      },
    }),
  });
  const logIn = async (name: string): Promise<Headers> => {
    const { token } = (await send(https, "POST /sessions", { user: name, password })).body;
    return { authorization: `Bearer ${token}` };
  };
  return { ...parts, logIn, send: send.bind(undefined, https) };
}

async function send(app: FastifyInstance, line: string, payload?: object, headers: Headers = {}) {
  const [method, path] = line.split(" ") as ["GET", string];
  const options = { method, url: `/api/v1${path}`, headers, remoteAddress: "192.0.2.1" };
  const answer = await app.inject({ ...options, ...(payload ? { payload } : {}) });
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of an answer
  const body: any = answer.body === "" ? "" : answer.json();
  return { status: answer.statusCode, headers: answer.headers, body };
}

t.test(
  "the console's way back in is root's: not that of a user with a shell and the right to change users",
  async (t) => {
    const { send, server, machine, control, logIn } = await setUp(t, { mallory: ["access:*", "shell:use"] });
    const before = control.current().configuration.users.admin;
    // A minute after the start, when the console may.
    Object.assign(machine, { bootClock: { boot: () => "boot", seconds: () => 60 } });
    const mallory = await logIn("mallory");
    t.match(await send("POST /recovery/password", { password: "a new one for me" }, mallory), { status: 403 });
    await server.listen();
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const socketPath = machine.path("/run/steelyard/users/mallory/api.sock");
      const headers = { "content-type": "application/json" };
      httpRequest({ socketPath, method: "POST", path: "/api/v1/recovery/password", headers }, (response) =>
        resolve(response.resume().statusCode),
      )
        .on("error", reject)
        .end(JSON.stringify({ password: "a new one for me" }));
    });
    t.equal(status, 403);
    t.same(control.current().configuration.users.admin, before);
  },
);

t.test("a transaction tells nobody of objects that are none of his concern, nor what they hold", async (t) => {
  const bound = role.parse({
    permissions: ["farms:*", "configuration:read", "configuration:commit"],
    bindings: { farms: ["mine"] },
  });
  const { send, logIn, control } = await setUp(t, { mallory: [] }, { roles: { bound } });
  const admin = await logIn("admin");
  await send("PATCH /access/users/mallory?confirmWithin=0", { roles: ["bound"] }, admin);
  await send("POST /farms", { name: "secret-farm", ...farm }, admin);
  const mallory = await logIn("mallory");
  const attempt = async (...changes: object[]) =>
    await send("POST /transactions?dryRun=true", { message: "look", changes }, mallory);
  const { generation } = control.current();
  for (const [why, change] of Object.entries({
    "is there": (name: string) => ({ op: "patch", object: name, value: {} }),
    "holds this": (name: string) => ({ op: "patch", object: name, value: { ports: ["80"] } }),
    "holds that": (name: string) => ({ op: "patch", object: name, value: { ports: ["no port"] } }),
    "may go": (name: string) => ({ op: "delete", object: name }),
  })) {
    const [there, missing] = [await attempt(change("farms/secret-farm")), await attempt(change("farms/secret-farn"))];
    t.match([there.status, missing.status], [403, 403], why);
    t.equal(there.body.detail.replaceAll("secret-farm", "secret-farn"), missing.body.detail, why);
  }
  t.match(await attempt({ op: "patch", object: "users/admin", value: { totp: null } }), { status: 403 });
  t.match(await attempt({ op: "patch", object: "access/users/admin", value: { totp: null } }), { status: 403 });
  t.match(await attempt({ op: "put", object: "farms/mine", value: farm }), { status: 200 }, "his own he may");
  const whole = await send("POST /transactions?dryRun=true", { message: "look", replace: {} }, mallory);
  t.equal(whole.status, 403);
  t.notMatch(JSON.stringify(whole.body), /secret-farm|users\.|bound/, "nor by leaving out what one does not see");
  t.equal(control.current().generation, generation);
  const { body: replace } = await send("GET /configuration", undefined, admin);
  t.match(await send("POST /transactions?dryRun=true", { message: "as it is", replace }, admin), { status: 200 });
  t.match(await send("POST /transactions?dryRun=true", { message: "as it is", replace }, mallory), { status: 403 });
});

t.test("taking back what another did is a change of its objects, and shows those one may read", async (t) => {
  const { send, logIn, control } = await setUp(t, {
    mallory: ["configuration:*", "farms:*"],
    ben: ["farms:read"],
  });
  const admin = await logIn("admin");
  const mallory = await logIn("mallory");
  t.match(await send("PATCH /access/users/ben?confirmWithin=5", { disabled: true }, admin), { status: 200 });
  const looked = await send("POST /configuration/pending/revert?dryRun=true", {}, mallory);
  t.match(looked, { status: 403 });
  t.notMatch(JSON.stringify(looked.body), /passwordHash|of-ben/);
  t.match(await send("POST /configuration/pending/revert", {}, mallory), { status: 403 });
  t.equal(control.current().configuration.users.ben?.disabled, true);
  t.match(await send("POST /configuration/pending/revert", {}, admin), { status: 200 });
  t.match(await send("POST /farms?confirmWithin=5", { name: "web", ...farm }, admin), { status: 201 });
  t.match(await send("POST /configuration/pending/revert?dryRun=true", {}, mallory), { status: 200 });
  t.match(await send("POST /configuration/pending/revert", {}, mallory), { status: 200 }, "a farm he may delete");
});

t.test(
  "the own password, keys and factor hold at once: they hold up no change of others, and go not back",
  async (t) => {
    const { send, logIn, control, clock } = await setUp(t, { mallory: ["farms:read"] });
    const mallory = await logIn("mallory");
    t.match(await send("PUT /access/me/ssh-keys", { sshKeys: [key] }, mallory), { status: 200 });
    t.equal(control.pending(), undefined);
    const { secret } = (await send("POST /access/me/second-factor", {}, mallory)).body;
    clock.time += 60_000;
    const code = codeAt(secret, clock.time);
    t.match(await send("POST /access/me/second-factor/confirm", { code }, mallory), { status: 200 });
    t.equal(control.pending(), undefined);
    const change = { current: password, password: "another good one" };
    t.match(await send("PUT /access/me/password", change, mallory), { status: 204 });
    t.equal(control.pending(), undefined);
  },
);

t.test(
  "an API key makes no keys, changes no login of its owner, and ends no factor beyond its own roles",
  async (t) => {
    const users = role.parse({ permissions: ["access:update", "access:create"] });
    const { send, logIn, clock } = await setUp(t, { ben: ["*:*"] }, { roles: { users } });
    const [admin, ben] = [await logIn("admin"), await logIn("ben")];
    const { secret } = (await send("POST /access/me/second-factor", {}, ben)).body;
    clock.time += 60_000;
    const code = codeAt(secret, clock.time);
    t.match(await send("POST /access/me/second-factor/confirm", { code }, ben), { status: 200 });
    const make = async (roles: string[]) => {
      const { key } = (await send("POST /access/api-keys", { roles }, admin)).body;
      return { authorization: `Bearer ${key}` };
    };
    const [narrow, wide] = [await make(["users"]), await make(["admin"])];
    t.match(await send("DELETE /access/users/ben/second-factor?dryRun=true", undefined, narrow), { status: 403 });
    t.match(await send("DELETE /access/users/ben/second-factor?dryRun=true", undefined, wide), { status: 200 });
    t.match(await send("GET /access/me", undefined, wide), { status: 200 });
    for (const [line, body] of [
      ["POST /access/api-keys", { roles: ["read-only"] }],
      ["PUT /access/me/ssh-keys", { sshKeys: [key] }],
      ["PUT /access/me/password", { current: password, password: "another good one" }],
      ["POST /access/me/second-factor", {}],
    ] as const)
      t.match(await send(line, body, wide), { status: 403 }, line);
  },
);

t.test("who opens a thousand sessions ends his own, and nobody else's", (t) => {
  const open = makeSessions(
    { now: () => new Date(0), randomBytes },
    { limits: () => ({ idleMinutes: 30, absoluteMinutes: 720 }) },
  );
  const account = (name: string) => ({ user: name, source: "local" as const, stamp: "" });
  const about = { means: "session" as const, source: "192.0.2.1" };
  const { token } = open.open(account("admin"), about);
  for (let count = 0; count < 1100; count += 1) open.open(account("mallory"), about);
  t.equal(open.find(token, "session")?.account.user, "admin");
  t.equal(open.list().length, 1000);
  t.end();
});

t.test("a tag of an object with a secret cannot be made from a guess; an unchanged secret is no change", (t) => {
  const corp = directory.parse({
    servers: ["ldaps://ldap.example.com"],
    bindDn: "cn=box,dc=example,dc=com",
    bindPassword: "summer2026",
    baseDn: "dc=example,dc=com",
  });
  const guess = createHash("sha256").update(canonicalJson(corp)).digest("base64url");
  t.notOk(guess.startsWith(entityTag(corp).replaceAll('"', "")));
  const totp = () => ({ secret: "GEZDGNBVGY3TQOJQ", recoveryCodes: [] });
  const at = () => ({ ...emptyConfiguration(), users: { anna: user.parse({ totp: totp() }) } });
  t.same(compareConfigurations(at(), at()), []);
  t.end();
});

t.test("no secret comes out: by no route, no difference, no refusal, no log, no file for others", async (t) => {
  const { send, logIn, control, machine, log, https } = await setUp(t, {
    ben: ["access:*", "configuration:*", "backups:*"],
  });
  const admin = await logIn("admin");
  const secrets = {
    bindPassword: "Bind-Geheimnis-1",
    password: "Login-Geheimnis-2",
    passphrase: "Backup-Geheimnis-3",
    refused: "Refused-Geheimnis-4",
  };
  const corp = {
    servers: ["ldaps://127.0.0.1:1"],
    bindDn: "cn=box,dc=example,dc=com",
    bindPassword: secrets.bindPassword,
    baseDn: "dc=example,dc=com",
    defaultRoles: ["read-only"],
  };
  t.match(await send("POST /access/directories?confirmWithin=0", { name: "corp", ...corp }, admin), { status: 201 });
  const anna = { name: "anna", password: secrets.password, roles: ["read-only"] };
  t.match(await send("POST /access/users", anna, admin), { status: 201 });
  const { secret } = (await send("POST /access/me/second-factor", {}, admin)).body;
  const later = machine.now().getTime() + 90_000;
  const confirm = `/access/me/second-factor/confirm`;
  Object.assign(machine, { now: () => new Date(later) });
  const { recoveryCodes } = (await send(`POST ${confirm}`, { code: codeAt(secret, later) }, admin)).body;
  const { key: apiKey } = (await send("POST /access/api-keys", { roles: ["read-only"] }, admin)).body;
  const requested = { names: ["lb1.example.com"] };
  t.match(await send("POST /certificates/site/request", requested, admin), { status: /20[01]/ });
  const made = await send(
    "POST /system/backups",
    { name: "full", passphrase: secrets.passphrase, history: true },
    admin,
  );
  t.match(made, { status: 202 });
  const job = made.body.id;
  for (let count = 0; count < 500; count += 1) {
    if ((await send(`GET /jobs/${job}`, undefined, admin)).body.state === "done") break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { users, certificates } = control.current().configuration;
  const kept = Object.values(users).flatMap(({ passwordHash = [] }) => passwordHash);
  const pem = (certificates.site?.key ?? "").split("\n")[1] ?? "";
  t.ok(pem.length > 20 && kept.length > 1 && secret.length > 20 && recoveryCodes.length > 5);
  const all = [...Object.values(secrets), secret, ...recoveryCodes, apiKey.slice(13), pem, ...kept];
  const find = (text: string) => all.filter((each) => text.includes(each));

  const answers: [string, string][] = [];
  const names = { user: "anna", directory: "corp", certificate: "site", job, backup: "full", generation: "3" };
  const urls = new Set(
    https.knownRoutes
      .filter(({ method }) => method === "GET")
      .map(({ url }) => url.replace("/api/v1", ""))
      .filter((url) => !/events|reference|\*|openapi|file$/.test(url))
      .map((url) => url.replace(/:([a-z]+)/g, (_, name: keyof typeof names) => names[name] ?? "x")),
  );
  for (const url of urls) {
    const { body, status } = await send(`GET ${url}`, undefined, admin);
    answers.push([`GET ${url} ${status}`, JSON.stringify(body)]);
  }
  t.ok(urls.size > 60, `${urls.size} addresses were read`);
  const { generation } = control.current();
  for (const line of ["GET /configuration/diff?from=0", `GET /configuration/diff?from=1&to=${generation}`])
    answers.push([line, JSON.stringify((await send(line, undefined, admin)).body)]);
  for (const [line, body] of [
    ["POST /configuration/rollback?dryRun=true", { generation: 1 }],
    ["POST /access/directories", { name: "bad", ...corp, bindPassword: [secrets.refused] }],
    ["PATCH /access/directories/corp", { bindPassword: `${secrets.refused}\n` }],
    ["PUT /access/directories/corp", { ...corp, servers: [], bindPassword: secrets.refused }],
    ["POST /access/directories/corp/test", { user: "anna", password: secrets.refused }],
    ["PATCH /access/users/anna", { password: { text: secrets.refused } }],
    ["PUT /access/me/password", { current: secrets.refused, password: secrets.refused }],
    ["POST /sessions", { user: secrets.refused, password: secrets.refused }],
    ["POST /certificates", { name: "worse", key: secrets.refused, certificate: secrets.refused }],
    ["POST /system/backups/full/restore", { passphrase: secrets.refused }],
    ["POST /system/backups", { passphrase: 7, recipients: [] }],
    ["POST /system/backups/full/restore?dryRun=true", { passphrase: secrets.passphrase }],
    [
      "POST /transactions",
      {
        message: "x",
        changes: [{ op: "patch", object: "directories/corp", value: { bindPassword: [secrets.refused] } }],
      },
    ],
    [
      "POST /transactions?dryRun=true",
      { message: "x", changes: [{ op: "put", object: "directories/dmz", value: { ...corp } }] },
    ],
  ] as const) {
    const answer = await send(line, body, admin);
    answers.push([`${line} ${answer.status}`, JSON.stringify(answer.body).replaceAll(`"${secrets.refused}"`, "")]);
  }
  for (const [line, text] of answers) t.same(find(text), [], line);
  t.same(find(log.join("\n")), [], "the log of the agent");

  const root = machine.path("/");
  const holders: string[] = [];
  for (const name of await readdir(root, { recursive: true })) {
    const info = await lstat(join(root, name));
    if (!info.isFile() || find(await readFile(join(root, name), "latin1")).length === 0) continue;
    holders.push(name);
    t.equal(info.mode & 0o077, 0, `${name} ${(info.mode & 0o777).toString(8)}`);
    t.match(name, /^config\//, name);
  }
  t.ok(holders.length > 3, "the files that hold secrets were found");

  const { configuration } = control.current();
  for (const [method, more] of [
    ["PATCH", {}],
    ["PUT", corp],
  ] as const) {
    const line = `${method} /access/directories/corp?confirmWithin=0`;
    t.match(await send(line, { ...more, order: 7, bindPassword: "(hidden)" }, admin), { status: 200 });
  }
  t.match(control.current().configuration.directories.corp, { order: 7, bindPassword: secrets.bindPassword });
  t.not(control.current().configuration, configuration);
  const fresh = await send("POST /access/directories", { name: "new", ...corp, bindPassword: "(hidden)" }, admin);
  t.match(fresh, { status: 400, body: { problems: [{ path: "directories.new.bindPassword" }] } });
  const comment = await send("PUT /access/me/ssh-keys", { sshKeys: [`${key}\u001b]0;x\u0007`] }, admin);
  t.match(comment, { status: 400 }, "a comment that moves the cursor of whoever reads it");
});

const codeAt = (secret: string, timestamp: number) =>
  new TOTP({ secret: Secret.fromBase32(secret), algorithm: "SHA1", digits: 6, period: 30 }).generate({ timestamp });
