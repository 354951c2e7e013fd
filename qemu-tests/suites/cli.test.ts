import { ask } from "../src/box/farms.ts";
import { currentGeneration } from "../src/box/state.ts";
import { backends, virtualAddresses } from "../src/lab/plan.ts";
import type { Suite } from "../src/suite.ts";

/** The `steelyard` command on the box, as root types it. */
export const cli: Suite = {
  name: "cli",
  machine: "bios",
  run: async ({ box, check }) => {
    const { machine } = box;
    const timeout = machine.scale(20_000);
    const steelyard = (...words: string[]) => machine.guest(["steelyard", ...words], timeout);
    const create = [
      ...["farm", "create", "web", "--vip", virtualAddresses.ipv4, "--port", "80"],
      ...["--backend", `b1=${backends.b1.ipv4}:80,weight=3`, "algorithm=round-robin"],
    ];

    await check("status says who the box is and that it is well", async (t) => {
      const { code, stdout } = await steelyard("status");
      t.equal(code, 0);
      t.match(stdout, /lb1/);
      t.match(JSON.parse((await steelyard("status", "--json")).stdout), { hostname: "lb1", health: "ok" });
    });
    await check("farm create, list, show, set and delete", async (t) => {
      t.match(await steelyard(...create), { code: 0 });
      t.match(await ask({}, 3, machine.scale(2_000)), { counts: { b1: 3 }, errors: [] });
      const list = await steelyard("farm", "list");
      t.match(list, { code: 0, stdout: /web/ });
      t.match(list.stdout, new RegExp(virtualAddresses.ipv4.replaceAll(".", "\\.")));
      t.match(JSON.parse((await steelyard("farm", "show", "web", "--json")).stdout), { name: "web", protocol: "tcp" });
      t.match(await steelyard("farm", "set", "web", "enabled=false"), { code: 0 });
      t.match(await box.api.get("/farms/{farm}", { path: { farm: "web" } }), { enabled: false });
      t.match(await steelyard("farm", "delete", "web"), { code: 0 });
      t.equal((await box.api.send("GET", "/farms/web")).status, 404);
    });
    await check("config history, show, diff and rollback", async (t) => {
      const generation = await currentGeneration(box);
      t.match((await steelyard("config", "history")).stdout, new RegExp(`\\b${generation}\\b`));
      t.match((await steelyard("config", "show")).stdout, /lb1/);
      t.match((await steelyard("config", "diff", String(generation - 1), String(generation))).stdout, /web/);
      t.match(await steelyard("config", "rollback", String(generation - 1)), { code: 0 });
      t.match(
        await box.api.get("/farms/{farm}", { path: { farm: "web" } }),
        { enabled: false },
        "the deleted farm is back",
      );
      await box.api.expect(204, "DELETE", "/farms/web");
    });
    await check("a mistake gives a message and an exit status, and no stack trace", async (t) => {
      const missing = await steelyard("farm", "show", "none");
      t.equal(missing.code, 3);
      t.match(missing.stderr, /none/);
      t.notMatch(missing.stderr + missing.stdout, /\bat .*\.(?:ts|mjs):\d+/);
      t.not((await steelyard("farm", "frobnicate")).code, 0);
    });
  },
};
