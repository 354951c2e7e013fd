import type { Machine } from "../adapters/machine.ts";
import type { Author } from "../commit/control.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import type { EventBus } from "../events/bus.ts";
import { makeJobFile, type StoredJob } from "./file.ts";
import { isEnded, type Job, type JobLine, type JobState } from "./schema.ts";

/** What the work of a job is given. */
export type JobHandle = {
  /** Set when somebody cancels the job, its time is up or the agent stops: the work ends soon, and leaves nothing behind. */
  signal: AbortSignal;
  /** Says what it is at, and how far. Ends the work by throwing when the job is cancelled. */
  step(step: string, done?: number, total?: number): void;
  log(text: string): void;
};

export type JobRequest = {
  kind: string;
  /** In words: `make backup lb1-20260102-030405`. */
  title: string;
  author: Author;
  /** Jobs of one lane run one after the other; their kind unless told. */
  lane?: string;
  /** Milliseconds; half an hour unless told. */
  timeLimit?: number;
  /** What comes back is the result. It is shown to whoever may read jobs, so it holds no secret. */
  work(job: JobHandle): Promise<Record<string, unknown>>;
};

export type Jobs = {
  /** Throws `too-many-jobs` when too many wait already. */
  start(request: JobRequest): Job;
  /** Newest first. */
  list(): Job[];
  find(id: string): Job | undefined;
  log(id: string): JobLine[];
  /** Resolves when the job has ended. */
  ended(id: string): Promise<Job>;
  /** Tells the work to end; a job that has ended stays as it is. */
  cancel(id: string): Job | undefined;
  /** Forgets a job that has ended. */
  forget(id: string): void;
  /** Ends what runs, and waits until all is written. */
  close(): Promise<void>;
};

/** Kept when they have ended; the oldest make room. */
const greatestEnded = 100;
const greatestUnended = 20;
const greatestLines = 500;
const greatestLine = 500;
const usualTimeLimit = 30 * 60_000;
/** Milliseconds between two events of progress of one job. */
const progressInterval = 500;

type Entry = StoredJob & {
  abort: AbortController;
  request?: JobRequest;
  told: number;
  ended: Promise<Job>;
  end(job: Job): void;
};

/** Opens the jobs of before; what had not ended then is interrupted. */
export async function openJobs(machine: Machine, bus: Pick<EventBus, "publish">): Promise<Jobs> {
  const file = makeJobFile(machine);
  const entries = new Map<string, Entry>();
  const now = () => machine.now().toISOString();
  let closed = false;

  for (const stored of await file.read()) {
    const ended = isEnded(stored.job);
    const entry = makeEntry(ended ? stored : { ...stored, job: { ...stored.job, ...interruption() } });
    entries.set(stored.job.id, entry);
    entry.end(entry.job);
  }

  function interruption(): Pick<Job, "state" | "ended" | "problem"> {
    const detail = "the agent was restarted before the job had ended: start it again if it is still wanted";
    return { state: "interrupted", ended: now(), problem: { code: "not-ready", detail, problems: [] } };
  }

  function makeEntry(stored: StoredJob): Entry {
    let end: (job: Job) => void = () => {};
    const ended = new Promise<Job>((resolve) => {
      end = resolve;
    });
    return { ...stored, abort: new AbortController(), told: 0, ended, end };
  }

  function save(): void {
    file.write([...entries.values()].map(({ job, lines }) => ({ job, lines })));
  }

  function tell(entry: Entry): void {
    const { id, kind, title, state, owner, progress, problem } = entry.job;
    const about = { id, kind, title, state, owner, progress, ...(problem ? { problem: problem.detail } : {}) };
    entry.told = Date.now();
    bus.publish("jobs", `job-${state}`, about);
  }

  function write(entry: Entry, text: string): void {
    if (entry.lines.length >= greatestLines) return;
    const last = entry.lines.length === greatestLines - 1;
    entry.lines.push({ time: now(), text: last ? "… more lines were left out" : text.slice(0, greatestLine) });
  }

  function change(entry: Entry, fields: Partial<Job>): void {
    entry.job = { ...entry.job, ...fields };
    save();
    tell(entry);
    if (!isEnded(entry.job)) return;
    // It may hold a passphrase.
    delete entry.request;
    const { kind, title, state, owner, problem } = entry.job;
    const words = `job ${kind} of ${owner} ${state}: ${title}${problem ? `: ${problem.detail}` : ""}`;
    if (state === "failed") machine.log.error(words);
    else machine.log.info(words);
    entry.end(entry.job);
    shed();
    startNext();
  }

  function shed(): void {
    const old = [...entries.values()].filter(({ job }) => isEnded(job));
    for (const { job } of old.slice(0, Math.max(0, old.length - greatestEnded))) entries.delete(job.id);
  }

  function laneOf({ request, job }: Entry): string {
    return request?.lane ?? job.kind;
  }

  function startNext(): void {
    if (closed) return;
    const busy = new Set([...entries.values()].filter(({ job }) => job.state === "running").map(laneOf));
    for (const entry of [...entries.values()].filter(({ job }) => job.state === "queued")) {
      if (busy.has(laneOf(entry))) continue;
      busy.add(laneOf(entry));
      void run(entry);
    }
  }

  async function run(entry: Entry): Promise<void> {
    const { request, abort } = entry;
    if (!request) return;
    change(entry, { state: "running", started: now() });
    const { timeLimit = usualTimeLimit } = request;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      abort.abort();
    }, timeLimit).unref();
    try {
      const result = await request.work(handleOf(entry));
      change(entry, { state: "done", ended: now(), result });
    } catch (error) {
      const state: JobState = closed ? "interrupted" : abort.signal.aborted && !late ? "cancelled" : "failed";
      const words = late ? `it did not end in ${timeLimit / 60_000} minutes` : messageOf(error);
      if (state === "failed") write(entry, words);
      change(entry, { state, ended: now(), ...(state === "cancelled" ? {} : { problem: describe(error, words) }) });
    } finally {
      clearTimeout(timer);
    }
  }

  function handleOf(entry: Entry): JobHandle {
    const { signal } = entry.abort;
    return {
      signal,
      step(step, done = 0, total = 0) {
        signal.throwIfAborted();
        const isNew = entry.job.progress.step !== step;
        entry.job = { ...entry.job, progress: { step, done, total } };
        if (isNew) write(entry, step);
        if (isNew || Date.now() - entry.told >= progressInterval) tell(entry);
      },
      log: (text) => write(entry, text),
    };
  }

  return {
    start(request) {
      const waiting = [...entries.values()].filter(({ job }) => !isEnded(job)).length;
      if (closed) throw new SteelyardError("not-ready", "the agent is stopping");
      if (waiting >= greatestUnended)
        throw new SteelyardError("too-many-jobs", `${waiting} jobs have not ended: wait for some, or cancel them`);
      const { kind, title, author } = request;
      const progress = { step: "", done: 0, total: 0 };
      const who = { owner: author.user, source: author.source };
      const job: Job = { id: makeId(machine), kind, title, state: "queued", ...who, created: now(), progress };
      const entry: Entry = { ...makeEntry({ job, lines: [] }), request };
      entries.set(job.id, entry);
      save();
      tell(entry);
      startNext();
      return entry.job;
    },
    list: () => [...entries.values()].map(({ job }) => job).reverse(),
    find: (id) => entries.get(id)?.job,
    log: (id) => [...(entries.get(id)?.lines ?? [])],
    ended: async (id) => {
      const entry = entries.get(id);
      if (!entry) throw new SteelyardError("not-found", `there is no job ${id}`);
      return await entry.ended;
    },
    cancel(id) {
      const entry = entries.get(id);
      if (!entry) return undefined;
      if (entry.job.state === "queued") change(entry, { state: "cancelled", ended: now() });
      else if (entry.job.state === "running") {
        write(entry, "cancelled");
        entry.abort.abort(new SteelyardError("not-ready", "the job was cancelled"));
      }
      return entry.job;
    },
    forget(id) {
      const entry = entries.get(id);
      if (entry && isEnded(entry.job) && entries.delete(id)) save();
    },
    async close() {
      closed = true;
      const open = [...entries.values()].filter(({ job }) => !isEnded(job));
      for (const entry of open) {
        entry.abort.abort(new SteelyardError("not-ready", "the agent is stopping"));
        if (entry.job.state === "queued") change(entry, interruption());
      }
      // Work that does not listen is not waited for: the next start finds it interrupted.
      const patience = new Promise((resolve) => setTimeout(resolve, 2_000).unref());
      await Promise.race([Promise.all(open.map(({ ended }) => ended)), patience]);
      await file.flush();
    },
  };
}

function makeId({ randomBytes }: Pick<Machine, "randomBytes">): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  return [...randomBytes(12)].map((byte) => alphabet[byte % alphabet.length]).join("");
}

function describe(error: unknown, detail: string): NonNullable<Job["problem"]> {
  const { code, problems } = error instanceof SteelyardError ? error : { code: "internal", problems: [] };
  return { code, detail, problems };
}
