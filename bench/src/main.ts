import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { enterLab, type Lab } from "../../qemu-tests/src/lab/enter.ts";
import { buildDirectory, imagePath } from "../../qemu-tests/src/paths.ts";
import { report } from "../../qemu-tests/src/progress.ts";
import { chooseAccelerator } from "../../qemu-tests/src/vm/accelerator.ts";
import type { BenchContext, Peer } from "./context.ts";
import { buildDebian, type DebianDisk, extractPackages } from "./debian/build-debian.ts";
import { bootFarm } from "./farms.ts";
import { describeCommit, describeMachine, timestamp } from "./machine.ts";
import { readOptions } from "./options.ts";
import { renderReport } from "./report.ts";
import { type Findings, loadResults, type SectionName, storeResult } from "./results.ts";
import { measureBoot } from "./sections/boot.ts";
import { measureBoxes } from "./sections/boxes.ts";
import { measureBuild } from "./sections/build.ts";
import { measureControl } from "./sections/control.ts";
import { measureL4 } from "./sections/l4.ts";
import { askNeighboursOften } from "./traffic/first-byte.ts";
import { startServers } from "./traffic/servers.ts";

/**
 * `make bench [ONLY=boot,api] [ROUNDS=5] [BOOTS=2] [COLD=1]`: measures, and writes build/bench/report.md and report.json. A
 * section that was not measured this time stands in the report as it was the last time, with its date.
 */
const directory = join(buildDirectory, "bench");
const options = readOptions(process.env);
const image = imagePath(options.profile);
const peersFile = join(directory, "peers.json");
const onHost: readonly SectionName[] = ["build", "control"];
const inLab = options.sections.some((section) => !onHost.includes(section));

type Peers = { debian: Peer<DebianDisk>; ipvsadm: Peer<{ root: string }> };

/** What needs the network of the host, before the lab is entered, which has none. */
async function prepare(): Promise<void> {
  await mkdir(directory, { recursive: true });
  if (options.sections.includes("build")) await record(["build"], async () => [await measureBuild(directory, options)]);
  if (options.sections.includes("control"))
    await record(["control"], async () => [await measureControl(directory, options)]);
  const peers: Peers = {
    debian: options.sections.includes("boot")
      ? await orReason(() => buildDebian(directory, bootFarm))
      : { reason: "not asked for" },
    ipvsadm: options.sections.includes("l4")
      ? await orReason(async () => ({ root: await extractPackages(directory, ["ipvsadm"]) }))
      : { reason: "not asked for" },
  };
  await writeFile(peersFile, JSON.stringify(peers));
}

async function orReason<Value>(make: () => Promise<Value>): Promise<Peer<Value>> {
  try {
    return await make();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    report(reason);
    return { reason };
  }
}

/** Runs sections that are measured together, keeps what they found, and renews the report. */
async function record(sections: readonly SectionName[], measure: () => Promise<Findings[]>): Promise<boolean> {
  report(`measuring: ${sections.join(", ")}`);
  const begin = performance.now();
  const accelerator = existsSync(image) ? await chooseAccelerator(image) : "tcg";
  let all: Findings[];
  let failed = false;
  try {
    all = await measure();
  } catch (error) {
    failed = true;
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    report(`${sections.join(", ")}: ${reason}`);
    const broken = { what: "the whole section", reason: reason.split("\n")[0] ?? reason };
    all = sections.map(() => ({ tables: [], missing: [broken], samples: {} }));
  }
  const [date, commit, seconds] = [timestamp(), await describeCommit(), (performance.now() - begin) / 1000];
  for (const [index, section] of sections.entries()) {
    const findings = all[index];
    if (findings) await storeResult(directory, { section, date, commit, accelerator, seconds, ...findings });
  }
  const [machine, results] = [await describeMachine(accelerator), await loadResults(directory)];
  await writeFile(join(directory, "report.md"), renderReport(machine, results));
  await writeFile(join(directory, "report.json"), `${JSON.stringify({ machine, results }, undefined, 2)}\n`);
  return !failed;
}

async function measureInLab(lab: Lab): Promise<number> {
  if (!existsSync(image)) {
    report(`there is no image at ${image}: make image PROFILE=${options.profile}`);
    return 1;
  }
  const peers = JSON.parse(await readFile(peersFile, "utf8")) as Peers;
  const context: BenchContext = { lab, options, image, accelerator: await chooseAccelerator(image), ...peers };
  await askNeighboursOften("eth0");
  const servers = await startServers(lab);
  const wanted = (section: SectionName) => options.sections.includes(section);
  let sound = true;
  try {
    if (wanted("boot")) sound = (await record(["boot"], async () => [await measureBoot(context)])) && sound;
    const boxes = (["agent", "api"] as const).filter(wanted);
    if (boxes.length > 0) sound = (await record(boxes, () => measureBoxes(context, boxes))) && sound;
    if (wanted("l4")) sound = (await record(["l4"], async () => [await measureL4(context)])) && sound;
  } finally {
    servers.stop();
  }
  report(`report: ${join(directory, "report.md")}`);
  return sound ? 0 : 1;
}

// The lab starts this program again inside its namespaces; only the first one prepares.
const outside = process.env.STEELYARD_LAB_ID === undefined;
if (outside) await prepare();
if (inLab) await enterLab(measureInLab);
