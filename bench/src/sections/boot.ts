import { report } from "../../../qemu-tests/src/progress.ts";
import { VirtualMachine } from "../../../qemu-tests/src/vm/virtual-machine.ts";
import { waitFor } from "../../../qemu-tests/src/wait.ts";
import { BenchBox, readConsole } from "../box/bench-box.ts";
import { attempt, type BenchContext } from "../context.ts";
import type { DebianDisk } from "../debian/build-debian.ts";
import { type BootReport, parseBootReport } from "../debian/files.ts";
import { bootFarm } from "../farms.ts";
import { parseMemory } from "../machine.ts";
import type { Findings, Missing } from "../results.ts";
import { describeSamples, formatNumber, median } from "../statistics.ts";
import { waitForFirstByte } from "../traffic/first-byte.ts";

type Boots = { name: string; first: number[]; later: number[]; beforeKernel: number[]; startup: string; used: number };

/** Power on to the first byte that a backend sends through the box, BIOS and UEFI, beside a Debian set up by hand. */
export async function measureBoot(context: BenchContext): Promise<Findings> {
  const missing: Missing[] = [];
  const all: Boots[] = [];
  const take = async (name: string, measure: () => Promise<Boots>) => {
    const boots = await attempt(`boot of ${name}`, missing, measure);
    if (boots) all.push(boots);
  };
  for (const firmware of context.options.firmwares)
    await take(`Steelyard, ${firmware.toUpperCase()}`, () => bootSteelyard(context, firmware));
  const { debian } = context;
  if ("reason" in debian) missing.push({ what: "boot of a minimal Debian", reason: debian.reason });
  else await take("minimal Debian", () => bootDebian(context, debian));
  const notes = [
    "First byte: a TCP connection through a farm (destination NAT to two backends), tried ten times a second from power on; all in seconds.",
    "Later boots are after a power cut. The first boot also reads the answer file, makes the node's identity and commits the configuration.",
  ];
  if (!("reason" in debian))
    notes.push(
      `The Debian (mmdebstrap minbase, kernel ${debian.release}, initramfs of ${formatNumber(debian.initrdMegabytes)} MiB as its packages make it, ext4) has the same farm as an nft rule. QEMU loads its kernel directly: it has no firmware and boot loader to go through, which the column before the kernel tells for the others.`,
    );
  return {
    tables: [
      {
        title: "Seconds from power on to the first byte",
        columns: [
          "system",
          "first boot",
          "later boots",
          "before the kernel",
          "memory used, MiB",
          "systemd's own account",
        ],
        rows: all.map((boots) => [
          boots.name,
          describeSamples(boots.first),
          describeSamples(boots.later),
          describeSamples(boots.beforeKernel),
          formatNumber(boots.used),
          boots.startup,
        ]),
        notes,
      },
      ratios(all),
    ].filter((table) => table !== undefined),
    missing,
    samples: Object.fromEntries(
      all.flatMap(({ name, first, later, beforeKernel }) => [
        [`${name}: first boot, s`, first],
        [`${name}: later boots, s`, later],
        [`${name}: before the kernel, s`, beforeKernel],
      ]),
    ),
  };
}

function ratios(all: readonly Boots[]) {
  const debian = all.find(({ name }) => name.startsWith("Debian"));
  if (!debian) return undefined;
  return {
    title: "Next to the minimal Debian (later boots)",
    columns: ["system", "times Debian", "times Debian, from the kernel on"],
    rows: all
      .filter((boots) => boots !== debian)
      .map((boots) => [
        boots.name,
        formatNumber(median(boots.later) / median(debian.later)),
        formatNumber((median(boots.later) - median(boots.beforeKernel)) / median(debian.later)),
      ]),
    notes: [],
  };
}

async function bootSteelyard(context: BenchContext, firmware: "bios" | "uefi"): Promise<Boots> {
  const { lab, accelerator, image, options } = context;
  const name = `Steelyard, ${firmware === "bios" ? "BIOS" : "UEFI"}`;
  const boots: Boots = { name, first: [], later: [], beforeKernel: [], startup: "", used: 0 };
  const box = await BenchBox.create(lab, { name: `boot-${firmware}`, image, accelerator, firmware, farms: [bootFarm] });
  const { machine } = box;
  try {
    for (let boot = 0; boot <= options.boots; boot++) {
      const begin = performance.now();
      const seconds = await powerOn(machine);
      (boot === 0 ? boots.first : boots.later).push(seconds);
      report(`${name}: first byte after ${seconds.toFixed(1)} s`);
      await machine.waitForGuest();
      const uptime = Number((await machine.shell("cat /proc/uptime")).split(" ")[0]);
      boots.beforeKernel.push((performance.now() - begin) / 1000 - uptime);
      await box.waitUntilServing();
      const wait = "for i in $(seq 30); do systemd-analyze time 2>/dev/null && exit; sleep 2; done; echo unfinished";
      boots.startup = shorten(await machine.shell(wait, machine.scale(30_000)));
      const memory = await machine.shell("cat /proc/meminfo");
      boots.used = (parseMemory(memory, "MemTotal") - parseMemory(memory, "MemAvailable")) / 1024;
      await machine.run(["sync"]);
      await box.stop();
    }
  } catch (error) {
    await machine.saveJournal();
    throw error;
  } finally {
    await box.stop();
  }
  return boots;
}

async function bootDebian({ lab, accelerator, options }: BenchContext, debian: DebianDisk): Promise<Boots> {
  const boots: Boots = {
    name: "Debian, direct kernel boot",
    first: [],
    later: [],
    beforeKernel: [],
    startup: "",
    used: 0,
  };
  const commandLine = "root=/dev/vda rw quiet net.ifnames=0 console=ttyS0,115200";
  const machine = await VirtualMachine.create(lab, {
    name: "debian",
    image: debian.disk,
    accelerator,
    firmware: "bios",
    directKernel: { kernel: debian.kernel, initrd: debian.initrd, commandLine },
  });
  try {
    for (let boot = 0; boot <= options.boots; boot++) {
      const seconds = await powerOn(machine);
      (boot === 0 ? boots.first : boots.later).push(seconds);
      report(`minimal Debian: first byte after ${seconds.toFixed(1)} s`);
      const told = await waitForReport(machine, boot + 1);
      if (told) Object.assign(boots, { startup: shorten(told.startup), used: told.usedMegabytes });
      await machine.cutPower();
    }
  } finally {
    await machine.cutPower();
  }
  return boots;
}

/** Seconds to the first byte. The clock starts before QEMU does: firmware is part of the boot. */
async function powerOn(machine: VirtualMachine): Promise<number> {
  const { address, port } = bootFarm;
  const check = () => readConsole(machine);
  const probe = waitForFirstByte({ address, port, timeout: machine.scale(60_000), interval: 100, check });
  const [seconds] = await Promise.all([probe, machine.start()]);
  return seconds;
}

/** The console keeps the words of earlier boots, so the report of this one is the n-th. */
async function waitForReport(machine: VirtualMachine, number: number): Promise<BootReport | undefined> {
  const read = async () => {
    const text = await machine.serialText();
    return (text.match(/bench: MemAvailable/g) ?? []).length >= number ? parseBootReport(text) : undefined;
  };
  return await waitFor("the report of the boot", read, { timeout: machine.scale(15_000) }).catch(() => undefined);
}

/** `Startup finished in 5.2s (kernel) + 13.7s (initrd) + 35.7s (userspace) = 54.7s.` without the words that say nothing. */
function shorten(text: string): string {
  return (text.split("\n")[0] ?? "").replace("Startup finished in ", "").replace(/\.?\s*$/, "");
}
