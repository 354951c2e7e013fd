import { report } from "../../../qemu-tests/src/progress.ts";
import { BenchBox } from "../box/bench-box.ts";
import { attempt, type BenchContext } from "../context.ts";
import { makeFarms } from "../farms.ts";
import type { Findings, Missing } from "../results.ts";
import { type AgentFigures, measureAgent, reportAgent } from "./agent.ts";
import { type ApiFigures, measureApi, reportApi } from "./api.ts";

/** The sections `agent` and `api`, which share boxes: a boot costs more than what is measured on it. */
export async function measureBoxes(context: BenchContext, sections: readonly ("agent" | "api")[]): Promise<Findings[]> {
  const missing: Missing[] = [];
  const agents: AgentFigures[] = [];
  const apis: ApiFigures[] = [];
  for (const count of context.options.farms) {
    const agent = sections.includes("agent");
    await attempt(`box with ${count} farms`, missing, async () => {
      await withBox(context, count, async (box) => {
        if (agent) agents.push(await measureAgent(box, count, context.options.rounds));
        if (sections.includes("api")) apis.push(await measureApi(box, count, context.options.rounds));
      });
    });
  }
  return sections.map((section) => {
    if (section === "agent") return { ...reportAgent(agents), missing };
    const findings = reportApi(apis);
    return { ...findings, missing: [...missing, ...findings.missing] };
  });
}

async function withBox(
  { lab, image, accelerator }: BenchContext,
  count: number,
  use: (box: BenchBox) => Promise<void>,
) {
  const farms = makeFarms(count);
  const box = await BenchBox.create(lab, { name: `farms-${count}`, image, accelerator, firmware: "bios", farms });
  const begin = performance.now();
  try {
    await box.machine.start();
    // Hundreds of farms are loaded before the agent serves, and nftlb's time for that grows with their square.
    await box.waitUntilServing(120_000);
    report(`box with ${count} farms serves after ${((performance.now() - begin) / 1000).toFixed(0)} s`);
    await use(box);
  } catch (error) {
    await box.machine.saveJournal();
    throw error;
  } finally {
    await box.stop();
  }
}
