import { setTimeout as sleep } from "node:timers/promises";
import { writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import type { ApiContext } from "../api/context.ts";
import { readManagementFingerprint } from "../certificates/management.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import { messageOf } from "../errors.ts";
import { renderStatusScreen } from "./status-screen.ts";

/** Shown by /usr/lib/steelyard/console-status, which runs as a user who may read this file and nothing else of ours. */
const path = "/run/steelyard/console.txt";

export type StatusWriterOptions = {
  machine: Machine;
  control: ConfigurationControl;
  status: Pick<ApiContext["status"], "readLinks" | "readSystemStatus" | "readFarmStates">;
  signal: AbortSignal;
  /** Milliseconds between two looks; a commit is shown at once. */
  interval?: number;
};

/**
 * Keeps the text of the status screen until the signal. It is written when it has changed and not otherwise, for a serial
 * line draws it anew each time. Never throws.
 */
export async function keepStatusScreen(options: StatusWriterOptions): Promise<void> {
  const { machine, control, status, signal, interval = 10_000 } = options;
  let last = "";
  let wake = new AbortController();
  const stop = control.subscribe(() => wake.abort());
  while (!signal.aborted) {
    wake = new AbortController();
    let pause = interval;
    try {
      const { text, final } = await drawScreen(machine, control, status);
      if (text !== last) await writeAtomically(machine.path(path), text, 0o644);
      last = text;
      if (!final) pause = Math.min(1_000, interval);
    } catch (error) {
      machine.log.warn(`console: ${messageOf(error)}`);
    }
    await sleep(pause, undefined, { signal: AbortSignal.any([signal, wake.signal]) }).catch(() => undefined);
    // Several commits in a row are one picture, and what a commit started has begun to show.
    if (wake.signal.aborted) await sleep(Math.min(1_000, interval));
  }
  stop();
}

/** Not final is what a box shows in the moments in which its certificate is still being made. */
async function drawScreen(
  machine: Machine,
  control: ConfigurationControl,
  { readLinks, readSystemStatus, readFarmStates }: StatusWriterOptions["status"],
): Promise<{ text: string; final: boolean }> {
  const { system, virtualAddresses } = control.current().configuration;
  const [links, status, farms, fingerprint] = await Promise.all([
    readLinks(),
    readSystemStatus(),
    // A data plane that does not answer must not take the addresses from the screen.
    readFarmStates().catch(() => []),
    readManagementFingerprint(machine),
  ]);
  const floating = Object.values(virtualAddresses).map(({ address }) => address);
  const pending = control.pending();
  const text = renderStatusScreen({ system, links, status, farms, fingerprint, virtualAddresses: floating, pending });
  return { text, final: fingerprint !== undefined };
}
