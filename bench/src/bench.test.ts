import t from "tap";
import { parseBootReport } from "./debian/files.ts";
import { makeFarm, makeFarms, toConfiguration } from "./farms.ts";
import { parseMemory, parseProcessors, timestamp } from "./machine.ts";
import { readOptions } from "./options.ts";
import { renderReport } from "./report.ts";
import type { SectionResult } from "./results.ts";
import { describeSamples, formatNumber, median } from "./statistics.ts";
import { parseIperf, parseWrk } from "./traffic/load.ts";

t.test("the median is the middle value, or the mean of the two in the middle", async (t) => {
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([9, 1, 5, 7]), 6);
  t.ok(Number.isNaN(median([])));
});

t.test("numbers show three significant digits and no exponent", async (t) => {
  t.equal(formatNumber(0.03125), "0.0313");
  t.equal(formatNumber(4.5678), "4.57");
  t.equal(formatNumber(78.94), "78.9");
  t.equal(formatNumber(1234.5), "1 235");
  t.equal(formatNumber(1234567), "1 234 567");
  t.equal(formatNumber(0), "0.00");
  t.equal(formatNumber(Number.NaN), "–");
  t.equal(describeSamples([3, 1, 2]), "2.00 (1.00–3.00)");
  t.equal(describeSamples([3]), "3.00");
  t.equal(describeSamples([]), "–");
});

t.test("options are checked, and a wrong one is named", async (t) => {
  t.match(readOptions({}), { sections: ["build", "control", "boot", "agent", "api", "l4"], rounds: 5, cold: false });
  t.same(readOptions({ ONLY: "api, boot" }).sections, ["boot", "api"]);
  t.equal(readOptions({ COLD: "1" }).cold, true);
  t.equal(readOptions({ ROUNDS: "3" }).rounds, 3);
  t.throws(() => readOptions({ ONLY: "bot" }), /"bot" is none of build, control, boot/);
  t.throws(() => readOptions({ ROUNDS: "0" }), /ROUNDS=0: expected a whole number from 1/);
});

t.test("the machine is read from /proc", async (t) => {
  const text = "processor\t: 0\nmodel name\t: Fast 9\n\nprocessor\t: 1\nmodel name\t: Fast 9\n";
  t.same(parseProcessors(text), { processor: "Fast 9", cores: 2 });
  t.equal(parseMemory("MemTotal:       1024 kB\nMemFree: 1 kB\n", "MemTotal"), 1024);
  t.throws(() => parseMemory("", "Pss"), /no line Pss/);
  t.equal(timestamp(new Date("2026-01-31T12:34:56Z")), "2026-01-31 12:34 UTC");
});

t.test("wrk's rate and all its errors are counted", async (t) => {
  const text = `Running 5s test @ http://10.10.0.10:80/
  1 threads and 64 connections
  3210 requests in 5.01s, 400.00KB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:    640.72
Transfer/sec:     80.00KB
`;
  t.same(parseWrk(text), { perSecond: 640.72, errors: 12 });
  t.same(parseWrk("Requests/sec:   1.00\n"), { perSecond: 1, errors: 0 });
  t.throws(() => parseWrk("unable to connect"), /told no rate: unable to connect/);
});

t.test("iperf3's rate is what was received; its error is passed on", async (t) => {
  t.equal(parseIperf('{"end":{"sum_received":{"bits_per_second":2500000}}}'), 2.5);
  t.throws(() => parseIperf('{"error":"unable to connect to server"}'), /iperf3: unable to connect/);
});

t.test("the minimal Debian's report is taken from its console once it is whole", async (t) => {
  const line = "bench: Startup finished in 3.1s (kernel) + 9.9s (userspace) = 13.0s. \n";
  t.equal(parseBootReport(line), undefined);
  const memory = "bench: MemTotal:         1000000 kB\nbench: MemFree: 1 kB\nbench: MemAvailable:     897600 kB\n";
  t.same(parseBootReport(line + memory), {
    startup: "3.1s (kernel) + 9.9s (userspace) = 13.0s.",
    usedMegabytes: 100,
  });
});

t.test("each farm has ten different backends and a port of its own", async (t) => {
  const farms = makeFarms(250);
  t.equal(new Set(farms.map(({ port }) => port)).size, 250);
  const { backends } = toConfiguration(makeFarm(3));
  t.equal(new Set(Object.values(backends).map(({ address, port }) => `${address} ${port}`)).size, 10);
  t.match(toConfiguration({ ...makeFarm(3), masquerade: true }), {
    profile: "l4xnat",
    natType: "nat",
    ports: ["10003"],
  });
});

t.test("the report shows tables, what is missing and why, and sections not measured yet", async (t) => {
  const machine = {
    ...{ processor: "Fast 9", cores: 2, memoryMegabytes: 2048, kernel: "6.1", accelerator: "tcg" as const },
    ...{ guest: { processors: 1, memoryMegabytes: 1024 }, qemu: "7.2", date: "2026-01-31 12:34 UTC", commit: "abc" },
  };
  const l4: SectionResult = {
    ...{ section: "l4", date: "2026-01-30 08:00 UTC", commit: "def", accelerator: "tcg", seconds: 61.4 },
    tables: [{ title: "Rates", columns: ["way", "rate"], rows: [["a|b", 5]], notes: ["A remark."] }],
    missing: [{ what: "IPVS", reason: "no module\nin the kernel" }],
    samples: {},
  };
  const text = renderReport(machine, [l4]);
  t.match(text, "- processor: Fast 9, 2 cores");
  t.match(text, "QEMU emulates the guest's processor (TCG)");
  t.match(text, "Not measured yet: `make bench ONLY=boot`.");
  t.match(text, "Measured 2026-01-30 08:00 UTC, commit def, tcg, in 61 s.");
  t.match(text, "| way | rate |\n|---|---:|\n| a\\|b | 5 |\n\n- A remark.");
  t.match(text, "Could not be measured:\n\n- IPVS: no module / in the kernel");
});
