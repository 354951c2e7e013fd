import * as fs from "node:fs/promises";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeLineLog } from "../../adapters/line-log.ts";
import { makeAnchor } from "./anchor.ts";
import { type AuditLimits, auditLimits, openAuditLog } from "./log.ts";
import { findRecords } from "./query.ts";
import { type AuditEvent, chainStart, encodeRecord } from "./record.ts";

const day = 86_400_000;

async function setUp(t: Test, limits: Partial<AuditLimits> = {}, { anchored = false } = {}) {
  const root = t.testdir();
  const directory = join(root, "audit");
  const clock = { time: Date.parse("2026-01-02T03:04:05.678Z") };
  const said: string[] = [];
  const say = (message: string) => void said.push(message);
  const open = async () => {
    const files = makeLineLog(directory);
    const machine = { now: () => new Date(clock.time), log: { info: say, warn: say, error: say } };
    const anchor = makeAnchor({ ...machine, path: (absolute) => join(root, absolute) });
    const log = await openAuditLog(files, machine, {
      limits: { ...auditLimits, ...limits },
      ...(anchored ? { anchor } : {}),
    });
    t.teardown(() => log.close());
    return log;
  };
  const names = async () => (await fs.readdir(directory)).sort();
  const file = async (at = 0) => join(directory, (await names())[at] ?? "");
  return { root, directory, clock, said, open, names, file };
}

function event(operation: string, more: Partial<AuditEvent> = {}): Omit<AuditEvent, "time"> {
  return {
    user: "admin",
    means: "session",
    source: "192.0.2.1",
    operation,
    object: "farms/web",
    result: "done",
    ...more,
  };
}

async function collect(lines: AsyncGenerator<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

t.test("records are numbered, chained and for the agent alone to read", async (t) => {
  const { open, directory, file } = await setUp(t);
  const log = await open();
  for (const operation of ["one", "two", "three"]) await log.append(event(operation), { sync: true });
  const records = (await collect(log.lines("oldest"))).map((line) => JSON.parse(line));
  t.match(records, [
    { sequence: 1, time: "2026-01-02T03:04:05.678Z", operation: "one", previous: "0".repeat(64) },
    { sequence: 2, operation: "two", previous: records[0].hash },
    { sequence: 3, operation: "three", previous: records[1].hash },
  ]);
  t.same(await log.verify(), { whole: true, records: 3, first: 1, last: 3, hash: records[2].hash, unwritten: 0 });
  t.equal((await fs.stat(directory)).mode & 0o777, 0o700);
  t.equal((await fs.stat(await file())).mode & 0o777, 0o600);
});

t.test("the chain goes on after a restart, and over files", async (t) => {
  const { open, names } = await setUp(t, { file: 1000 });
  let log = await open();
  for (let count = 0; count < 5; count += 1) await log.append(event(`before-${count}`));
  await log.close();
  log = await open();
  for (let count = 0; count < 5; count += 1) await log.append(event(`after-${count}`));
  t.ok((await names()).length > 2, "there are several files");
  t.match(await log.verify(), { whole: true, records: 10, last: 10 });
  const newest = await collect(log.lines("newest"));
  t.same(
    newest.map((line) => JSON.parse(line).sequence),
    [10, 9, 8, 7, 6, 5, 4, 3, 2, 1],
  );
});

t.test("whatever is done to a line, the check names it", async (t) => {
  const tamper = async (name: string, change: (lines: string[]) => string[], broken: object) => {
    await t.test(name, async (t) => {
      const { open, file } = await setUp(t);
      const log = await open();
      for (let count = 1; count <= 6; count += 1) await log.append(event(`operation-${count}`));
      const path = await file();
      const lines = (await fs.readFile(path, "utf8")).trimEnd().split("\n");
      await fs.writeFile(path, `${change(lines).join("\n")}\n`);
      t.match(await log.verify(), { whole: false, broken });
    });
  };
  const forge = (line = "") => line.replace('"admin"', '"nobody"');
  await tamper("one is changed", (lines) => lines.with(3, forge(lines[3])), { sequence: 4, line: 4, reason: /text/ });
  await tamper("the last is changed", (lines) => lines.with(5, forge(lines[5])), { sequence: 6, line: 6 });
  await tamper("one is removed", (lines) => lines.toSpliced(2, 1), { sequence: 3, line: 3, reason: /missing/ });
  await tamper("the first is removed", (lines) => lines.slice(1), { sequence: 1, reason: /missing/ });
  await tamper("the last is removed", (lines) => lines.slice(0, 5), { sequence: 6, reason: /missing/ });
  await tamper("two change places", ([a = "", b = "", c = "", ...rest]) => [a, c, b, ...rest], {
    sequence: 2,
    line: 2,
  });
  await tamper("one is there twice", (lines) => lines.toSpliced(2, 0, lines[1] ?? ""), { line: 3 });
  await tamper("one is no record", (lines) => lines.with(1, "{}"), { sequence: 2, line: 2, reason: /no record/ });
  await tamper("one is added", (lines) => [...lines, lines[0] ?? ""], { line: 7 });
});

t.test("a file that was taken away is missed", async (t) => {
  const { open, file } = await setUp(t, { file: 1000 });
  const log = await open();
  for (let count = 1; count <= 12; count += 1) await log.append(event(`operation-${count}`));
  const path = await file(1);
  const [gone = "{}"] = (await fs.readFile(path, "utf8")).split("\n");
  await fs.rm(path);
  t.match(await log.verify(), { whole: false, broken: { sequence: JSON.parse(gone).sequence, reason: /missing/ } });
});

t.test("a last line that a power cut left unfinished is removed, and the chain says so", async (t) => {
  const { open, file } = await setUp(t);
  let log = await open();
  for (const operation of ["one", "two"]) await log.append(event(operation));
  await log.close();
  const path = await file();
  const whole = await fs.readFile(path, "utf8");
  const [first = ""] = whole.split("\n");
  for (const keep of [first.length + 1, first.length + 2, first.length + 40, whole.length - 1]) {
    await fs.writeFile(path, whole.slice(0, keep));
    log = await open();
    const cut = keep - first.length - 1;
    const records = (await collect(log.lines("oldest"))).map((line) => JSON.parse(line));
    if (cut === 0) t.equal(records.length, 1);
    else {
      const [, repaired] = records;
      t.match(records, [{ operation: "one" }, { operation: "auditRepaired", message: new RegExp(`^${cut} bytes`) }]);
      t.ok(repaired.message.endsWith(`: ${whole.slice(first.length + 1, keep)}`), "what was there is kept");
    }
    await log.append(event("three"));
    t.match(await log.verify(), { whole: true });
    await log.close();
  }
  await fs.writeFile(path, `${whole}${"\0".repeat(512)}`);
  log = await open();
  t.match(await log.verify(), { whole: true, records: 3 }, "blocks of zeros, as a file system may leave them");

  // Half a letter is no text: what stays is counted in bytes.
  await log.close();
  const before = await fs.readFile(path);
  await fs.writeFile(path, Buffer.concat([before, Buffer.from('{"user":"J\u00fc').subarray(0, -1)]));
  log = await open();
  await log.append(event("four"));
  t.match(await log.verify(), { whole: true, records: 5 });
  t.ok((await fs.readFile(path)).subarray(0, before.length).equals(before));
});

t.test("an end that was taken away while the agent was off is missed, for ever", async (t) => {
  const { root, directory, open, file, said } = await setUp(t, { file: 1000 }, { anchored: true });
  const anchor = join(root, "config/local/audit-head.json");
  let log = await open();
  for (let count = 1; count <= 5; count += 1) await log.append(event(`operation-${count}`));
  await log.close();
  t.equal((await fs.stat(anchor)).mode & 0o777, 0o600);
  t.match(JSON.parse(await fs.readFile(anchor, "utf8")), { sequence: 5, hash: log.head().hash });

  log = await open();
  t.match(await log.verify(), { whole: true, records: 5 }, "nothing was done to it");
  await log.close();
  const last = await file((await fs.readdir(directory)).length - 1);
  const text = await fs.readFile(last, "utf8");
  await fs.writeFile(last, text.slice(0, text.lastIndexOf("\n", text.length - 2) + 1));
  said.length = 0;
  log = await open();
  t.match(said, [/the records from 5 to 5 are missing/]);
  t.match(await log.verify(), { whole: false, broken: { sequence: 5, reason: /missing/ } });
  const [newest = "{}"] = await collect(log.lines("newest"));
  t.match(JSON.parse(newest), { sequence: 6, operation: "auditCut", result: "failed", message: /taken away/ });
  await log.append(event("more"));
  await log.close();
  log = await open();
  t.match(await log.verify(), { whole: false, broken: { sequence: 5 } }, "and is not forgotten");

  await log.close();
  await fs.rm(directory, { recursive: true });
  log = await open();
  const alone = await collect(log.lines("oldest"));
  t.match(
    alone.map((line) => JSON.parse(line)),
    [{ sequence: 8, operation: "auditCut", message: /from 1 to 7/ }],
    "nor is a log that is gone as a whole",
  );
  t.match(await log.verify(), { whole: false, broken: { reason: /retention did not remove it/ } });
});

t.test("a chain that was written anew while the agent was off is told from the one it was", async (t) => {
  const { open, file, said } = await setUp(t, {}, { anchored: true });
  let log = await open();
  for (const operation of ["one", "two"]) await log.append(event(operation));
  await log.close();
  let head = chainStart;
  let text = "";
  for (const operation of ["one", "another", "three"]) {
    const made = encodeRecord({ time: "2026-01-02T03:04:05.678Z", ...event(operation) }, head);
    text += `${made.line}\n`;
    head = made.head;
  }
  await fs.writeFile(await file(), text);
  said.length = 0;
  log = await open();
  t.match(said, [/the record 2 is not the one that was written/]);
  const [newest = "{}"] = await collect(log.lines("newest"));
  t.match(JSON.parse(newest), { sequence: 4, operation: "auditCut", result: "failed" });
});

t.test("a clock that was put back is told; one that jumps years ahead does not take the log with it", async (t) => {
  const { open, clock, names } = await setUp(t, { file: 1000, age: 10 * day });
  let log = await open();
  await log.append(event("one"));
  clock.time -= 500;
  await log.append(event("two"));
  clock.time -= 3_600_000;
  await log.append(event("three"));
  await log.close();
  clock.time -= day;
  log = await open();
  await log.append(event("four"));
  const operations = async () => (await collect(log.lines("oldest"))).map((line) => JSON.parse(line).operation);
  t.same(await operations(), ["one", "two", "clockSetBack", "three", "clockSetBack", "four"]);
  t.match(JSON.parse((await collect(log.lines("oldest")))[2] ?? ""), { message: "the clock was set back by 3600 s" });

  for (let count = 0; count < 20; count += 1) await log.append(event(`more-${count}`));
  t.ok((await names()).length > 6);
  clock.time += 1000 * day;
  const newest = (await names()).at(-1);
  for (let count = 0; count < 3; count += 1) await log.append(event("from the future"));
  t.not((await names()).at(-1), newest, "a new file was begun");
  t.notOk((await operations()).includes("one"), "what is oldest went by its age");
  t.ok((await operations()).includes("more-12"), "two files at a time at most");
  t.match(await log.verify(), { whole: true });
});

t.test("records written while the chain is checked are no fault of it, nor are those that go meanwhile", async (t) => {
  const { open } = await setUp(t, { file: 2000, total: 20_000 });
  const log = await open();
  for (let count = 0; count < 100; count += 1) await log.append(event(`operation-${count}`));
  const reports = [];
  for (let round = 0; round < 5; round += 1) {
    const checking = log.verify();
    const writing = Array.from({ length: 40 }, (_, count) => log.append(event(`beside-${count}`)));
    reports.push(await checking);
    await Promise.all(writing);
  }
  t.match(reports, Array(5).fill({ whole: true }));
});

t.test("a search finds what a look at every record finds", async (t) => {
  const { open } = await setUp(t, { file: 10_000 });
  const log = await open();
  const users = ["admin", 'a"b\\c', "jürgen", ""];
  const objects = ["farms/web", "farms/web2", "farms", 'farms/"odd"', "system"];
  const results = ["done", "refused", "failed"] as const;
  for (let at = 0; at < 120; at += 1) {
    const [user = "", object = "", result = "done"] = [users[at % 4], objects[at % 5], results[at % 3]];
    await log.append(event(`operation-${at % 7}`, { user, object, result }));
  }
  const all = (await collect(log.lines("newest"))).map((line) => JSON.parse(line));
  const isBelow = (object: string, wanted: string) => object === wanted || object.startsWith(`${wanted}/`);
  const counts: number[] = [];
  for (const user of [undefined, ...users, "nobody"])
    for (const object of [undefined, ...objects, "none"])
      for (const result of [undefined, ...results]) {
        const wanted = { ...(user === undefined ? {} : { user }), ...(object === undefined ? {} : { object }) };
        const { items } = await findRecords(log, { ...wanted, ...(result ? { result } : {}), limit: 1000 });
        const naive = all.filter(
          (each) =>
            (user === undefined || each.user === user) &&
            (object === undefined || isBelow(each.object, object)) &&
            (result === undefined || each.result === result),
        );
        counts.push(items.length);
        if (items.map(({ sequence }) => sequence).join() !== naive.map(({ sequence }) => sequence).join())
          t.fail(JSON.stringify({ user, object, result }));
      }
  t.ok(counts.includes(0) && counts.filter((count) => count > 0).length > 50, "some find nothing, most find some");
});

t.test("the oldest files go by size and by age, and the rest is whole", async (t) => {
  const { directory, open, clock, names } = await setUp(t, { file: 1000, total: 4000, age: 10 * day });
  let log = await open();
  for (let count = 1; count <= 60; count += 1) await log.append(event(`operation-${count}`));
  t.ok((await names()).length <= 6);
  const report = await log.verify();
  t.match(report, { whole: true });
  t.ok(report.first > 1);
  await log.close();
  log = await open();
  t.match(await log.verify(), { whole: true }, "after a restart too");

  clock.time += 11 * day;
  for (let count = 1; count <= 6; count += 1) await log.append(event(`later-${count}`));
  t.match(await log.verify(), { whole: true });
  const kept = (await collect(log.lines("oldest"))).map((line) => JSON.parse(line));
  t.notOk(
    kept.some(({ operation }) => operation.startsWith("operation-")),
    "what is too old is gone",
  );

  const [oldest = ""] = await names();
  await fs.rm(join(directory, oldest));
  t.match(await log.verify(), { whole: false, broken: { reason: /retention did not remove it/ } });
});

t.test("a log that cannot be written holds nothing up, and says later what is missing", async (t) => {
  const lines: string[] = [];
  let full = true;
  const said: string[] = [];
  const say = (message: string) => void said.push(message);
  const files = {
    list: async () => {
      if (full) throw new Error("EROFS: read-only file system");
      return [];
    },
    read: async () => Buffer.alloc(0),
    sync: async () => {},
    size: async () => 0,
    append: async (_first: number, text: string) => {
      if (full) throw new Error("ENOSPC: no space left on device");
      lines.push(text);
    },
    truncate: async () => {},
    remove: async () => {},
    close: async () => {},
  };
  const machine = { now: () => new Date(0), log: { info: say, warn: say, error: say } };
  const log = await openAuditLog(files, machine);
  t.match(said, [/cannot be opened.*read-only/]);
  await log.append(event("none"));
  full = false;
  await log.append(event("one"));
  full = true;
  said.length = 0;
  await log.append(event("two"));
  await log.append(event("three"));
  t.match(said, [/no space left.*"two"/, /no space left.*"three"/]);
  t.match(await log.verify().catch(() => undefined), undefined, "the list cannot be read");
  t.equal(log.unwritten(), 2);
  full = false;
  await log.append(event("four"));
  t.match(
    lines.map((line) => JSON.parse(line)),
    [
      { message: "1 records could not be written" },
      { operation: "one" },
      { operation: "auditLost", message: "2 records could not be written" },
      { operation: "four" },
    ],
  );
});
