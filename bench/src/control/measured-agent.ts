import { readFileSync } from "node:fs";
import { type Machine, makeMachine } from "../../../agent/src/adapters/machine.ts";
import { nftlbUnit } from "../../../agent/src/adapters/nftlb.ts";
import type { Systemd } from "../../../agent/src/adapters/systemd.ts";
import { createServer } from "../../../agent/src/api/server.ts";
import { makeControl } from "../../../agent/src/commit/commit.ts";
import { openStore } from "../../../agent/src/configuration/store.ts";
import { readUplinkStatuses } from "../../../agent/src/dslb/index.ts";
import { readFarmStates, readFarmStatuses } from "../../../agent/src/lslb/l4/index.ts";
import { readInterfaceStatus, readLinks } from "../../../agent/src/network/status.ts";
import { readRoutes, readRules } from "../../../agent/src/routing/index.ts";
import { subsystems } from "../../../agent/src/subsystems.ts";
import { readSystemStatus } from "../../../agent/src/system/status.ts";
import { makeConfiguration } from "./objects.ts";
import type { Answer, Question } from "./protocol.ts";
import { makeTracer, traceMachine, traceStore, traceSubsystem } from "./trace.ts";

/**
 * The agent as `main.ts` puts it together, with the tracer around store, subsystems and processes. What starts and stops units
 * is the process above, for there is no systemd in the namespace; watch and TLS are left out, for they would disturb the figures.
 */
const root = process.argv[2] ?? "";
process.umask(0o077);
const tracer = makeTracer();
const begin = performance.now();
const machine = traceMachine(makeMachine({ root, systemd: remoteUnits(), log: silence() }), tracer);

const store = await tracer.phase("open", () => openStore(machine.path("/config"), machine.log));
const registry = subsystems.map((subsystem) => traceSubsystem(subsystem, tracer));
const control = makeControl(traceStore(store, tracer), registry, machine);
await tracer.phase("resume", () => control.resume());
const server = await tracer.phase("server", () =>
  createServer({
    control,
    machine,
    status: {
      readFarmStatuses: (names) => readFarmStatuses(machine, control.current().configuration, names),
      readLinks: () => readLinks(machine),
      readInterfaceStatus: (name) => readInterfaceStatus(machine, name),
      readFarmStates: () => readFarmStates(machine, control.current().configuration),
      readStatistics: async () => ({}),
      readRoutes: () => readRoutes(machine, control.current().configuration),
      readRules: () => readRules(machine, control.current().configuration),
      readUplinkStatuses: () => readUplinkStatuses(machine, control.current().configuration),
      returnUplink: async () => false,
      readSystemStatus: () => readSystemStatus(machine, control),
    },
    version: "bench",
  }),
);
await tracer.phase("listen", () => server.listen());
if (control.current().generation > 0) await control.reconcile("start");
tell({ ready: { sinceLoad: performance.now() - begin, sinceStart: performance.now(), tally: tracer.take() } });

process.on("message", (question: Question | { done: number }) => {
  if ("done" in question) return;
  void answer(question).catch((error) => tell({ failure: error instanceof Error ? error.message : String(error) }));
});

async function answer(question: Question): Promise<void> {
  if (question.ask === "take") return tell({ tally: tracer.take() });
  if (question.ask === "memory") return tell({ memory: readMemory() });
  if (question.ask === "seed") {
    const { count, enabled } = question;
    const wanted = makeConfiguration(count, enabled);
    await control.commit({ author: { user: "bench", source: "local" }, message: "all farms", change: () => wanted });
    return tell({ tally: tracer.take() });
  }
  await server.close();
  process.exit(0);
}

/** MiB. */
function readMemory() {
  const status = readFileSync("/proc/self/status", "utf8");
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  const { heapUsed, heapTotal, external } = process.memoryUsage();
  const megabyte = 1024 * 1024;
  return {
    resident: read("VmRSS"),
    peak: read("VmHWM"),
    heapUsed: heapUsed / megabyte,
    heapTotal: heapTotal / megabyte,
    external: external / megabyte,
  };
}

function tell(answer: Answer): void {
  process.send?.(answer);
}

function silence(): Machine["log"] {
  return {
    info: process.env.TRY ? (m: string) => process.stderr.write(`${m}\n`) : () => {},
    warn: () => {},
    error: (message) => process.stderr.write(`${message}\n`),
  };
}

/** Orders to the process above, which holds the data plane while this one is started anew. */
function remoteUnits(): Systemd {
  let next = 0;
  const order = (order: "start" | "stop" | "restart") => async (unit: string) => {
    // Others are daemons of the system, which have nothing to do here.
    if (unit !== nftlbUnit) return;
    const id = next++;
    await new Promise<void>((resolve) => {
      const listen = (message: { done?: number }) => {
        if (message.done !== id) return;
        process.off("message", listen);
        resolve();
      };
      process.on("message", listen);
      tell({ unit, order, id });
    });
  };
  return {
    start: order("start"),
    stop: order("stop"),
    restart: order("restart"),
    reload: async () => {},
    isActive: async (unit) => unit === nftlbUnit,
  };
}
