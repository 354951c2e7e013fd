import { performance } from "node:perf_hooks";
import t, { type Test } from "tap";
import { suites } from "../suites/index.ts";
import { Box } from "./box/box.ts";
import type { Lab } from "./lab/enter.ts";
import { resultFile } from "./paths.ts";
import { report } from "./progress.ts";
import { type CheckResult, failedSuite, type Results, type SuiteResult, summarize, writeResults } from "./results.ts";
import { type MachineKind, type Suite, selectSuites } from "./suite.ts";
import { startBackends } from "./traffic/backends.ts";
import { chooseAccelerator } from "./vm/accelerator.ts";
import type { Accelerator, Hardware } from "./vm/arguments.ts";

export type RunOptions = { image: string; hardware: Hardware; test?: string; all: boolean };

type Run = RunOptions & { lab: Lab; accelerator: Accelerator; boots: Record<string, number[]> };

/** Runs the chosen suites, one machine after the other, and writes the summary. Returns the exit status. */
export async function runSuites(lab: Lab, options: RunOptions): Promise<number> {
  const begin = performance.now();
  const chosen = selectSuites(suites, options.test);
  const accelerator = await chooseAccelerator(options.image);
  report(`accelerator ${accelerator}; suites: ${chosen.map(({ name }) => name).join(", ")}; logs: ${lab.logs}`);
  const run: Run = { ...options, lab, accelerator, boots: {} };
  const servers = await startBackends(lab);
  const finished: SuiteResult[] = [];
  for (const kind of new Set(chosen.map(({ machine }) => machine))) {
    const group = chosen.filter(({ machine }) => machine === kind);
    finished.push(...(await runOnMachine(run, kind, group)));
  }
  servers.stop();
  const { passed, failed } = summarize(finished);
  const seconds = Math.round((performance.now() - begin) / 1000);
  const results: Results = { passed, failed, seconds, accelerator, boots: run.boots, suites: finished };
  await writeResults(resultFile, results);
  t.endAll();
  for (const suite of finished) report(`${suite.name}: ${suite.passed} passed, ${suite.failed} failed`);
  report(`qemu: ${passed} passed, ${failed} failed in ${seconds} s; ${resultFile}`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

async function runOnMachine(run: Run, kind: MachineKind, group: readonly Suite[]): Promise<SuiteResult[]> {
  let box: Box | undefined;
  try {
    const setup = group[0]?.setup;
    box = await createBox(run, kind, setup);
    if (setup === undefined) await box.boot();
    const finished: SuiteResult[] = [];
    for (const suite of group) finished.push(await runSuite(run, box, suite));
    return finished;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    report(`${kind}: ${reason}`);
    t.fail(`${kind}: ${reason}`);
    return group.map(({ name }) => failedSuite(name, `the machine did not come up: ${reason}`));
  } finally {
    await box?.machine.saveJournal();
    await box?.machine.cutPower();
  }
}

async function createBox(run: Run, kind: MachineKind, setup: Suite["setup"]): Promise<Box> {
  const { lab, image, hardware, accelerator, boots } = run;
  const firmware = kind === "uefi" ? "uefi" : "bios";
  const answersBy = firmware === "uefi" ? ("credential" as const) : ("disk" as const);
  const box = await Box.create(lab, { name: kind, image, hardware, accelerator, firmware, answersBy, ...setup });
  box.onBoot = (seconds) => {
    boots[kind] = [...(boots[kind] ?? []), Math.round(seconds)];
  };
  return box;
}

async function runSuite({ lab, all }: Run, box: Box, suite: Suite): Promise<SuiteResult> {
  const begin = performance.now();
  const checks: CheckResult[] = [];
  report(`suite ${suite.name}`);
  await t.test(suite.name, { timeout: 0 }, async (outer) => {
    const check = async (name: string, body: (inner: Test) => Promise<void>) => {
      checks.push(await runCheck(outer, box, name, body));
    };
    try {
      await suite.run({ lab, box, all, check });
    } catch (error) {
      // Outside of any check: the rest of the suite is lost.
      checks.push({ name: describeError(error), ok: false, seconds: 0 });
      throw error;
    }
  });
  const passed = checks.filter(({ ok }) => ok).length;
  const seconds = Math.round((performance.now() - begin) / 1000);
  return { name: suite.name, passed, failed: checks.length - passed, seconds, checks };
}

async function runCheck(
  outer: Test,
  box: Box,
  name: string,
  body: (inner: Test) => Promise<void>,
): Promise<CheckResult> {
  const begin = performance.now();
  let ok = false;
  await outer.test(name, { timeout: 0 }, async (inner) => {
    try {
      await body(inner);
    } catch (error) {
      inner.fail(describeError(error));
    }
    ok = inner.passing();
    if (!ok) inner.comment(box.machine.describeLogs());
  });
  const seconds = Math.round((performance.now() - begin) / 100) / 10;
  report(`${ok ? "ok" : "NOT OK"}  ${name} (${seconds} s)`);
  if (!ok) await box.machine.saveJournal();
  return { name, ok, seconds };
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
