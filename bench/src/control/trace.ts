import { subscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import { performance } from "node:perf_hooks";
import type { Machine } from "../../../agent/src/adapters/machine.ts";
import type { Subsystem } from "../../../agent/src/commit/subsystem.ts";
import type { Store } from "../../../agent/src/configuration/store.ts";

/** Milliseconds of one thing that was done, and what the agent waited for meanwhile. */
export type Tally = {
  /** Time of the agent's own by phase: waiting for the data plane is not in it. */
  phases: Record<string, number>;
  /** Time in which the agent had nothing to do but wait for the processes and sockets of the data plane. */
  dataPlane: number;
  /** Time of processors that the agent used, its threads and what they had the kernel do included; that of its children is not in it. */
  processor: number;
  /** Questions and orders to the data plane: how many, and how long each took from end to end, summed. */
  calls: Record<string, { count: number; time: number }>;
};

const empty = (): Tally => ({ phases: {}, dataPlane: 0, processor: 0, calls: {} });

/**
 * Tells the agent's own time from the data plane's, exactly: the event loop's idle time (libuv's own count of the time in
 * epoll_wait) while at least one process or connection of the data plane is waited for. Starting the process, and reading
 * and parsing what it says, is work of the agent and counts as such.
 */
export function makeTracer() {
  let tally = empty();
  let used = process.cpuUsage();
  let open = 0;
  let mark = performance.eventLoopUtilization();

  function begin(): void {
    if (open === 0) mark = performance.eventLoopUtilization();
    open++;
  }

  function end(): void {
    open--;
    if (open === 0) tally.dataPlane += performance.eventLoopUtilization(mark).idle;
  }

  async function call<Result>(name: string, task: () => Promise<Result>): Promise<Result> {
    const started = performance.now();
    begin();
    try {
      return await task();
    } finally {
      end();
      count(name, performance.now() - started);
    }
  }

  function count(name: string, time: number): void {
    const { count = 0, time: before = 0 } = tally.calls[name] ?? {};
    tally.calls[name] = { count: count + 1, time: before + time };
  }

  async function phase<Result>(name: string, task: () => Result | Promise<Result>): Promise<Result> {
    const [started, waited] = [performance.now(), tally.dataPlane];
    try {
      return await task();
    } finally {
      const own = performance.now() - started - (tally.dataPlane - waited);
      tally.phases[name] = (tally.phases[name] ?? 0) + own;
    }
  }

  return {
    call,
    phase,
    /** Adds to a phase what was measured elsewhere. */
    spend(name: string, time: number): void {
      tally.phases[name] = (tally.phases[name] ?? 0) + time;
    },
    begin,
    end,
    count,
    /** What was gathered since the last time. */
    take(): Tally {
      const { user, system } = process.cpuUsage(used);
      const taken = { ...tally, processor: (user + system) / 1000 };
      tally = empty();
      used = process.cpuUsage();
      return taken;
    },
  };
}

export type Tracer = ReturnType<typeof makeTracer>;

/** Counts every command, and every request to nftlb. */
export function traceMachine(machine: Machine, tracer: Tracer): Machine {
  subscribe("http.client.request.start", (message) => {
    const { request } = message as { request: ClientRequest };
    const started = performance.now();
    let waiting = true;
    const finish = () => {
      if (!waiting) return;
      waiting = false;
      tracer.end();
      tracer.count(`nftlb ${request.method}`, performance.now() - started);
    };
    tracer.begin();
    // The agent goes on with the end of the answer; the request closes a while later, and also without one.
    request.once("response", (response) => response.once("end", finish));
    request.once("close", finish);
  });
  return {
    ...machine,
    run: (argv, options) => {
      const words = argv.filter((word) => !word.startsWith("-")).join(" ");
      const name = words.startsWith("nft list") ? "nft list" : (argv[0] ?? "");
      return tracer.call(name, () => machine.run(argv, options));
    },
  };
}

export function traceStore(store: Store, tracer: Tracer): Store {
  return {
    ...store,
    write: (...given) => tracer.phase("write", () => store.write(...given)),
    adopt: (...given) => tracer.phase("adopt", () => store.adopt(...given)),
  };
}

/** `plan` renders, observes and compares; `steps` are carried out one by one. */
export function traceSubsystem(subsystem: Subsystem, tracer: Tracer): Subsystem {
  const { name } = subsystem;
  return {
    ...subsystem,
    verify(...given) {
      const started = performance.now();
      const findings = subsystem.verify(...given);
      tracer.spend("verify", performance.now() - started);
      return findings;
    },
    check: (...given) => tracer.phase("check", () => subsystem.check(...given)),
    plan: async (...given) => {
      const steps = await tracer.phase(`plan ${name}`, () => subsystem.plan(...given));
      return steps.map((step) => ({ ...step, execute: () => tracer.phase("steps", () => step.execute()) }));
    },
  };
}
