import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

export type CheckResult = { name: string; ok: boolean; seconds: number };

export type SuiteResult = {
  name: string;
  passed: number;
  failed: number;
  seconds: number;
  checks: CheckResult[];
};

/** The outcome of a run as `build/test-results/qemu.json` holds it. */
export type Results = {
  passed: number;
  failed: number;
  seconds: number;
  accelerator: string;
  /** Seconds from power on to an API that serves, by machine. */
  boots: Record<string, number[]>;
  suites: SuiteResult[];
};

export function summarize(suites: readonly SuiteResult[]): { passed: number; failed: number } {
  return {
    passed: suites.reduce((sum, suite) => sum + suite.passed, 0),
    failed: suites.reduce((sum, suite) => sum + suite.failed, 0),
  };
}

/** A suite that could not begin: a failure with one check that says why. */
export function failedSuite(name: string, reason: string): SuiteResult {
  return { name, passed: 0, failed: 1, seconds: 0, checks: [{ name: reason, ok: false, seconds: 0 }] };
}

export async function writeResults(path: string, results: Results): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(results, null, 2)}\n`);
}
