import { spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/**
 * Runs stages of tests by name, in the order given, and closes on `N passed, N failed`:
 * a stage that fails does not stop those that can still say something, so one run shows all that is wrong.
 */

type Count = { passed: number; failed: number };
type Stage = { title: string; needs?: string; run(): Promise<Count> };

const logs = "build/logs";
const results = "build/test-results";
const node = ["node", "--import", "./register.mjs"];
const started = Date.now();

function elapsed(): string {
  const seconds = Math.round((Date.now() - started) / 1000);
  return `${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Runs a command with its output in `build/logs/<name>.log`, and on the terminal too unless it is `quiet`. */
function run(name: string, argv: string[], quiet = false): Promise<{ code: number; output: string }> {
  const [file = "", ...args] = argv;
  const log = createWriteStream(join(logs, `${name}.log`));
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
  const parts: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      parts.push(data);
      log.write(data);
      if (!quiet) process.stdout.write(data);
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      log.end();
      resolve({ code: code ?? 1, output: Buffer.concat(parts).toString("utf8") });
    });
  });
}

function listTests(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith(".test.ts"));
  return names.sort().map((name) => join(directory, name));
}

/** A command that passes or fails as one. */
async function runCommand(name: string, argv: string[]): Promise<Count> {
  const { code } = await run(name, argv);
  if (code !== 0) console.log(`${name} failed with exit status ${code}; log: ${join(logs, `${name}.log`)}`);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** tap closes on a comment `# { total: 54, pass: 53, fail: 1 }`; a run without one, or without a test, has failed. */
async function runTap(name: string, args: string[]): Promise<Count> {
  const { code, output } = await run(name, ["npx", "--no-install", "tap", "--reporter=tap", ...args], true);
  if (code !== 0) console.log(`${output}\n${name} failed; log: ${join(logs, `${name}.log`)}`);
  const totals = [...output.matchAll(/^# \{ total: (\d+)(?:, pass: (\d+))?(?:, fail: (\d+))?(?:, skip: (\d+))?/gm)].at(
    -1,
  );
  const passed = Number(totals?.[2] ?? 0);
  const failed = Number(totals?.[3] ?? 0);
  if (passed === 0 || (code !== 0 && failed === 0)) return { passed, failed: failed + 1 };
  return { passed, failed };
}

/** Suites in virtual machines, with the arguments of `run-suites.ts`. */
async function runMachines(name: string, ...args: string[]): Promise<Count> {
  const { code } = await run(name, [...node, "qemu-tests/src/run-suites.ts", ...args]);
  const report = JSON.parse(readFileSync(join(results, "qemu.json"), "utf8")) as Count;
  return { passed: report.passed, failed: report.failed + (code !== 0 && report.failed === 0 ? 1 : 0) };
}

const stages: Record<string, Stage> = {
  lint: {
    title: "format and lint",
    run: () => runCommand("lint", ["npx", "--no-install", "biome", "check", "--error-on-warnings", "."]),
  },
  types: {
    title: "types",
    // What it found out is kept: with a few changed files it takes a third.
    run: () =>
      runCommand("types", [
        ...["npx", "--no-install", "tsc", "--project", ".", "--incremental"],
        ...["--tsBuildInfoFile", "build/types.tsbuildinfo"],
      ]),
  },
  unit: { title: "unit and golden tests", run: () => runTap("unit", [`--jobs=${availableParallelism()}`]) },
  netns: {
    title: "real daemons in network namespaces",
    run: () => runTap("netns", ["--timeout=1800", "--jobs=1", ...listTests("agent/netns-tests")]),
  },
  crash: {
    title: "power cuts at every kind of block write of /config",
    run: () => runTap("crash", ["--timeout=3600", "--jobs=1", ...listTests("agent/crash-tests")]),
  },
  image: {
    title: "image, profile virt",
    run: () => runCommand("image-virt", [...node, "image/builder/src/main.ts", "media", "--profile", "virt"]),
  },
  metal: {
    title: "image, profile metal",
    run: () => runCommand("image-metal", [...node, "image/builder/src/main.ts", "media", "--profile", "metal"]),
  },
  vm: { title: "virtual machines", needs: "image", run: () => runMachines("vm") },
  "vm-all": { title: "virtual machines, full matrix", needs: "image", run: () => runMachines("vm-all", "--all") },
  "vm-metal": {
    title: "profile metal in a virtual machine with a server's disk and cards",
    needs: "metal",
    run: () => runMachines("vm-metal", "--profile", "metal", "--hardware", "server", "--test", "boot"),
  },
};

async function main(names: string[]): Promise<number> {
  mkdirSync(logs, { recursive: true });
  mkdirSync(results, { recursive: true });
  const writesReport = names.includes("report");
  const wanted = names
    .filter((name) => name !== "report")
    .flatMap((name) => (name === "check" ? ["lint", "types", "unit"] : [name]));
  const unknown = wanted.find((name) => !(name in stages));
  if (wanted.length === 0 || unknown !== undefined) {
    console.error(
      `usage: test.ts ${["check", ...Object.keys(stages), "report"].join("|")} ...${unknown ? ` (not ${unknown})` : ""}`,
    );
    return 2;
  }
  const counts = new Map<string, Count & { seconds: number }>();
  for (const [index, name] of wanted.entries()) {
    const stage = stages[name] as Stage;
    const lost = stage.needs !== undefined && (counts.get(stage.needs)?.failed ?? 0) > 0;
    console.log(
      `[${elapsed()}] ${index + 1}/${wanted.length} ${stage.title}${lost ? `: cannot run without ${stage.needs}` : ""}`,
    );
    const began = Date.now();
    const failedStage = (error: unknown): Count => {
      console.error(error instanceof Error ? error.message : error);
      return { passed: 0, failed: 1 };
    };
    const count = lost ? { passed: 0, failed: 1 } : await stage.run().catch(failedStage);
    counts.set(name, { ...count, seconds: Math.round((Date.now() - began) / 1000) });
  }
  const total = { passed: 0, failed: 0 };
  for (const [name, { passed, failed, seconds }] of counts) {
    total.passed += passed;
    total.failed += failed;
    console.log(
      `  ${name.padEnd(8)} ${String(passed).padStart(5)} passed ${String(failed).padStart(3)} failed ${String(seconds).padStart(5)} s`,
    );
  }
  const summary = `${total.passed} passed, ${total.failed} failed`;
  writeFileSync(join(results, "summary.txt"), `${summary}\n`);
  if (writesReport) writeReport(counts, summary);
  console.log(summary);
  return total.failed === 0 ? 0 : 1;
}

function writeReport(counts: Map<string, Count & { seconds: number }>, summary: string): void {
  const rows = [...counts].map(
    ([name, { passed, failed, seconds }]) => `| ${name} | ${passed} | ${failed} | ${seconds} |`,
  );
  const commit = readFileSync(".git/HEAD", "utf8").trim().replace("ref: ", "");
  const hash = commit.startsWith("refs/") ? readFileSync(join(".git", commit), "utf8").trim() : commit;
  const text = `# The last run of \`make test-all\`

Date: ${new Date().toISOString().slice(0, 10)}. Commit: ${hash.slice(0, 12)}. Result: ${summary}.

| stage | passed | failed | seconds |
|---|---|---|---|
${rows.join("\n")}
`;
  writeFileSync("docs/test-report.md", text);
}

process.exitCode = await main(process.argv.slice(2));
