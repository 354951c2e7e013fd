import { interfaces } from "../src/box/answer-file.ts";
import type { Box } from "../src/box/box.ts";
import { ask, makeFarm } from "../src/box/farms.ts";
import { currentGeneration, hashRules } from "../src/box/state.ts";
import { front } from "../src/lab/plan.ts";
import { report } from "../src/progress.ts";
import { runCommand } from "../src/run-command.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { waitFor } from "../src/wait.ts";

/** What keeps the configuration safe from the operator's mistakes, from the clock and from the disk. No boot of its own. */
export const safety: Suite = {
  name: "safety",
  machine: "bios",
  run: async (context) => {
    const { box } = context;
    await box.api.expect(201, "POST", "/farms", { body: { name: "web", ...makeFarm() } });
    await checkWrongGateway(context);
    await checkFullDisk(context);
    await checkDamage(context);
    await checkBackup(context);
    await box.api.expect(204, "DELETE", "/farms/web");
  },
};

async function describeFarm(box: Box): Promise<string> {
  return (await box.api.get("/farms/{farm}", { path: { farm: "web" } })).description;
}

/** An operator in another network, which the box reaches through its default gateway alone. */
const remote = "10.77.0.1";
const wrongGateway = "10.10.0.254";
const frontPath = { path: { interface: interfaces.front } };

async function checkWrongGateway({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  const nic = `/network/interfaces/${interfaces.front}`;
  const shownGateway = async () => (await api.get("/network/interfaces/{interface}", frontPath)).ipv4.gateway;
  await runCommand(["ip", "address", "add", `${remote}/32`, "dev", "lo"]);
  await api.expect(200, "PATCH", `${nic}?confirmWithin=0`, { body: { ipv4: { gateway: front.client.ipv4 } } });
  const operator = box.newApi({ localAddress: remote, timeout: machine.scale(2_000) });
  await check(
    "a wrong gateway, which cuts its author off, goes back on time, though the clock jumps a day back and forth",
    async (t) => {
      await operator.login("admin", box.password);
      const generation = await currentGeneration(box);
      const begin = await readUptime(box);
      // The answer takes the wrong way already.
      const change = operator.send("PATCH", `${nic}?confirmWithin=1`, { body: { ipv4: { gateway: wrongGateway } } });
      await t.rejects(change, "its author hears nothing more");
      t.equal(await shownGateway(), wrongGateway, "but it was made");
      t.match(await machine.shell("ip -4 route show default"), new RegExp(`via ${wrongGateway} `));
      const other = await api.send("PATCH", "/farms/web", { body: { description: "another" } });
      t.equal(other.status, 409, "another change has to wait");
      for (const jump of ["+1 day", "-2 days"]) {
        await machine.run(["date", "--set", jump]);
        await machine.shell("sleep 3");
        // The session may have ended by the new clock: a new one is a matter of a second.
        await api.login("admin", box.password);
        t.equal(await shownGateway(), wrongGateway, `after ${jump} it waits on`);
      }
      operator.close();
      const patience = { timeout: 60_000 + machine.scale(10_000), interval: 1_000 };
      const again = box.newApi({ localAddress: remote, timeout: machine.scale(500) });
      await waitFor("the author to be let in", () => again.login("admin", box.password).then(() => true), patience);
      again.close();
      const seconds = (await readUptime(box)) - begin;
      report(`safety: the author of a wrong gateway was let in again after ${seconds.toFixed(0)} s`);
      t.ok(seconds >= 60, `${seconds.toFixed(0)} s of the boot after it was made`);
      t.equal(await shownGateway(), front.client.ipv4);
      t.match(await machine.shell("steelyard config history | head -3"), /not confirmed in time/);
      const query = { from: generation, to: await currentGeneration(box) };
      t.same((await api.get("/configuration/diff", { query })).differences, [], "the configuration is that of before");
      t.match(await ask({}, 4, machine.scale(2_000)), { counts: { b1: 2, b2: 2 }, errors: [] });
      await machine.run(["date", "--set", "+1 day"]);
      await api.login("admin", box.password);
    },
  );
  await api.expect(200, "PATCH", `${nic}?confirmWithin=0`, { body: { ipv4: { gateway: null } } });
  await runCommand(["ip", "address", "delete", `${remote}/32`, "dev", "lo"]);
}

async function readUptime(box: Box): Promise<number> {
  return Number((await box.machine.shell("cat /proc/uptime")).split(" ")[0]);
}

async function checkFullDisk({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  await check("a full disk refuses the change, says so, and the box serves on", async (t) => {
    const generation = await currentGeneration(box);
    // The blocks first, then what is left of the last one: ext4 has none for root beyond that.
    await machine.shell("dd if=/dev/zero of=/config/local/filler bs=1M 2>/dev/null; sync; true", machine.scale(60_000));
    try {
      // Longer than a block, so that it cannot hide in one that is there.
      const answer = await api.send("PATCH", "/farms/web", { body: makeWide() });
      t.ok(answer.status >= 500, `status ${answer.status}`);
      t.match(JSON.stringify(answer.body), /space|full/i, "the reason is named");
      t.equal(await currentGeneration(box), generation, "nothing changed");
      t.match(await ask({}, 4, machine.scale(2_000)), { counts: { b1: 2, b2: 2 }, errors: [] }, "traffic flows");
    } finally {
      await machine.shell("rm -f /config/local/filler; sync");
    }
    await api.expect(200, "PATCH", "/farms/web", { body: { description: "room again" } });
    t.equal(await currentGeneration(box), generation + 1, "no half-written generation is in the way");
  });
}

/** Forty more backends: some kilobytes of YAML. */
function makeWide(): object {
  const names = Array.from({ length: 40 }, (_, at) => at + 1);
  const wide = names.map((at) => [`idle${at}`, { address: `10.20.0.${100 + at}`, port: 80, state: "down" }]);
  return { backends: Object.fromEntries(wide) };
}

async function checkDamage({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  await check("a damaged file in the current generation is noticed, and the one before serves, loudly", async (t) => {
    await api.expect(200, "PATCH", "/farms/web", { body: { description: "before the damage" } });
    await api.expect(200, "PATCH", "/farms/web", { body: { description: "damaged" } });
    const damaged = await currentGeneration(box);
    await machine.run(["systemctl", "stop", "steelyard-agent.service"]);
    // In place, so that the file keeps its inode; the generation before has another one, for the farm changed.
    await machine.shell(
      "sed -i.bak s/damaged/DAMAGED/ /config/current/farms/web.yaml && rm /config/current/farms/web.yaml.bak",
    );
    await machine.run(["systemctl", "start", "steelyard-agent.service"], { timeout: machine.scale(30_000) });
    await box.waitUntilServing();
    t.equal(await describeFarm(box), "before the damage");
    const log = await machine.shell("journalctl --unit=steelyard-agent --priority=err --boot --no-pager --output=cat");
    t.match(log, new RegExp(`generation ${damaged} cannot be used`), "an error names the generation");
    t.match(await ask({}, 4, machine.scale(2_000)), { counts: { b1: 2, b2: 2 }, errors: [] }, "traffic flows");
    await api.expect(200, "PATCH", "/farms/web", { body: { description: "whole again" } });
    t.equal(await describeFarm(box), "whole again", "and changes land");
  });
}

async function checkBackup({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  await check("a backup brings back the farms, down to the kernel's rules", async (t) => {
    const key = { passphrase: "four words nobody guesses" };
    const timeout = machine.scale(15_000);
    const rules = await hashRules(box);
    const farms = await api.get("/farms");
    const { body: job } = await api.expect(202, "POST", "/system/backups", { body: { name: "before", ...key } });
    const ended = async () => {
      const { state } = await api.get("/jobs/{job}", { path: { job: (job as { id: string }).id } });
      return ["queued", "running"].includes(state) ? undefined : state;
    };
    t.equal(await waitFor("the backup to be made", ended, { timeout, interval: 500 }), "done");
    await api.expect(200, "PATCH", "/farms/web/backends/b1", { body: { state: "maintenance" } });
    await api.expect(201, "POST", "/farms", { body: { name: "mistake", ...makeFarm({ port: 8099 }) } });
    t.not(await hashRules(box), rules, "the kernel has other rules now");
    const path = "/system/backups/before/restore";
    t.equal((await api.send("POST", path, { body: { passphrase: "not this one" }, timeout })).status, 400);
    const dry = (await api.expect(200, "POST", `${path}?dryRun=true`, { body: key, timeout })).body;
    t.match(dry, {
      restored: false,
      nics: [{ name: interfaces.front, to: interfaces.front, by: "mac" }, { by: "mac" }],
    });
    t.match(await ask({}, 2, machine.scale(2_000)), { counts: { b2: 2 } }, "a dry run changes nothing");
    t.match((await api.expect(200, "POST", path, { body: key, timeout })).body, { restored: true });
    t.same(await api.get("/farms"), farms);
    t.equal(await hashRules(box), rules, "the rules are what they were");
    t.match(await ask({}, 4, machine.scale(2_000)), { counts: { b1: 2, b2: 2 }, errors: [] });
    await api.expect(204, "DELETE", "/system/backups/before");
  });
}
