import { readFile } from "node:fs/promises";
import type { Box } from "../src/box/box.ts";
import { front } from "../src/lab/plan.ts";
import { startTimeServer, type TimeServer, timeServerName } from "../src/lab/time-server.ts";
import { report } from "../src/progress.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { waitFor } from "../src/wait.ts";

/** The usual authorities, where the image's libraries look for them. */
const authorities = "/etc/ssl/certs/ca-certificates.crt";

/** Seconds by which the box is wrong before it has a time server. Ahead: certificates of the lab are a moment old. */
const wrong = 90;

/** The clock set by a real time server, with NTS and without. */
export const clock: Suite = {
  name: "clock",
  machine: "bios",
  run: async (context) => {
    const { box, lab } = context;
    const server = await startTimeServer(lab);
    try {
      await checkPlain(context);
      await checkSecured(context, server);
      await checkAbsent(context);
    } finally {
      await box.api.expect(200, "PATCH", "/system", { body: { ntp: { servers: [] }, hosts: [] } });
      await server.stop();
    }
  },
};

/** Seconds that the box is ahead of the host. */
async function readError(box: Box): Promise<number> {
  const begin = Date.now();
  const there = Number(await box.machine.shell("date +%s.%N"));
  return there - (begin + Date.now()) / 2_000;
}

async function setServers({ api }: Box, servers: unknown[], more: object = {}): Promise<void> {
  await api.expect(200, "PATCH", "/system", { body: { ntp: { servers }, ...more } });
}

/** Waits until the box says that it follows its only server, and returns that. */
async function follow(box: Box) {
  const synchronized = async () => {
    const { clock: shown } = await box.api.get("/system/status");
    return shown?.synchronized === true && shown.sources[0]?.state === "selected" ? shown : undefined;
  };
  return await waitFor("the clock to follow", synchronized, { timeout: box.machine.scale(15_000), interval: 500 });
}

async function checkPlain({ box, check }: SuiteContext): Promise<void> {
  await check("a clock that is wrong is set by the time server, and the status says by which", async (t) => {
    await box.machine.run(["date", "--set", `+${wrong} seconds`]);
    await box.api.login("admin", box.password);
    t.equal((await box.api.get("/system/status")).clock, undefined, "without servers there is nothing to say");
    await setServers(box, [front.client.ipv4]);
    const begin = Date.now();
    const shown = await follow(box);
    const error = await readError(box);
    report(`clock: ${wrong} s ahead, followed after ${Date.now() - begin} ms, then ${error.toFixed(3)} s ahead`);
    t.match(shown, { stratum: 4, sources: [{ server: front.client.ipv4, stratum: 3, nts: false }] });
    t.ok(Math.abs(error) < 1, `${error} s ahead of the server`);
    await box.api.login("admin", box.password);
    t.match(await box.machine.shell("steelyard status"), /clock +synchronized, stratum 4/);
    t.equal(
      await box.machine.shell("ss --no-header --listening --udp --numeric 'sport = :123'"),
      "",
      "it serves nobody",
    );
  });
}

async function checkSecured({ box, check }: SuiteContext, { authority }: TimeServer): Promise<void> {
  const hosts = [{ address: front.client.ipv4, names: [timeServerName] }];
  const server = { address: timeServerName, nts: true };
  await check("NTS refuses a server for whom no authority vouches", async (t) => {
    await setServers(box, [server], { hosts });
    const log = "journalctl --boot --unit=chrony --no-pager --output=cat --since=-2min";
    const refused = async () => /certificate/i.test(await box.machine.shell(log));
    await waitFor("chrony's refusal", refused, { timeout: box.machine.scale(10_000) });
    t.match((await box.api.get("/system/status")).clock, { synchronized: false });
  });
  await check("with NTS the answers are authenticated, and the status says so", async (t) => {
    const pem = (await readFile(authority)).toString("base64");
    await box.machine.shell(
      `cp ${authorities} /run/authorities && echo ${pem} | base64 -d >> ${authorities} && systemctl restart chrony`,
      box.machine.scale(15_000),
    );
    try {
      t.match(await follow(box), { stratum: 4, sources: [{ server: timeServerName, nts: true }] });
      t.match(await box.machine.shell("chronyc -n authdata"), /NTS +\d+ +\d+ +(128|256) /);
      t.match(await box.machine.shell("steelyard status"), /clock .*NTS/);
    } finally {
      await box.machine.shell(`cat /run/authorities > ${authorities}; rm /run/authorities`);
    }
  });
}

async function checkAbsent({ box, check }: SuiteContext): Promise<void> {
  await check("a time server that nobody answers at is told as unreachable", async (t) => {
    await setServers(box, ["10.10.0.99"]);
    const { clock: shown } = await box.api.get("/system/status");
    t.match(shown, { synchronized: false, sources: [{ server: "10.10.0.99", state: "unreachable", answered: 0 }] });
  });
}
