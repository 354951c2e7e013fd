import notify from "systemd-notify";
import type { Run } from "./process.ts";

/**
 * What the agent tells systemd about itself (sd_notify(3)). Everything here does nothing outside of a service, so that the
 * agent also runs by hand.
 */
export type ServiceManager = {
  /** Start-up is complete. */
  ready(status: string): Promise<void>;
  /** One line that `systemctl status` shows. */
  status(text: string): Promise<void>;
  stopping(): Promise<void>;
  /** Milliseconds between two signs of life, or undefined when no watchdog is set. */
  watchdogInterval: number | undefined;
  keepAlive(): Promise<void>;
};

export function makeServiceManager(run: Run, environment: NodeJS.ProcessEnv): ServiceManager {
  const manages = environment.NOTIFY_SOCKET !== undefined;
  const limit = Number(environment.WATCHDOG_USEC);
  const send = async (...args: string[]) => {
    if (manages) await run(["systemd-notify", ...args], { timeout: 10_000 });
  };
  return {
    ready: async (status) => {
      if (manages) await notify({ ready: true, status });
    },
    status: async (status) => {
      if (manages) await notify({ status });
    },
    stopping: () => send(`--pid=${process.pid}`, "STOPPING=1"),
    // A third of the limit, so that two signs of life may be late before systemd acts.
    watchdogInterval: manages && limit > 0 ? limit / 3000 : undefined,
    keepAlive: () => send(`--pid=${process.pid}`, "WATCHDOG=1"),
  };
}
