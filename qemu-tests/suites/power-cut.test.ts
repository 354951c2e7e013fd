import type { Test } from "tap";
import type { Box } from "../src/box/box.ts";
import { ask, makeFarm } from "../src/box/farms.ts";
import { currentGeneration } from "../src/box/state.ts";
import type { Suite } from "../src/suite.ts";
import { sleep } from "../src/wait.ts";

/** What the loop of commits knows when the power goes: the last change that was confirmed, and the one under way. */
type Knowledge = { confirmed: { generation: number; text: string }; underWay: string | undefined };

/** Every other commit takes a backend out of the farm, so that it shows which of two generations the data plane has. */
const states = ["up", "maintenance"] as const;

/** QEMU is killed in the middle of commits; the box must come back with the old or the new generation, whole. */
export const powerCut: Suite = {
  name: "power-cut",
  machine: "bios",
  run: async ({ box, all, check }) => {
    const { machine } = box;
    await box.api.expect(201, "POST", "/farms", { body: { name: "web", ...makeFarm() } });
    const cuts = all ? 20 : 3;
    for (let cut = 1; cut <= cuts; cut++) {
      await check(
        `power cut ${cut} of ${cuts} during commits: old or new generation, and the box serves`,
        async (t) => {
          const knowledge = await commitUntilPowerGoes(box);
          t.comment(
            `confirmed generation ${knowledge.confirmed.generation}; under way: ${knowledge.underWay ?? "nothing"}`,
          );
          // The names of the cards are not those of their slots.
          if (cut === 2) machine.swapCards();
          const seconds = await box.boot();
          t.comment(`serving ${seconds.toFixed(0)} s after power came back`);
          const state = await checkGeneration(t, box, knowledge);
          const counts = state === "up" ? { b1: 5, b2: 5 } : { b2: 10 };
          const answers = await ask({}, 10, machine.scale(2_000));
          t.match(answers, { counts, errors: [] }, `traffic flows as the configuration has it, with b1 ${state}`);
          t.equal(
            await machine.shell("cat /sys/class/net/nic0/address"),
            "52:54:00:5e:00:01",
            "the card has kept its name",
          );
          t.equal(await machine.shell("systemctl --failed --no-legend --plain"), "", "no unit failed");
          t.same(await machine.serialFindings(), [], "the serial console shows no trouble");
        },
      );
    }
    await check("the box takes changes after all that", async (t) => {
      const { status } = await box.api.send("DELETE", "/farms/web");
      t.equal(status, 204);
    });
  },
};

/** Changes the farm again and again, and cuts the power at a moment of chance. */
async function commitUntilPowerGoes(box: Box): Promise<Knowledge> {
  const first = `start ${Date.now()}`;
  const body = (description: string, number: number) => ({
    body: { description, backends: { b1: { state: states[number % 2] } } },
  });
  const { generation = 0 } = await box.api.expect(200, "PATCH", "/farms/web", body(first, 0));
  const knowledge: Knowledge = { confirmed: { generation, text: first }, underWay: undefined };
  let cut = false;
  const loop = (async () => {
    for (let number = 1; !cut; number++) {
      const text = `commit ${number} of ${Date.now()}`;
      knowledge.underWay = text;
      const answer = await box.api.send("PATCH", "/farms/web", body(text, number)).catch(() => undefined);
      if (cut || answer === undefined) return;
      if (answer.status !== 200) throw new Error(`a commit was refused: ${JSON.stringify(answer.body)}`);
      knowledge.confirmed = { generation: answer.generation ?? 0, text };
      knowledge.underWay = undefined;
    }
  })();
  await sleep(box.machine.scale(200) + Math.random() * box.machine.scale(500));
  cut = true;
  await box.machine.cutPower();
  await loop;
  return knowledge;
}

/** Gives back the state of b1 in the generation that the box came back with. */
async function checkGeneration(t: Test, box: Box, { confirmed, underWay }: Knowledge): Promise<string> {
  const generation = await currentGeneration(box);
  const { description, backends } = await box.api.get("/farms/{farm}", { path: { farm: "web" } });
  const isOld = generation === confirmed.generation && description === confirmed.text;
  const isNew = generation === confirmed.generation + 1 && description === underWay;
  t.ok(
    isOld || isNew,
    `${isNew ? "new" : "old"}: generation ${generation} with "${description}"; confirmed was ${confirmed.generation} with "${confirmed.text}", under way ${underWay ?? "nothing"}`,
  );
  // Every generation of the history can be read whole: no half-written one is left.
  const { items } = await box.api.get("/configuration/generations", { query: { limit: 5 } });
  for (const { generation: number } of items)
    t.equal((await box.api.send("GET", `/configuration/generations/${number}`)).status, 200, `generation ${number}`);
  return backends.b1?.state ?? "";
}
