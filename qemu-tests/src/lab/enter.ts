import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { labDirectory, logDirectory, repository, socketDirectory } from "../paths.ts";
import { report, startMoment } from "../progress.ts";
import { findLeftovers } from "./leftovers.ts";
import { createNetwork, inNamespace, removeDeadLabs, removeNetwork } from "./namespaces.ts";
import { makeLabId } from "./plan.ts";

/** The lab a process stands in. */
export type Lab = { id: string; directory: string; sockets: string; logs: string };

const variable = "STEELYARD_LAB_ID";

export type EnterOptions = {
  /** Runs outside the namespace while the lab lives, and is stopped before it is taken down. */
  beside?: (lab: Lab) => Promise<() => Promise<void>>;
};

/**
 * Runs `main` in the client's namespace of a new lab. The script calls itself again under `ip netns exec`; this first process
 * stays outside, waits, and takes the lab down whatever happens: success, failure, Ctrl-C. Does not return.
 */
export async function enterLab(main: (lab: Lab) => Promise<number>, options: EnterOptions = {}): Promise<never> {
  const id = process.env[variable];
  if (id !== undefined) return process.exit(await runInside(describeLab(id), main));
  process.exit(await runOutside(describeLab(makeLabId(process.pid)), options));
}

function describeLab(id: string): Lab {
  return { id, directory: labDirectory(id), sockets: socketDirectory(id), logs: logDirectory(id) };
}

async function runInside(lab: Lab, main: (lab: Lab) => Promise<number>): Promise<number> {
  // The outer process is gone without a word (SIGKILL): nobody else would clean up.
  process.once("disconnect", () => {
    void removeLab(lab).finally(() => process.exit(1));
  });
  try {
    return await main(lab);
  } catch (error) {
    report(`failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    report(`logs: ${lab.logs}`);
    return 1;
  }
}

async function runOutside(lab: Lab, options: EnterOptions): Promise<number> {
  if (process.getuid?.() !== 0) {
    process.stderr.write("The lab makes network namespaces and taps: run it as root or with sudo.\n");
    return 1;
  }
  for (const dead of await removeDeadLabs()) {
    report(`removed what ${dead} left behind`);
    await rm(labDirectory(dead), { recursive: true, force: true });
    await rm(socketDirectory(dead), { recursive: true, force: true });
  }
  for (const directory of [lab.directory, lab.sockets, lab.logs]) await mkdir(directory, { recursive: true });
  let code = 1;
  let stopBeside: (() => Promise<void>) | undefined;
  const signals = catchSignals();
  try {
    await createNetwork(lab.id);
    stopBeside = await options.beside?.(lab);
    const child = startInside(lab);
    signals.forwardTo(child);
    code = signals.caught === undefined ? await exitCode(child) : 1;
  } finally {
    await stopBeside?.();
    await removeLab(lab);
  }
  const leftovers = await findLeftovers(lab.id);
  for (const leftover of leftovers) report(`left behind: ${leftover}`);
  if (signals.caught !== undefined) return 128 + constants.signals[signals.caught];
  return leftovers.length > 0 && code === 0 ? 1 : code;
}

function startInside(lab: Lab): ChildProcess {
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const [file, ...args] = inNamespace(lab.id, "client", self);
  return spawn(file, args, {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    cwd: repository,
    env: { ...process.env, [variable]: lab.id, STEELYARD_LAB_STARTED: startMoment() },
  });
}

async function exitCode(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** Keeps the process alive through Ctrl-C and the like until it has cleaned up. */
function catchSignals(): { caught: NodeJS.Signals | undefined; forwardTo(child: ChildProcess): void } {
  const state = {
    caught: undefined as NodeJS.Signals | undefined,
    child: undefined as ChildProcess | undefined,
    forwardTo(child: ChildProcess) {
      state.child = child;
      if (state.caught !== undefined) child.kill("SIGTERM");
    },
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (state.caught === undefined) report(`${signal}: taking the lab down`);
      state.caught ??= signal;
      state.child?.kill("SIGTERM");
      // A child that does not listen any more is ended; the namespaces' other processes go with the lab.
      setTimeout(() => state.child?.kill("SIGKILL"), 5_000).unref();
    });
  }
  return state;
}

async function removeLab(lab: Lab): Promise<void> {
  await removeNetwork(lab.id);
  await rm(lab.directory, { recursive: true, force: true });
  await rm(lab.sockets, { recursive: true, force: true });
}

/** A file of the lab's sources, to run it as a process of its own. */
export function sourcePath(...parts: string[]): string {
  return join(repository, "qemu-tests", "src", ...parts);
}
