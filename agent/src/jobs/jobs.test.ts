import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { makeMachine } from "../adapters/machine.ts";
import { password, quiet, setUpServer } from "../api/testing.ts";
import { SteelyardError } from "../errors.ts";
import { makeEventBus } from "../events/bus.ts";
import { type JobHandle, openJobs } from "./jobs.ts";

const author = { user: "anna", source: "192.0.2.7" };

async function setUp(t: Test) {
  const root = await mkdtemp(join(tmpdir(), "steelyard-"));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const machine = makeMachine({ root, log: quiet });
  const bus = makeEventBus(machine);
  const events: string[] = [];
  bus.subscribe(["jobs"], ({ kind, data }) => void events.push(`${kind} ${(data as { title: string }).title}`));
  const jobs = await openJobs(machine, bus);
  // Teardowns run last in, first out: nothing is written any more when the directory goes.
  t.teardown(() => jobs.close());
  // A time limit alone does not keep a process alive, and here there may be nothing else.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  return { machine, bus, events, jobs };
}

/** Work that goes on until it is told to end, or let go. */
function hold() {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const work = async ({ signal, step }: JobHandle) => {
    step("hold");
    await Promise.race([released, new Promise((_, reject) => signal.addEventListener("abort", reject))]);
    signal.throwIfAborted();
    return { held: true };
  };
  return { work, release };
}

t.test("a job tells its steps, its log and its result; events tell of each change", async (t) => {
  const { jobs, events } = await setUp(t);
  const { id, state } = jobs.start({
    kind: "count",
    title: "count",
    author,
    work: async ({ step, log }) => {
      step("one", 1, 2);
      log("half of it");
      step("two", 2, 2);
      return { counted: 2 };
    },
  });
  t.match(id, /^[a-z0-9]{12}$/);
  t.equal(state, "running");
  const ended = await jobs.ended(id);
  t.match(ended, {
    state: "done",
    owner: "anna",
    result: { counted: 2 },
    progress: { step: "two", done: 2, total: 2 },
  });
  t.same(
    jobs.log(id).map(({ text }) => text),
    ["one", "half of it", "two"],
  );
  t.same(events, ["job-queued count", "job-running count", "job-running count", "job-running count", "job-done count"]);
});

t.test("jobs of a lane run one after the other, others beside them", async (t) => {
  const { jobs } = await setUp(t);
  const [first, second, other] = [hold(), hold(), hold()];
  const one = jobs.start({ kind: "a", title: "one", author, work: first.work });
  const two = jobs.start({ kind: "a", title: "two", author, work: second.work });
  const beside = jobs.start({ kind: "b", title: "beside", author, work: other.work });
  t.same(
    [one, two, beside].map(({ id }) => jobs.find(id)?.state),
    ["running", "queued", "running"],
  );
  first.release();
  await jobs.ended(one.id);
  t.equal(jobs.find(two.id)?.state, "running");
  second.release();
  other.release();
  await Promise.all([jobs.ended(two.id), jobs.ended(beside.id)]);
  t.same(
    jobs.list().map(({ title }) => title),
    ["beside", "two", "one"],
    "newest first",
  );
});

t.test("a job is cancelled while it waits and while it runs, and one that fails says why", async (t) => {
  const { jobs } = await setUp(t);
  const running = jobs.start({ kind: "a", title: "running", author, work: hold().work });
  const queued = jobs.start({ kind: "a", title: "queued", author, work: hold().work });
  jobs.cancel(queued.id);
  jobs.cancel(running.id);
  t.match(await jobs.ended(queued.id), { state: "cancelled" });
  t.match(await jobs.ended(running.id), { state: "cancelled", problem: undefined });
  const wrong = jobs.start({
    kind: "a",
    title: "wrong",
    author,
    work: async () => {
      throw new SteelyardError("disk-full", "no room", { problems: [{ path: "name", message: "no room" }] });
    },
  });
  const problem = { code: "disk-full", detail: "no room", problems: [{ path: "name", message: "no room" }] };
  t.match(await jobs.ended(wrong.id), { state: "failed", problem });
  const late = jobs.start({ kind: "a", title: "late", author, timeLimit: 20, work: hold().work });
  t.match(await jobs.ended(late.id), { state: "failed", problem: { detail: /did not end in/ } });
});

t.test("after a restart what had not ended is interrupted, and what had is there with its result", async (t) => {
  const { jobs, machine, bus } = await setUp(t);
  const done = jobs.start({ kind: "a", title: "done", author, work: async () => ({ made: "it" }) });
  await jobs.ended(done.id);
  const cut = jobs.start({ kind: "a", title: "cut", author, work: hold().work });
  // Of the first as well it once said that it was running.
  const isKept = async () => {
    const text = await readFile(machine.path("/data/jobs/jobs.json"), "utf8");
    return text.includes(cut.id) && text.includes('"running"') && text.includes('"made"');
  };
  for (let tries = 0; tries < 200 && !(await isKept().catch(() => false)); tries++) await sleep(25);
  // As after a power cut: nobody closed anything.
  const after = await openJobs(machine, bus);
  t.match(after.find(cut.id), { state: "interrupted", problem: { detail: /restarted/ } });
  t.match(after.find(done.id), { state: "done", result: { made: "it" } });
  jobs.cancel(cut.id);
  await jobs.close();

  const running = after.start({ kind: "a", title: "running", author, work: hold().work });
  await after.close();
  const third = await openJobs(machine, bus);
  t.match(third.find(running.id), { state: "interrupted" }, "and so after the agent was stopped");
  t.match(await readFile(machine.path("/data/jobs/jobs.json"), "utf8"), /"interrupted"/);
});

t.test("there are bounds: jobs that wait, jobs that are kept, lines of a log", async (t) => {
  const { jobs } = await setUp(t);
  const first = hold();
  const begun = jobs.start({ kind: "a", title: "first", author, work: first.work });
  for (let at = 1; at < 20; at++) jobs.start({ kind: "a", title: `job ${at}`, author, work: async () => ({}) });
  t.throws(() => jobs.start({ kind: "a", title: "too many", author, work: async () => ({}) }), {
    code: "too-many-jobs",
  });
  first.release();
  await jobs.ended(begun.id);
  let last = "";
  for (let at = 0; at < 110; at++) {
    const work = async ({ log }: JobHandle) => {
      for (let line = 0; line < 600; line++) log("x".repeat(1000));
      return {};
    };
    last = jobs.start({ kind: "b", title: `job ${at}`, author, work }).id;
    await jobs.ended(last);
  }
  t.ok(jobs.list().length <= 100);
  t.equal(jobs.find(begun.id), undefined, "the oldest made room");
  t.equal(jobs.log(last).length, 500);
  t.ok(jobs.log(last).every(({ text }) => text.length <= 500));
  await jobs.close();
});

t.test("over the API everybody sees and cancels the own jobs, and those of others by permission", async (t) => {
  const { server, https, control } = await setUpServer(t);
  const put = (name: string, roles: string[]) =>
    server.local.inject({
      method: "PUT",
      url: `/api/v1/access/users/${name}`,
      payload: { password: `${password} ${name}`, roles },
    });
  await server.local.inject({
    method: "POST",
    url: "/api/v1/access/roles",
    payload: { name: "keeper", permissions: ["backups:*", "self:*"] },
  });
  for (const [name, roles] of [
    ["keeper", ["keeper"]],
    ["viewer", ["read-only"]],
  ] as const)
    t.equal((await put(name, [...roles])).statusCode, 201, name);
  const headersOf = async (user: string) => {
    const payload = { user, password: `${password} ${user}` };
    const { token } = (await https.inject({ method: "POST", url: "/api/v1/sessions", payload })).json();
    return { authorization: `Bearer ${token}` };
  };
  const keeper = await headersOf("keeper");
  const viewer = await headersOf("viewer");
  const payload = { passphrase: "four words nobody guesses" };
  const made = await https.inject({ method: "POST", url: "/api/v1/system/backups", headers: keeper, payload });
  t.equal(made.statusCode, 202, made.body);
  const location = made.headers.location as string;
  t.equal(location, `/api/v1/jobs/${made.json().id}`);
  const ask = async (headers: Record<string, string>, url = location, method = "GET") =>
    await https.inject({ method: method as "GET", url, headers });
  let job = made.json();
  for (let tries = 0; tries < 200 && ["queued", "running"].includes(job.state); tries++) {
    await sleep(50);
    job = (await ask(keeper)).json();
  }
  t.match(job, { state: "done", kind: "backup", owner: "keeper", result: { lock: "passphrase" } });
  t.match((await ask(viewer)).json(), { id: job.id }, "whoever may read jobs sees it");
  t.match((await ask(keeper, `${location}/log`)).json(), { items: [{ text: "collect" }, {}, {}, {}], total: 4 });
  t.equal((await ask(viewer, location, "DELETE")).statusCode, 403);
  t.equal((await ask(viewer, `${location}/cancel`, "POST")).statusCode, 403);
  t.match((await ask(keeper, `${location}/cancel`, "POST")).json(), { state: "done" }, "what has ended stays so");
  const by = { user: "admin", source: "local" };
  const local = (await server.local.inject({ method: "POST", url: "/api/v1/system/backups", payload })).json();
  t.equal(local.owner, by.user);
  t.equal(
    (await ask(keeper, `/api/v1/jobs/${local.id}`)).statusCode,
    404,
    "and without the permission none of another",
  );
  t.same(
    (await ask(keeper, "/api/v1/jobs")).json().items.map(({ id }: { id: string }) => id),
    [job.id],
  );
  t.equal((await ask(keeper, location, "DELETE")).statusCode, 204);
  t.equal((await ask(keeper)).statusCode, 404);
  t.equal(control.pending(), undefined);
});
