import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** Time that nobody can set: for waits that must end on time though the clock on the wall jumps. */
export type BootClock = {
  /** Names this boot of the machine; another one after each start (random(4)). */
  boot(): string;
  /** Seconds since this boot, the time in suspend included: CLOCK_BOOTTIME of clock_gettime(2). */
  seconds(): number;
};

export function makeBootClock(): BootClock {
  let boot: string | undefined;
  return {
    boot() {
      boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
      return boot;
    },
    seconds: uptime,
  };
}
