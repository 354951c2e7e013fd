import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { generateIdentity, identityToRecipient } from "age-encryption";
import t, { type Test } from "tap";
import { packArchive } from "../adapters/pack.ts";
import { type Run, run as runForReal } from "../adapters/process.ts";
import { findFreePort, setUpServer } from "../api/testing.ts";
import { digestFiles, encodeConfiguration } from "../configuration/codec.ts";
import { emptyConfiguration, farm as farmSchema, schemaVersion } from "../configuration/schema.ts";
import type { Link } from "../network/link-routes.ts";
import { readBackup, writeBackup } from "./contents.ts";
import { encrypt } from "./encryption.ts";
import { isDue, lastDue, retryAfter } from "./schedule.ts";
import { backups } from "./schema.ts";

const example = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const passphrase = "four words nobody guesses";
const url = "/api/v1/system/backups";
const link = (name: string, mac: string): Link => ({
  ...{ name, mac, permanentMac: mac, driver: "virtio_net", bus: `0000:00:0${name.slice(-1)}.0` },
  ...{ alternativeNames: [], carrier: true, state: "up", mtu: 1500, addresses: [] },
});
const farm = { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] };

/** No systemd here; everything else runs. */
const run: Run = async (argv, options) =>
  argv[0] === "systemctl" ? { code: 3, stdout: "", stderr: "" } : await runForReal(argv, options);

async function setUp(t: Test, options: Parameters<typeof setUpServer>[1] = {}) {
  const links = [link("eth0", "52:54:00:00:00:01"), link("eth1", "52:54:00:00:00:02")];
  // Two boxes with one key could not tell whose was restored.
  const box = await setUpServer(t, { links, run, sharesCertificate: false, ...options });
  const { local } = box.server;
  const send = async (method: string, path: string, payload?: object | Buffer) =>
    await local.inject({
      method: method as "GET",
      url: path,
      ...(payload === undefined ? {} : { payload }),
      ...(Buffer.isBuffer(payload) ? { headers: { "content-type": "application/octet-stream" } } : {}),
    });
  const finish = async (answer: { statusCode: number; body: string; json(): { id: string } }) => {
    if (answer.statusCode !== 202) throw new Error(answer.body);
    for (let tries = 0; tries < 400; tries++) {
      const job = (await send("GET", `/api/v1/jobs/${answer.json().id}`)).json();
      if (!["queued", "running"].includes(job.state)) return job;
      await sleep(25);
    }
    throw new Error("the job does not end");
  };
  const make = async (wish: object = { passphrase }) => await finish(await send("POST", url, wish));
  const put = async (name: string, path: string, object: object) => {
    const answer = await send("PUT", `${path}/${name}`, object);
    if (answer.statusCode > 201) throw new Error(answer.body);
  };
  return { ...box, send, make, put };
}

t.test("a backup is made, kept, fetched, brought to a new box and restored there", async (t) => {
  const box = await setUp(t);
  await box.put("eth0", "/api/v1/network/interfaces", { mtu: 9000 });
  await box.put("web", "/api/v1/farms", { ...farm, description: "before" });
  await box.server.local.inject({ method: "PATCH", url: "/api/v1/system", payload: { hostname: "lb1.example.com" } });
  const port = await findFreePort();
  await box.send("PATCH", "/api/v1/system", { management: { port } });
  await box.server.follow();
  const job = await box.make({ passphrase, history: true });
  t.match(job, {
    state: "done",
    result: { name: "lb1-20260102-030405", origin: "made", lock: "passphrase", identity: true },
  });
  const { name } = job.result;
  t.match((await box.send("GET", url)).json(), {
    total: 1,
    items: [{ name, hostname: "lb1.example.com", history: 4 }],
  });
  const { mode } = await stat(box.machine.path(`/data/backups/${name}.age`));
  t.equal(mode & 0o777, 0o600);
  const fetched = await box.send("GET", `${url}/${name}/file`);
  t.match(fetched.headers["content-disposition"], /filename="lb1-20260102-030405.age"/);
  t.notMatch(fetched.rawPayload.toString("latin1"), /hostname|web/, "nothing of it can be read");

  await box.put("web", "/api/v1/farms", { ...farm, description: "after" });
  await box.put("late", "/api/v1/farms", farm);
  const dry = (await box.send("POST", `${url}/${name}/restore?dryRun=true`, { passphrase })).json();
  t.match(dry, {
    restored: false,
    manifest: { hostname: "lb1.example.com", schemaVersion, nics: [{ name: "eth0" }, { name: "eth1" }] },
    nics: [{ name: "eth0", to: "eth0", by: "mac" }],
    plan: { steps: [{ kind: "remember" }] },
    differences: [
      { object: "farms/late", change: "removed" },
      { object: "farms/web", text: /-description: after\n\+description: before/ },
    ],
  });
  t.match(box.control.current().configuration.farms, { late: {}, web: { description: "after" } }, "nothing changed");
  const before = box.control.current().generation;
  const restored = await box.send("POST", `${url}/${name}/restore`, { passphrase });
  t.match(restored.json(), { restored: true, plan: { generation: before + 1 } });
  t.equal(restored.headers["steelyard-generation"], String(before + 1));
  t.strictSame(Object.keys(box.control.current().configuration.farms), ["web"]);

  const other = await setUp(t, {
    withUser: false,
    links: [link("ens1", "52:54:00:00:00:11"), link("ens2", "52:54:00:00:00:12")],
  });
  t.equal((await other.send("PUT", `${url}/moved/file`, fetched.rawPayload)).statusCode, 201);
  t.match((await other.send("GET", `${url}/moved`)).json(), { origin: "uploaded", lock: "passphrase" });
  const twice = await other.send("PUT", `${url}/moved/file`, fetched.rawPayload);
  t.match(twice.json(), { code: "exists" });
  const refused = await other.send("POST", `${url}/moved/restore`, { passphrase });
  t.match(refused.json(), {
    code: "invalid-configuration",
    problems: [{ path: "map.eth0", message: /one of: ens1, ens2 \(proposed is ens1: same driver, next in order\)/ }],
  });
  t.equal(other.control.current().generation, 0);
  const map = { eth0: "ens2" };
  const fingerprints = await Promise.all([box, other].map(({ machine }) => readKey(machine)));
  const taken = await other.send("POST", `${url}/moved/restore`, { passphrase, map, identity: true });
  t.match(
    taken.json(),
    { restored: true, identity: true, nics: [{ name: "eth0", to: "ens2", by: "named" }] },
    taken.body,
  );
  t.match(other.control.current().configuration, {
    system: { hostname: "lb1.example.com" },
    interfaces: { ens2: { mtu: 9000 } },
    users: { admin: { passwordHash: /^\$7\$/ } },
  });
  t.not(fingerprints[0], fingerprints[1]);
  t.equal(await readKey(other.machine), fingerprints[0], "the key of the API came along");

  const log = [...box.log, ...other.log].join("\n");
  const audit = await Promise.all(
    [box, other].map(async ({ send }) => (await send("GET", "/api/v1/access/audit")).body),
  );
  const jobs = (await box.send("GET", "/api/v1/jobs")).body;
  for (const text of [log, ...audit, jobs]) t.notOk(text.includes(passphrase), "the passphrase stands nowhere");
  t.match(audit[1], /restoreBackup/);
  t.match(audit[1], /"object":"farms\/web","change":"added"/, "the record has what changed");

  t.equal((await box.send("DELETE", `${url}/${name}`)).statusCode, 204);
  t.equal((await box.send("GET", `${url}/${name}`)).statusCode, 404);
  t.same(await readdir(box.machine.path("/data/backups")), []);
});

async function readKey({ path }: { path(absolute: string): string }): Promise<string | undefined> {
  return await readFile(path("/config/local/api/key.pem"), "utf8").catch(() => undefined);
}

t.test("restored keys are shown from the next connection on, and go back when the change fails", async (t) => {
  const port = await findFreePort();
  const box = await setUp(t);
  await box.send("PATCH", "/api/v1/system", { management: { port } });
  await box.server.follow();
  const fingerprintOf = async () => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const first = await fingerprintOf();
  const { name } = (await box.make()).result;
  const made = await setUp(t);
  for (const file of ["key.pem", "certificate.pem"]) {
    const path = `/config/local/api/${file}`;
    await mkdir(dirname(made.machine.path(path)), { recursive: true });
    await writeFile(box.machine.path(path), await readFile(made.machine.path(path)));
  }
  const strange = await readKey(box.machine);
  await box.put("web", "/api/v1/farms", { ...farm, description: "there" });
  const restored = await box.send("POST", `${url}/${name}/restore`, { passphrase, identity: true });
  t.match(restored.json(), { restored: true, identity: true }, restored.body);
  t.equal(await fingerprintOf(), first);
  t.not(strange, await readKey(box.machine));

  await box.send("POST", "/api/v1/access/roles", { name: "keeper", permissions: ["backups:*"] });
  await box.put("anna", "/api/v1/access/users", { password: passphrase, roles: ["keeper"] });
  const login = { user: "anna", password: passphrase };
  const { token } = (await box.https.inject({ method: "POST", url: "/api/v1/sessions", payload: login })).json();
  const asAnna = await box.https.inject({
    method: "POST",
    url: `${url}/${name}/restore?dryRun=true`,
    headers: { authorization: `Bearer ${token}` },
    payload: { passphrase, identity: true },
  });
  t.match(asAnna.json(), { code: "forbidden", detail: /system:update/ }, "keys are no matter of backups alone");

  await box.put("web", "/api/v1/farms", { ...farm, description: "fine" });
  const configuration = structuredClone(box.control.current().configuration);
  Object.assign(configuration.farms.web ?? {}, { description: "refuse" });
  const identity = [{ path: "identity/api/key.pem", content: Buffer.from("another key"), mode: 0o600 }];
  const bad = await craft({ files: filesOf(configuration), more: identity });
  await box.send("PUT", `${url}/bad/file`, bad);
  const secretKey = await own.secretKey;
  const failed = await box.send("POST", `${url}/bad/restore`, { secretKey, identity: true });
  t.match(failed.json(), { code: "apply-failed" });
  t.equal(await fingerprintOf(), first);
  t.not(await readKey(box.machine), "another key", "the box has its own key again");
});

const filesOf = (configuration: Parameters<typeof encodeConfiguration>[0]) =>
  encodeConfiguration(configuration).map(({ path, text }) => ({ path, text }));

/** Quicker than a passphrase. */
const own = makeOwnKey();
function makeOwnKey() {
  const secretKey = generateIdentity();
  return { secretKey, recipient: secretKey.then(identityToRecipient) };
}

/** A backup as no box would make it. */
async function craft({
  files = [],
  more = [],
  about = {},
}: {
  files?: { path: string; text: string }[];
  more?: Parameters<typeof packArchive>[0];
  about?: object;
}): Promise<Buffer> {
  const manifest = {
    ...{ product: "steelyard", format: 1, version: "9.9.9", schemaVersion, hostname: "x", generation: 1, nics: [] },
    ...{ time: "2026-01-01T00:00:00.000Z", digest: digestFiles(files), identity: true, history: 0, ...about },
  };
  const text = (path: string, content: string) => ({ path, content: Buffer.from(content), mode: 0o600 });
  const all = [
    text("manifest.json", JSON.stringify(manifest)),
    ...files.map((each) => text(`configuration/${each.path}`, each.text)),
    ...more,
  ];
  return await encrypt(await packArchive(all, new Date(0)), { recipients: [await own.recipient] }, randomBytes);
}

t.test("what is no whole backup of this or an older system is refused by name, and nothing changes", async (t) => {
  const box = await setUp(t);
  const secretKey = await own.secretKey;
  const { name } = (await box.make({ recipients: [await own.recipient] })).result;
  const good = (await box.send("GET", `${url}/${name}/file`)).rawPayload;
  const files = filesOf(box.control.current().configuration);
  const generation = box.control.current().generation;
  const old = files.filter(({ path }) => path !== "backups.yaml");
  const text = (path: string, content = "x") => ({ path, content: Buffer.from(content), mode: 0o600 });
  const cases: [string, Buffer, object][] = [
    ["cut", good.subarray(0, good.length - 20), { code: "bad-backup", detail: /cut off or changed/ }],
    ["changed", flip(good, good.length - 40), { code: "bad-backup", detail: /cut off or changed/ }],
    [
      "newer-format",
      await craft({ files, about: { format: 2 } }),
      { code: "incompatible", detail: /Steelyard 9\.9\.9/ },
    ],
    [
      "newer",
      await craft({ files, about: { schemaVersion: 99 } }),
      { code: "incompatible", detail: /schema version 99/ },
    ],
    ["product", await craft({ files, about: { product: "other" } }), { code: "bad-backup", detail: /another product/ }],
    ["digest", await craft({ files, about: { digest: "0" } }), { code: "bad-backup", detail: /its manifest says/ }],
    ["object", await craft({ files: [...files, { path: "farms/x.yaml", text: "a: 1\n" }] }), { code: "bad-backup" }],
    ["outside", await craft({ files, more: [text("identity/ssh/../../x")] }), { code: "bad-backup" }],
    ["strange", await craft({ files, more: [text("identity/local.sh")] }), { code: "bad-backup" }],
    [
      "no-tar",
      await encrypt(Buffer.from("no tar"), { recipients: [await own.recipient] }, randomBytes),
      { code: "bad-backup" },
    ],
  ];
  for (const [each, data, problem] of cases) {
    t.equal((await box.send("PUT", `${url}/${each}/file`, data)).statusCode, 201);
    const answer = await box.send("POST", `${url}/${each}/restore`, { secretKey, identity: true });
    t.match(answer.json(), problem, `${each}: ${answer.body}`);
    t.ok(answer.statusCode < 500);
  }
  const wrong = await box.send("POST", `${url}/${name}/restore`, { secretKey: await generateIdentity() });
  t.match(wrong.json(), { code: "bad-input", problems: [{ path: "secretKey" }] });
  t.match((await box.send("PUT", `${url}/foreign/file`, Buffer.from("PK"))).json(), { code: "bad-backup" });
  t.match((await box.send("PUT", `${url}/foreign/file`, { no: "file" })).json(), { code: "unsupported-type" });
  t.match((await box.send("POST", url, {})).json(), { code: "bad-input" });
  for (const weak of ["short", "aaaaaaaaaaaa", "abcabcabcabc", "password1234"])
    t.match((await box.send("POST", url, { passphrase: weak })).json(), { problems: [{ path: "passphrase" }] }, weak);
  t.equal(box.control.current().generation, generation);

  const older = await craft({ files: old, about: { schemaVersion: 1 } });
  await box.send("PUT", `${url}/older/file`, older);
  t.match(
    (await box.send("POST", `${url}/older/restore`, { secretKey, identity: true })).json(),
    { code: "bad-input", problems: [{ path: "identity", message: /made without the keys/ }] },
    "keys that are asked for and not in it are no small thing",
  );
  t.match(
    (await box.send("POST", `${url}/older/restore`, { secretKey })).json(),
    { restored: true },
    "an older one is",
  );
});

t.test("a backup of a box with many objects and a long history is opened again", async (t) => {
  const [recipient, secretKey] = await Promise.all([own.recipient, own.secretKey]);
  const one = farmSchema.parse(farm);
  const farms = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`f${at}`, one]));
  const whole = { ...emptyConfiguration(), farms };
  const record = {
    parent: 0,
    author: "admin",
    source: "local",
    time: "2026-01-02T03:04:05.000Z",
    message: "m",
    schemaVersion,
    compatible: true,
  };
  const history = Array.from({ length: 41 }, (_, at) => ({
    record: { ...record, generation: at + 1 },
    configuration: whole,
  }));
  const source = {
    version: "0.0.0",
    time: new Date(0),
    generation: 99,
    configuration: whole,
    nics: [],
    identity: [],
    history,
  };
  const { configuration: read, manifest } = await readBackup(
    await writeBackup(source, { recipients: [recipient] }, randomBytes),
    { secretKey },
  );
  t.equal(Object.keys(read.farms).length, 500);
  t.equal(manifest.history, 41, "20,500 files, which are there to look up and are passed over");
});

function flip(data: Buffer, at: number): Buffer {
  const copy = Buffer.from(data);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

t.test("a restore that can cut off who asks over the network goes back unless it is confirmed", async (t) => {
  const box = await setUp(t);
  const { name } = (await box.make({ recipients: [await own.recipient] })).result;
  await box.put("web", "/api/v1/farms", farm);
  const { generation } = box.control.current();
  const secretKey = await own.secretKey;
  const answer = await box.send("POST", `${url}/${name}/restore?confirmWithin=5`, { secretKey });
  t.match(answer.json(), { restored: true, plan: { pending: { parent: generation } } });
  await box.send("POST", "/api/v1/configuration/pending/revert");
  t.match(box.control.current().configuration.farms, { web: {} });
});

/** A box that looks at its clock fifty times a second. */
async function setUpSchedule(t: Test) {
  const box = await setUp(t, { eventIntervals: { schedule: 20 } });
  await box.send("PATCH", "/api/v1/system", { management: { port: await findFreePort() } });
  await box.server.listen();
  const secretKey = await generateIdentity();
  const recipients = [await identityToRecipient(secretKey)];
  const enable = async (fields: object) =>
    (await box.send("PATCH", "/api/v1/system/backup-schedule", { enabled: true, ...fields })).json();
  const waitFor = async (path: string, fits: (answer: Answer) => boolean) => {
    let answer: Answer | undefined;
    for (let tries = 0; tries < 400; tries++) {
      answer = (await box.send("GET", path)).json() as Answer;
      if (fits(answer)) return answer;
      await sleep(25);
    }
    throw new Error(JSON.stringify(answer));
  };
  return { ...box, secretKey, recipients, enable, waitFor };
}
type Answer = { total: number; items: { name: string; time: string }[]; problems: string[] };

t.test("scheduled backups are for public keys, and those beyond the number that is kept go", async (t) => {
  const { enable, waitFor, recipients, secretKey, clock, send } = await setUpSchedule(t);
  t.match(await enable({}), {
    code: "bad-input",
    problems: [{ path: "backups.recipients", message: /at least one public key/ }],
  });
  t.match(await enable({ recipients: ["age1nonsense"] }), { problems: [{ path: "backups.recipients.0" }] });
  t.match(await enable({ recipients, keep: 2 }), { keep: 2, time: "03:00" });
  const scheduled = `${url}?origin=scheduled`;
  await waitFor(scheduled, ({ total }) => total === 1);
  for (let day = 0; day < 3; day++) {
    clock.time += 24 * 60 * 60_000;
    const date = new Date(clock.time).toISOString().slice(0, 10);
    await waitFor(scheduled, ({ items }) => items.some(({ time }) => time.startsWith(date)));
  }
  const { items } = await waitFor(scheduled, ({ total }) => total === 2);
  const restore = `${url}/${items[0]?.name}/restore?dryRun=true`;
  t.match((await send("POST", restore, { secretKey })).json(), { manifest: { hostname: "steelyard" } });
  t.match((await send("GET", "/api/v1/jobs?kind=scheduled-backup")).json(), {
    items: [{ owner: "agent", source: "timer", state: "done" }],
  });
  t.match((await send("GET", "/api/v1/system/status")).json(), { health: "ok" });
});

t.test(
  "a scheduled backup that fails is told by the log, an event and the health of the box, and tried again",
  async (t) => {
    const { enable, waitFor, recipients, clock, log, machine, send } = await setUpSchedule(t);
    await mkdir(machine.path("/data"), { recursive: true });
    await writeFile(machine.path("/data/backups"), "no directory");
    await enable({ recipients });
    const { problems } = await waitFor("/api/v1/system/status", (answer) => answer.problems.length > 0);
    t.match(problems, [/the last scheduled backup failed at .*could not be written/]);
    t.match(log.join("\n"), /job scheduled-backup of agent failed: make the scheduled backup/);
    const jobs = async () => (await send("GET", "/api/v1/jobs?state=failed")).json().total as number;
    t.equal(await jobs(), 1);
    await sleep(100);
    t.equal(await jobs(), 1, "not at once");
    await rm(machine.path("/data/backups"));
    clock.time += retryAfter;
    await waitFor(url, ({ total }) => total === 1);
    // The backup is there a moment before its job has ended.
    await waitFor("/api/v1/system/status", ({ problems }) => problems.length === 0);
    t.match((await send("GET", "/api/v1/system/status")).json(), { health: "ok" });
  },
);

t.test("the moment that is due is the last one of the days and the time of day", async (t) => {
  const schedule = backups.parse({
    enabled: true,
    time: "03:30",
    days: ["sunday", "wednesday"],
    recipients: [example],
  });
  const due = (now: string) => lastDue(schedule, new Date(now))?.toISOString();
  // 2026-01-04 is a Sunday.
  t.equal(due("2026-01-04T03:29:59Z"), "2025-12-31T03:30:00.000Z");
  t.equal(due("2026-01-04T03:30:00Z"), "2026-01-04T03:30:00.000Z");
  t.equal(due("2026-01-06T23:00:00Z"), "2026-01-04T03:30:00.000Z");
  t.equal(due("2026-01-07T04:00:00Z"), "2026-01-07T03:30:00.000Z");
  t.equal(lastDue({ ...schedule, enabled: false }, new Date()), undefined);
  const made = (time: string, origin = "scheduled") =>
    ({ name: "x", size: 1, lock: "recipients", time, origin }) as never;
  const now = new Date("2026-01-05T00:00:00Z");
  t.equal(isDue(schedule, [made("2026-01-04T03:31:00Z")], now), false);
  t.equal(isDue(schedule, [made("2026-01-04T03:00:00Z")], now), true);
  t.equal(isDue(schedule, [made("2026-01-04T03:31:00Z", "made")], now), true, "one that was made by hand is not it");
  t.equal(isDue(schedule, [made("2027-01-01T00:00:00Z")], now), true, "nor one of a clock that was wrong");
});
