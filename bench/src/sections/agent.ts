import type { VirtualMachine } from "../../../qemu-tests/src/vm/virtual-machine.ts";
import { sleep, waitFor } from "../../../qemu-tests/src/wait.ts";
import type { BenchBox } from "../box/bench-box.ts";
import { timeInGuest } from "../box/guest-files.ts";
import { parseMemory } from "../machine.ts";
import type { Findings } from "../results.ts";
import { describeSamples, formatNumber } from "../statistics.ts";

const unit = "steelyard-agent.service";

export type AgentFigures = {
  farms: number;
  resident: number;
  proportional: number;
  peak: number;
  used: number;
  bootStart: number;
  restarts: number[];
  commands: { name: string; seconds: number[] }[];
};

/** Memory and start-up of the agent and the command, on a box that has just booted and been left alone. */
export async function measureAgent(box: BenchBox, farms: number, rounds: number): Promise<AgentFigures> {
  const { machine } = box;
  // After the boot: timers have fired and garbage was collected.
  await sleep(machine.scale(5_000));
  const { resident, proportional, peak } = await readMemory(machine);
  const guest = await machine.shell("cat /proc/meminfo");
  const used = (parseMemory(guest, "MemTotal") - parseMemory(guest, "MemAvailable")) / 1024;
  const bootStart = await readStartTime(machine);
  const commands = [];
  for (const argv of [
    ["node", "-e", "0"],
    ["steelyard", "--help"],
    ["steelyard", "status"],
    ["steelyard", "farm", "list"],
  ])
    commands.push({ name: argv.join(" "), seconds: await timeInGuest(machine, argv, rounds) });
  const restarts: number[] = [];
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    await machine.run(["systemctl", "restart", unit], { timeout: machine.scale(60_000) });
    restarts.push(await readStartTime(machine));
  }
  await box.waitUntilServing();
  return { farms, resident, proportional, peak, used, bootStart, restarts, commands };
}

/** MiB. The process holds shared libraries and the node binary's pages; its proportional share is what it costs. */
async function readMemory(machine: VirtualMachine) {
  const pid = await machine.shell(`systemctl show --property=MainPID --value ${unit}`);
  const status = await machine.shell(`cat /proc/${pid}/status`);
  const rollup = await machine.shell(`cat /proc/${pid}/smaps_rollup`);
  return {
    resident: parseMemory(status, "VmRSS") / 1024,
    peak: parseMemory(status, "VmHWM") / 1024,
    proportional: parseMemory(rollup, "Pss") / 1024,
  };
}

/** Seconds from the start of the process until it told systemd that it serves. */
async function readStartTime(machine: VirtualMachine): Promise<number> {
  const command = `systemctl show ${unit} --property=ExecMainStartTimestampMonotonic --property=ActiveEnterTimestampMonotonic --property=ActiveState`;
  return await waitFor(
    "the agent to be active",
    async () => {
      const text = await machine.shell(command);
      const read = (name: string) => Number(new RegExp(`^${name}=(\\d+)$`, "m").exec(text)?.[1]);
      const seconds = (read("ActiveEnterTimestampMonotonic") - read("ExecMainStartTimestampMonotonic")) / 1e6;
      return /^ActiveState=active$/m.test(text) && seconds > 0 ? seconds : undefined;
    },
    { timeout: machine.scale(30_000) },
  );
}

export function reportAgent(all: readonly AgentFigures[]): Pick<Findings, "tables" | "samples"> {
  return {
    tables: [
      {
        title: "Memory of the agent, MiB",
        columns: ["farms of 10 backends", "RSS", "PSS", "peak RSS", "used by the whole guest"],
        rows: all.map((figures) => [
          figures.farms,
          ...[figures.resident, figures.proportional, figures.peak, figures.used].map(formatNumber),
        ]),
        notes: ["Read on a box left alone after its boot. Used: MemTotal less MemAvailable."],
      },
      {
        title: "Start-up, seconds",
        columns: [
          "farms",
          "agent, first boot",
          "agent, restarted",
          ...(all[0]?.commands ?? []).map(({ name }) => `\`${name}\``),
        ],
        rows: all.map(({ farms, bootStart, restarts, commands }) => [
          farms,
          formatNumber(bootStart),
          describeSamples(restarts),
          ...commands.map(({ seconds }) => describeSamples(seconds)),
        ]),
        notes: [
          "Agent: from the start of the process to READY=1. Restarted: the API serves and the data plane, which lived on, was compared with the configuration. At boot: a first boot, before it has read the answer file.",
          "Commands: whole run of the program in the guest, by the guest's clock.",
        ],
      },
    ],
    samples: Object.fromEntries(
      all.flatMap(({ farms, restarts, commands }) => [
        [`agent restarted at ${farms} farms, s`, restarts],
        ...commands.map(({ name, seconds }) => [`${name} at ${farms} farms, s`, seconds] as const),
      ]),
    ),
  };
}
