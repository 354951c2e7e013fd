import t from "tap";
import { scanSerial, stripControl } from "./serial-scan.ts";

t.test("a healthy boot has no findings", async (t) => {
  const log = [
    "Booting `Steelyard'",
    "[    0.000000] Linux version 6.12.0 (debian-kernel@lists.debian.org)",
    "[  OK  ] Started steelyard-agent.service - Steelyard agent.",
    "lb1 login: ",
  ].join("\r\n");
  t.same(scanSerial(log), []);
});

t.test("trouble is found, named, and located by its line", async (t) => {
  const cases: [string, string][] = [
    ["[   3.1] Kernel panic - not syncing: VFS: Unable to mount root fs", "kernel panic"],
    ["[   3.1] Oops: 0002 [#1] PREEMPT SMP", "kernel oops"],
    ["[   3.1] BUG: unable to handle page fault for address: 0000", "kernel bug"],
    ["[   3.1] WARNING: CPU: 0 PID: 1 at net/core/dev.c:1", "kernel warning"],
    ["[   3.1] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", "kernel bug"],
    ["[   3.1] Out of memory: Killed process 412 (node)", "out of memory"],
    ["[FAILED] Failed to start nftables.service", "failed unit"],
    ["[\u001b[0;1;31mFAILED\u001b[0m] Failed to start a.service", "failed unit"],
    ["[\u001b[0;1;38:5:185mDEPEND\u001b[0m] Dependency failed for b.service", "failed dependency"],
    ["systemd[1]: a.service: Found ordering cycle on b.service/start", "ordering cycle"],
    ["You are in emergency mode.", "emergency shell"],
    ["[   9.0] EXT4-fs error (device vda7): ext4_lookup", "damaged file system"],
    ["[   9.0] device-mapper: verity: 254:3: data block 12 is corrupted", "damaged file system"],
  ];
  for (const [line, what] of cases) {
    t.match(scanSerial(`fine\n${line}\nfine`), [{ line: 2, what }], line);
  }
});

t.test("words that only resemble trouble are no findings", async (t) => {
  t.same(scanSerial("[    0.1] Kernel command line: quiet panic=10 oops=panic"), []);
  t.same(scanSerial("[  OK  ] Reached target emergency-none"), []);
});

t.test("terminal control is taken out", async (t) => {
  t.equal(stripControl("\u001b[2J\u001b[1;1Ha\u001b]0;title\u0007b\u001b(Bc\r\n"), "abc\n");
});
