import type { Run } from "./process.ts";

/** What the agent asks of systemd. Units are the ones of the image's overlay. */
export type Systemd = {
  start(unit: string): Promise<void>;
  stop(unit: string): Promise<void>;
  restart(unit: string): Promise<void>;
  reload(unit: string): Promise<void>;
  isActive(unit: string): Promise<boolean>;
};

const timeout = 90_000;

/** systemctl(1) behind the interface. */
export function systemctl(run: Run): Systemd {
  const order = (verb: string) => async (unit: string) => {
    await run(["systemctl", "--no-ask-password", verb, unit], { timeout });
  };
  return {
    start: order("start"),
    stop: order("stop"),
    restart: order("restart"),
    reload: order("reload"),
    // 3 is "not active", 4 "no such unit" (systemctl(1), EXIT STATUS).
    isActive: async (unit) =>
      (await run(["systemctl", "is-active", "--quiet", unit], { accept: [0, 3, 4] })).code === 0,
  };
}
