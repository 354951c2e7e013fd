import { readTextIfExists, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { messageOf, type Problem } from "../errors.ts";
import type { LocatedProblem } from "./answer-file.ts";
import type { Answers } from "./schema.ts";

/** What became of the first boot, left on the box for whoever wonders later. No value of a secret, nor a word of a bad file. */
export type FirstBootReport = {
  /** RFC 3339, UTC. */
  time: string;
  /** `steelyard.yaml on /dev/vdb`, `the console`. */
  source: string;
  /** SHA-256 of the file as it was read; none for answers from the console. */
  sha256?: string;
  outcome: "applied" | "refused";
  generation?: number;
  /** Names of what was made of it. */
  applied?: {
    hostname: string;
    admin: string[];
    managementInterfaces: string[];
    interfaces: string[];
    virtualAddresses: string[];
    farms: string[];
  };
  warnings: Problem[];
  problems: LocatedProblem[];
};

const path = "/data/first-boot/report.json";

/** Never throws: the report is no part of the first boot. */
export async function writeReport(machine: Machine, report: Omit<FirstBootReport, "time">): Promise<void> {
  try {
    const whole: FirstBootReport = { time: machine.now().toISOString(), ...report };
    await writeAtomically(machine.path(path), `${JSON.stringify(whole, undefined, 2)}\n`, 0o600);
  } catch (error) {
    machine.log.warn(`first boot: the report could not be written: ${messageOf(error)}`);
  }
}

/** Undefined before the first boot, and on a box that had it before there were reports. */
export async function readReport(machine: Machine): Promise<FirstBootReport | undefined> {
  const text = await readTextIfExists(machine.path(path));
  return text === undefined ? undefined : (JSON.parse(text) as FirstBootReport);
}

export function summarizeAnswers({ admin, system, interfaces, virtualAddresses, farms }: Answers) {
  const keys = admin.sshKeys.length;
  return {
    hostname: system.hostname,
    admin: [
      ...(admin.password === undefined ? [] : ["password"]),
      ...(admin.passwordHash === undefined ? [] : ["password, given as its hash"]),
      ...(keys === 0 ? [] : [`${keys} SSH ${keys === 1 ? "key" : "keys"}`]),
    ],
    managementInterfaces: system.management.interfaces,
    interfaces: Object.keys(interfaces),
    virtualAddresses: Object.keys(virtualAddresses),
    farms: Object.keys(farms),
  };
}
