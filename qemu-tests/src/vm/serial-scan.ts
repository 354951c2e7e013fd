export type SerialFinding = { line: number; what: string; text: string };

/** What must never stand on the console of a healthy boot. */
const alarms: readonly { what: string; pattern: RegExp }[] = [
  { what: "kernel panic", pattern: /Kernel panic/ },
  { what: "kernel oops", pattern: /\bOops:|general protection fault|Unable to handle kernel/ },
  { what: "kernel bug", pattern: /\bBUG: |kernel BUG at/ },
  { what: "kernel warning", pattern: /\bWARNING: CPU|\bWARNING: at |cut here \]-/ },
  { what: "kernel stall", pattern: /soft lockup|hard LOCKUP|rcu_\w+ .*stall|blocked for more than \d+ seconds/ },
  { what: "out of memory", pattern: /Out of memory|oom-kill|invoked oom-killer/ },
  { what: "failed unit", pattern: /\[FAILED\]|Failed to start / },
  { what: "failed dependency", pattern: /\[DEPEND\]|Dependency failed for / },
  { what: "ordering cycle", pattern: /ordering cycle/i },
  { what: "unit waits for a device", pattern: /\[ TIME \]|Timed out waiting for device/ },
  { what: "emergency shell", pattern: /emergency mode|rescue mode|Give root password/i },
  { what: "damaged file system", pattern: /EXT4-fs error|erofs: .*error|device-mapper: verity:.*(corrupt|error)/ },
  { what: "disk error", pattern: /I\/O error/ },
];

const introducer = "\u001b";
const bell = "\u0007";

/** ECMA-48: control sequences (CSI), operating system commands (OSC), character sets; and carriage returns. */
const control = new RegExp(
  [
    `${introducer}\\[[0-9;?=]*[ -/]*[@-~]`,
    `${introducer}\\][^${bell}${introducer}]*(?:${bell}|${introducer}\\\\)`,
    `${introducer}[()][0-9A-B]`,
    `${introducer}[78=>cM]`,
    "\r",
  ].join("|"),
  "g",
);

/** Takes out what a terminal obeys and does not show, which hides words from the patterns. */
export function stripControl(text: string): string {
  return text.replace(control, "");
}

/** Looks through a serial log for panics, oopses, failed units, ordering cycles and the like. */
export function scanSerial(text: string): SerialFinding[] {
  const findings: SerialFinding[] = [];
  for (const [index, line] of stripControl(text).split("\n").entries()) {
    const alarm = alarms.find(({ pattern }) => pattern.test(line));
    if (alarm) findings.push({ line: index + 1, what: alarm.what, text: line.trim().slice(0, 200) });
  }
  return findings;
}
