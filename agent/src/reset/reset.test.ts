import { readFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { type Run, run as runCommand } from "../adapters/process.ts";
import { setUpServer } from "../api/testing.ts";
import { SteelyardError } from "../errors.ts";

/** A box whose systemd only remembers what it was told. Nothing on this machine is ever started again. */
async function setUp(t: Test, answer: () => void = () => {}) {
  const commands: string[] = [];
  const run: Run = async (argv, options) => {
    // The certificate of the API is made by a real one.
    if (argv[0] === "openssl") return await runCommand(argv, options);
    commands.push(argv.join(" "));
    answer();
    return { code: 0, stdout: "", stderr: "" };
  };
  const box = await setUpServer(t, { run });
  const reset = async (payload: object) =>
    await box.server.local.inject({ method: "POST", url: "/api/v1/system/factory-reset", payload });
  const marker = box.machine.path("/config/factory-reset");
  return { ...box, commands, reset, marker };
}

t.test(
  "a factory reset wants the host name of this box, and leaves its wish where the next boot finds it",
  async (t) => {
    const { reset, commands, marker, server } = await setUp(t);
    for (const wrong of [
      {},
      { hostname: "lb2" },
      { hostname: "STEELYARD" },
      { hostname: "steelyard", keep: ["users"] },
    ]) {
      const answer = await reset(wrong);
      t.match(answer.json(), { code: "bad-input" });
      await t.rejects(stat(marker));
    }
    t.same(commands, []);
    const answer = await reset({ hostname: "steelyard", keep: ["logs", "backups"] });
    t.equal(answer.statusCode, 202, answer.body);
    t.match(answer.json(), { keep: ["logs", "backups"], message: /starts again/ });
    t.equal(await readFile(marker, "utf8"), "keep-logs\nkeep-backups\n");
    for (let tries = 0; tries < 100 && commands.length === 0; tries++) await sleep(10);
    t.same(commands, ["systemctl --no-ask-password --no-block reboot"]);
    const audit = await server.local.inject("/api/v1/access/audit?operation=resetToFactory&result=done");
    t.match(audit.json().items, [{ user: "admin", status: 202 }], "with a record");
  },
);

t.test("when the box cannot be started again, nothing is left to happen at some later start", async (t) => {
  const { reset, marker, log } = await setUp(t, () => {
    throw new SteelyardError("command-failed", "no systemd");
  });
  t.equal((await reset({ hostname: "steelyard" })).statusCode, 202);
  for (let tries = 0; tries < 100 && !log.some((line) => /cannot be started again/.test(line)); tries++)
    await sleep(10);
  t.match(log.join("\n"), /factory reset: the box cannot be started again, and stays as it is: no systemd/);
  await sleep(20);
  await t.rejects(stat(marker));
});
