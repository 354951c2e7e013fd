import { join } from "node:path";
import { bundleForMeasuring } from "../../../image/builder/src/bundle.ts";
import { repository } from "../../../qemu-tests/src/paths.ts";
import { report } from "../../../qemu-tests/src/progress.ts";
import { attempt } from "../context.ts";
import { BenchAgent } from "../control/bench-agent.ts";
import { farmName, makeFarm } from "../control/objects.ts";
import type { Memory, Ready } from "../control/protocol.ts";
import type { Tally } from "../control/trace.ts";
import type { Options } from "../options.ts";
import type { Findings, Missing, Table } from "../results.ts";
import { describeSamples, formatNumber, median } from "../statistics.ts";

/** What the control plane has to hold at 1,000 farms of ten backends: milliseconds on top of the data plane, and MiB. */
const targets = { commit: 150, load: 3_000, memory: 200 };

/** nftlb tells 4,094 backends apart, so the kernel has the farms that are enabled; the configuration has them all. */
const scenarios = [
  { farms: 100, enabled: 100 },
  { farms: 1_000, enabled: 10 },
  { farms: 1_000, enabled: 400 },
];

/** So many in the one case of 1,000 farms that the data plane is quick at, so that retention is at work: it keeps a hundred generations. */
const commits = 102;

/** Milliseconds after which a case takes no further samples: on a busy machine fewer, and the report says how many. */
const patience = 240_000;

/** Milliseconds: what the client waited, what of it the agent waited for the data plane, and the processor's time. */
type Sample = { total: number; own: number; processor: number; tally: Tally };

type Figures = {
  farms: number;
  enabled: number;
  ready: Ready;
  loaded: Memory;
  worked: Memory;
  asked: Memory;
  /** Rounds that were not measured any more. */
  left: number;
  changes: Record<string, Sample[]>;
  reads: Record<string, { sample: Sample; bytes: number }>;
};

/** The real pipeline on this machine, without a virtual machine: real kernel, nft and nftlb in namespaces, a real disk. */
export async function measureControl(directory: string, { rounds }: Options): Promise<Findings> {
  const output = join(directory, "control");
  const entry = join(repository, "bench/src/control/measured-agent.ts");
  const program = await bundleForMeasuring("measured-agent", entry, output);
  const missing: Missing[] = [];
  const all: Figures[] = [];
  for (const { farms, enabled } of scenarios) {
    const name = `${farms} farms, ${enabled} enabled`;
    report(`control plane: ${name}`);
    const figures = await attempt(name, missing, () => measureScenario(program, farms, enabled, rounds));
    if (figures) all.push(figures);
  }
  return {
    tables: [...describeTargets(all), describeChanges(all), describePhases(all), describeReads(all), describeLoad(all)],
    missing,
    samples: listSamples(all),
  };
}

async function measureScenario(program: string, farms: number, enabled: number, rounds: number): Promise<Figures> {
  const agent = await BenchAgent.create(program, farms);
  try {
    await agent.start();
    await agent.seed(farms, enabled);
    await agent.stop();
    // An agent that finds its configuration and a data plane that lived on: the start after an update or a crash.
    const ready = await agent.start();
    const loaded = await agent.memory();
    await agent.take();
    const changes: Figures["changes"] = { create: [], weight: [], delete: [] };
    const turns = farms < 1_000 || enabled > 10 ? rounds : Math.max(rounds, commits / 3);
    const end = performance.now() + patience;
    let round = 0;
    for (; round < turns && (round < 3 || performance.now() < end); round++) {
      const name = farmName(farms);
      const farm = { name, ...makeFarm(farms, true) };
      changes.create?.push(await measure(agent, 201, "POST", "/farms", farm));
      changes.weight?.push(
        await measure(agent, 200, "PATCH", `/farms/${name}/backends/b1`, { weight: 20 + (round % 50) }),
      );
      changes.delete?.push(await measure(agent, 204, "DELETE", `/farms/${name}`));
    }
    const worked = await agent.memory();
    const reads: Figures["reads"] = {};
    for (const [what, path] of Object.entries(readings)) {
      const begin = await agent.request("GET", path);
      const tally = await agent.take();
      if (begin.status !== 200) throw new Error(`GET ${path}: status ${begin.status}: ${begin.text.slice(0, 300)}`);
      reads[what] = { sample: toSample(begin.milliseconds, tally), bytes: Buffer.byteLength(begin.text) };
    }
    const asked = await agent.memory();
    await agent.stop();
    return { farms, enabled, ready, loaded, worked, asked, left: turns - round, changes, reads };
  } finally {
    await agent.close();
  }
}

const readings = {
  "list of the farms": "/farms",
  "one farm": `/farms/${farmName(1)}`,
  "the whole configuration": "/configuration",
  history: "/configuration/generations",
  "difference to the generation before": "/configuration/diff",
  "states of the farms": "/status/farms",
  "check of every generation": "/configuration/verify",
};

async function measure(
  agent: BenchAgent,
  status: number,
  method: string,
  path: string,
  body?: unknown,
): Promise<Sample> {
  const answer = await agent.request(method, path, body);
  if (answer.status !== status)
    throw new Error(`${method} ${path}: status ${answer.status} and not ${status}: ${answer.text.slice(0, 300)}`);
  return toSample(answer.milliseconds, await agent.take());
}

function toSample(total: number, tally: Tally): Sample {
  return { total, own: total - tally.dataPlane, processor: tally.processor, tally };
}

const nameOf = ({ farms, enabled }: Figures) => `${farms} farms, ${enabled} enabled`;
const mark = (value: number, target: number) => (value < target ? "yes" : "NO");

function describeTargets(all: readonly Figures[]): Table[] {
  const rows = all
    .filter(({ farms }) => farms === 1_000)
    .flatMap((figures) => {
      const own = Object.values(figures.changes).flatMap((samples) => samples.map((sample) => sample.own));
      const used = Object.values(figures.changes).flatMap((samples) => samples.map(({ processor }) => processor));
      const load = figures.ready.sinceLoad - figures.ready.tally.dataPlane;
      const row = (what: string, value: number, target: number, unit: string) => {
        return [nameOf(figures), what, formatNumber(value), `${formatNumber(target)} ${unit}`, mark(value, target)];
      };
      return [
        row("one-object commit on top of the data plane, median", median(own), targets.commit, "ms"),
        row("the slowest of them", Math.max(...own), targets.commit, "ms"),
        [nameOf(figures), "processor time of the agent in them, median", formatNumber(median(used)), "–", "–"],
        row("full load on top of the data plane", load, targets.load, "ms"),
        row("resident memory at its highest: load and commits", figures.worked.peak, targets.memory, "MiB"),
        row("and with the questions below", figures.asked.peak, targets.memory, "MiB"),
      ];
    });
  return [
    {
      title: "Targets at 1,000 farms of 10 backends",
      columns: ["case", "what", "measured", "less than", "held"],
      rows,
      notes: [
        "Times are those of the clock: on a machine that is busy with something else they are many times the processor's, and say nothing of the targets.",
        ...all
          .filter(({ left }) => left > 0)
          .map((figures) => {
            const taken = figures.changes.weight?.length ?? 0;
            return `${nameOf(figures)}: ${taken} of ${taken + figures.left} rounds in ${patience / 60_000} minutes.`;
          }),
      ],
    },
  ];
}

function describeChanges(all: readonly Figures[]): Table {
  return {
    title: "Milliseconds for a commit of one object",
    columns: ["case", "operation", "own time", "data plane", "whole", "processor"],
    rows: all.flatMap((figures) =>
      Object.entries(figures.changes).map(([operation, samples]) => [
        nameOf(figures),
        operation,
        describeSamples(samples.map(({ own }) => own)),
        describeSamples(samples.map(({ tally }) => tally.dataPlane)),
        describeSamples(samples.map(({ total }) => total)),
        describeSamples(samples.map(({ processor }) => processor)),
      ]),
    ),
    notes: [
      "Whole: from the request on the local socket to the end of its answer, by the clock of another process; the change is in the kernel, was read back, is on the disk and in the audit log.",
      "Data plane: the agent's event loop was idle and waited for nft, nftlb, ip or conntrack. Own: all the rest, with the start of those processes, the parsing of what they say, and the waits for the disk.",
      "Processor: time of the agent's process, its threads and what the kernel did for it; unlike the others it does not grow with what else this machine does.",
      "Farms that are not enabled are in the configuration and not in the kernel: nftlb tells 4,094 backends apart. There is no systemd and no sshd in the namespaces: questions to systemctl and sshd are not in the figures.",
    ],
  };
}

function describePhases(all: readonly Figures[]): Table {
  const phases = [
    ...new Set(all.flatMap(({ changes }) => (changes.weight ?? []).flatMap(({ tally }) => Object.keys(tally.phases)))),
  ];
  const calls = [
    ...new Set(all.flatMap(({ changes }) => (changes.weight ?? []).flatMap(({ tally }) => Object.keys(tally.calls)))),
  ];
  const middle = (figures: Figures, read: (tally: Tally) => number) =>
    formatNumber(median((figures.changes.weight ?? []).map(({ tally }) => read(tally))));
  return {
    title: "Where the time of a changed weight goes, milliseconds (median)",
    columns: ["part", ...all.map(nameOf)],
    rows: [
      ...phases.map((phase) => [phase, ...all.map((figures) => middle(figures, ({ phases }) => phases[phase] ?? 0))]),
      [
        "request, rights, schema, events, audit log, answer",
        ...all.map((figures) => {
          const rest = (figures.changes.weight ?? []).map(
            ({ own, tally }) => own - Object.values(tally.phases).reduce((sum, each) => sum + each, 0),
          );
          return formatNumber(median(rest));
        }),
      ],
      ...calls.map((call) => [
        `waits: ${call}`,
        ...all.map((figures) => middle(figures, ({ calls }) => calls[call]?.time ?? 0)),
      ]),
    ],
    notes: [
      "plan: render, read the machine, compare. steps: carry out and read back. Phases without the data plane's time; waits overlap them and each other.",
    ],
  };
}

function describeReads(all: readonly Figures[]): Table {
  return {
    title: "Milliseconds for a question",
    columns: ["question", ...all.map(nameOf)],
    rows: Object.keys(readings).map((what) => [
      what,
      ...all.map(({ reads }) => {
        const read = reads[what];
        return read ? `${formatNumber(read.sample.total)} (${formatNumber(read.bytes / 1000)} kB)` : "–";
      }),
    ]),
    notes: ["Whole time of the client, once, after the commits above: a hundred generations at 1,000 farms."],
  };
}

function describeLoad(all: readonly Figures[]): Table {
  const phases = [...new Set(all.flatMap(({ ready }) => Object.keys(ready.tally.phases)))];
  return {
    title: "Start on a configuration and a data plane that are there, milliseconds; memory, MiB",
    columns: ["part", ...all.map(nameOf)],
    rows: [
      [
        "from the loaded program to ready, data plane's time taken off",
        ...all.map(({ ready }) => formatNumber(ready.sinceLoad - ready.tally.dataPlane)),
      ],
      ["of it the data plane's", ...all.map(({ ready }) => formatNumber(ready.tally.dataPlane))],
      ["node and the program before that", ...all.map(({ ready }) => formatNumber(ready.sinceStart - ready.sinceLoad))],
      ...phases.map((phase) => [phase, ...all.map(({ ready }) => formatNumber(ready.tally.phases[phase] ?? 0))]),
      ["RSS when ready", ...all.map(({ loaded }) => formatNumber(loaded.resident))],
      ["RSS after the commits", ...all.map(({ worked }) => formatNumber(worked.resident))],
      ["RSS after the questions", ...all.map(({ asked }) => formatNumber(asked.resident))],
      ["RSS at its highest", ...all.map(({ asked }) => formatNumber(asked.peak))],
      ["heap in use after the commits", ...all.map(({ worked }) => formatNumber(worked.heapUsed))],
    ],
    notes: ["open: read, hash and parse every file of the current generation."],
  };
}

function listSamples(all: readonly Figures[]): Record<string, number[]> {
  return Object.fromEntries(
    all.flatMap((figures) =>
      Object.entries(figures.changes).flatMap(([operation, samples]) => [
        [`${operation}, ${nameOf(figures)}, own, ms`, samples.map(({ own }) => own)],
        [`${operation}, ${nameOf(figures)}, whole, ms`, samples.map(({ total }) => total)],
        [`${operation}, ${nameOf(figures)}, processor, ms`, samples.map(({ processor }) => processor)],
      ]),
    ),
  );
}
