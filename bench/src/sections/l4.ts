import { cpus } from "node:os";
import { back, front } from "../../../qemu-tests/src/lab/plan.ts";
import { report } from "../../../qemu-tests/src/progress.ts";
import { runCommand } from "../../../qemu-tests/src/run-command.ts";
import { chooseProcessors } from "../../../qemu-tests/src/vm/accelerator.ts";
import type { VirtualMachine } from "../../../qemu-tests/src/vm/virtual-machine.ts";
import { BenchBox } from "../box/bench-box.ts";
import { attempt, type BenchContext } from "../context.ts";
import type { Findings, Missing, Table } from "../results.ts";
import { describeSamples, formatNumber, median } from "../statistics.ts";
import { waitForFirstByte } from "../traffic/first-byte.ts";
import { measureConnections, measureStream } from "../traffic/load.ts";
import { boxFarms, prepareIpvs, saveRules, type Variant, variants } from "./l4-variants.ts";

type Samples = { variant: Variant; connections: number[]; errors: number; stream: number[]; broken?: string };

/**
 * The same two services by each variant in turn, round after round, in one guest: what the machine does meanwhile hits all
 * alike. The guest has a processor less than the host, so that the load does not compete with it for the last one.
 */
export async function measureL4(context: BenchContext): Promise<Findings> {
  const { lab, accelerator, image, options } = context;
  const missing: Missing[] = [];
  const processors = Math.max(1, Math.min(await chooseProcessors(accelerator), cpus().length - 1));
  const box = await BenchBox.create(lab, {
    ...{ name: "l4", image, accelerator, firmware: "bios", processors, farms: boxFarms },
  });
  const { machine } = box;
  let all: Samples[] = [];
  try {
    await machine.start();
    await box.waitUntilServing();
    // Without the agent, for it would put the rules back that are set aside; farms do not need it.
    await machine.run(["systemctl", "stop", "steelyard-agent.service"], { timeout: machine.scale(30_000) });
    await saveRules(machine);
    const ipvs = await attempt("IPVS", missing, () => prepareIpvs(context, machine));
    await machine.run(["nft", "flush", "ruleset"]);
    await runCommand(["ip", "route", "replace", `${back.box.ipv4.replace(/\d+$/, "0")}/24`, "via", front.box.ipv4]);
    all = [...variants(processors), ...(ipvs ? [ipvs] : [])].map((variant) => ({
      ...{ variant, connections: [], errors: 0, stream: [] },
    }));
    for (let round = 1; round <= options.rounds; round++) {
      for (const samples of all) await measureOnce(machine, samples, options.seconds, `round ${round}`);
    }
  } catch (error) {
    await machine.saveJournal();
    throw error;
  } finally {
    await box.stop();
  }
  for (const { variant, broken } of all) if (broken) missing.push({ what: variant.name, reason: broken });
  return { ...reportL4(all, processors, options.seconds), missing };
}

/** A variant that failed once is not tried again: its figures would not be of the same rounds as the others'. */
async function measureOnce(machine: VirtualMachine, samples: Samples, seconds: number, round: string): Promise<void> {
  const { variant } = samples;
  if (samples.broken !== undefined) return;
  try {
    await machine.run(["conntrack", "--flush"], { accept: [0, 1] });
    await variant.start(machine);
    const { connections } = variant;
    const patience = { timeout: machine.scale(5_000), interval: 100 };
    await waitForFirstByte({ address: connections.address, port: connections.port, ...patience });
    const { perSecond, errors } = await measureConnections(connections.address, connections.port, seconds);
    const stream = await measureStream(variant.stream.address, variant.stream.port, seconds);
    samples.connections.push(perSecond);
    samples.stream.push(stream);
    samples.errors += errors;
    report(`${round}: ${variant.name}: ${perSecond.toFixed(0)} connections/s, ${stream.toFixed(0)} Mbit/s`);
  } catch (error) {
    samples.broken = error instanceof Error ? error.message : String(error);
    report(`${round}: ${variant.name}: ${samples.broken}`);
  } finally {
    await variant.stop(machine);
  }
}

function reportL4(all: readonly Samples[], processors: number, seconds: number): Pick<Findings, "tables" | "samples"> {
  const measured = all.filter(({ connections }) => connections.length > 0);
  const first = measured[0];
  const relative = (own: Samples, key: "connections" | "stream") =>
    first ? formatNumber(median(own[key]) / median(first[key])) : "–";
  const table: Table = {
    title: "Connections per second and throughput",
    columns: ["balancing", "connections/s", "of nft by hand", "failed", "Mbit/s", "of nft by hand"],
    rows: measured.map((samples) => [
      samples.variant.name,
      describeSamples(samples.connections),
      relative(samples, "connections"),
      samples.errors,
      describeSamples(samples.stream),
      relative(samples, "stream"),
    ]),
    notes: [
      `Guest with ${processors} processor${processors === 1 ? "" : "s"}; client and both backends are namespaces of the host, which has ${cpus().length}. ${seconds} s each, all variants in turn in every round.`,
      "Connections: wrk, 64 at once, one small request on each, closed by the backend; two backends. Throughput: iperf3, four streams from one backend to the client.",
      "Steelyard runs with its base firewall and with all that the box has; peers run alone, without any other rule. IPVS so keeps no connection tracking, which nft and Steelyard need.",
      "HAProxy ends the connections on the box and opens others to the backends; it is told nothing but to pass bytes.",
    ],
  };
  return {
    tables: [table],
    samples: Object.fromEntries(
      measured.flatMap(({ variant, connections, stream }) => [
        [`${variant.name}: connections/s`, connections],
        [`${variant.name}: Mbit/s`, stream],
      ]),
    ),
  };
}
