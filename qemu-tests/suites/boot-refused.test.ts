import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { makeAnswerFile } from "../src/box/answer-file.ts";
import { managementPort } from "../src/box/box.ts";
import { leased, startAddressServer } from "../src/lab/address-server.ts";
import { front } from "../src/lab/plan.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { tryConnection } from "../src/traffic/backends.ts";
import { waitFor } from "../src/wait.ts";

/** Wrong in two places: both are to be named. */
const badAnswerFile = `#steelyard
version: 1
admin: { password: "correct horse battery staple" }
system: { hostname: "no spaces allowed", management: { interfaces: [nic0] } }
interfaces:
  nic0: { ipv4: { method: static, addresses: [10.10.0.300/24] } }
`;

/** A first boot with an answer file that does not fit its schema, and how it goes on with every other source. */
export const bootRefused: Suite = {
  name: "boot-refused",
  machine: "refused",
  setup: { disc: { label: "STEELYARD", files: { "steelyard.yaml": badAnswerFile } } },
  run: async (context) => {
    await context.box.machine.start();
    await checkRefusal(context);
    await checkStranger(context);
    await checkServers(context);
    await checkCredential(context);
    await checkNoCloud(context);
    await context.check("shows no other trouble on the serial console", async (t) => {
      const findings = await context.box.machine.serialFindings();
      // A disc that is taken out while udev still looks at it gives one read error.
      t.same(
        findings.filter(({ text }) => !/I\/O error, dev sr0/.test(text)),
        [],
      );
    });
  },
};

async function checkRefusal({ box: { machine }, check }: SuiteContext): Promise<void> {
  await check("a bad answer file is explained on the console, field by field", async (t) => {
    const text = await waitFor(
      "the message on the serial console",
      async () => {
        const serial = await machine.serialText();
        return serial.includes("system.hostname") && serial;
      },
      { timeout: machine.scale(40_000) },
    );
    t.match(text, /steelyard\.yaml/i, "the file is named");
    t.match(text, /interfaces\.nic0\.ipv4\.addresses\.0/, "every field is named");
    t.match(text, /expected an address/, "what is expected is said");
    t.notMatch(text, /correct horse/, "and no value of it is shown");
  });
  await check("and the box waits without serving", async (t) => {
    await machine.waitForGuest();
    t.equal(await tryConnection(front.box.ipv4, managementPort, 2_000), "silent");
    const listening = await machine.shell("ss --no-header --listening --tcp --numeric | awk '{print $4}'");
    const beyondLoopback = listening.split("\n").filter((socket) => socket !== "" && !/^(127\.|\[::1\])/.test(socket));
    t.same(beyondLoopback, [], "nothing listens beyond loopback");
    t.equal(await machine.shell("ls /config/generations 2>/dev/null | wc -l"), "0", "nothing was committed");
  });
}

const patience = (machine: SuiteContext["box"]["machine"]) => ({ timeout: machine.scale(10_000), interval: 1_000 });

async function checkStranger({ box: { machine }, check }: SuiteContext): Promise<void> {
  const state = () => machine.shell("cat /run/steelyard/first-boot.json");
  await check("a NoCloud seed for somebody else is passed over", async (t) => {
    const files = { "user-data": "#cloud-config\nhostname: stranger\n", "meta-data": "instance-id: i-1\n" };
    await machine.changeDisc({ label: "cidata", files });
    const hasLooked = async () => (await state()).includes("waiting-for-answer");
    await waitFor("the box to look at the disc", hasLooked, patience(machine));
    t.equal(await machine.shell("ls /config/generations 2>/dev/null | wc -l"), "0", "nothing was committed");
  });
}

/**
 * Another command line without a restart: what stands in place of it is seen by the agent alone, which reads it when it starts.
 */
async function startAgain({ box: { machine } }: SuiteContext, commandLine: string): Promise<void> {
  const words = `quiet ${commandLine}`;
  await machine.shell(
    `umount /proc/cmdline 2>/dev/null; echo '${words}' > /run/command-line; mount --bind /run/command-line /proc/cmdline`,
  );
  await machine.run(["systemctl", "restart", "steelyard-agent"], { timeout: machine.scale(40_000) });
}

/** Takes the configuration and what came of it away, so that there is a first boot again. */
async function forget({ box: { machine } }: SuiteContext): Promise<void> {
  await machine.shell("systemctl stop steelyard-agent");
  await machine.shell("find /config -mindepth 1 -maxdepth 1 ! -name local ! -name lost+found -exec rm -rf {} +");
  await machine.shell(
    "rm -rf /data/first-boot /run/steelyard/first-boot.json /run/systemd/network/10-steelyard-*.network; networkctl reload",
  );
}

async function checkServers(context: SuiteContext): Promise<void> {
  const { box, lab, check } = context;
  const { machine } = box;
  const file = makeAnswerFile(box.password, "fetched");
  const hash = createHash("sha256").update(file).digest("hex");
  let asked = 0;
  const web = createServer((_, response) => {
    asked += 1;
    response.end(file);
  }).listen(0, front.client.ipv4);
  await once(web, "listening");
  const url = `http://${front.client.ipv4}:${(web.address() as AddressInfo).port}/lb.yaml`;
  const addresses = await startAddressServer(lab, [`--dhcp-option=224,${url} sha256:${hash}`]);
  const state = () => machine.shell("cat /run/steelyard/first-boot.json");
  const soon = { timeout: machine.scale(40_000), interval: 1_000 };
  try {
    await check(
      "a file from the network that is not the pinned one is refused, and the network taken back",
      async (t) => {
        await startAgain(context, `steelyard.answers=${url} steelyard.answers.sha256=${"0".repeat(64)}`);
        await waitFor("the refusal", async () => (await state()).includes("not the pinned one"), soon);
        t.equal(asked, 1, "it was fetched once, over an address from DHCP");
        t.equal(await machine.shell("ip -4 -oneline address show scope global"), "", "which is gone again");
        t.equal(await machine.shell("ls /run/systemd/network/05-* 2>/dev/null | wc -l"), "0");
        t.equal(await machine.shell("ls /config/generations 2>/dev/null | wc -l"), "0", "nothing was committed");
      },
    );
    await check("a DHCP option says where the answers are, and the box serves with them", async (t) => {
      await startAgain(context, "steelyard.answers=dhcp");
      await waitFor("the answers to be applied", async () => (await state()).includes("done"), soon);
      await box.waitUntilServing();
      t.match(await box.api.get("/system"), { hostname: "fetched" });
      t.match(await box.api.get("/first-boot/report"), {
        source: /^answers from .* \(DHCP option 224\)$/,
        sha256: hash,
        outcome: "applied",
        generation: 1,
        applied: { hostname: "fetched", admin: ["password"] },
      });
      const held = await machine.shell("ip -4 -oneline address show dev nic0 scope global");
      t.notMatch(held, leased.ipv4, "of the lease nothing is left");
      t.match(held, front.box.ipv4);
    });
  } finally {
    await addresses.stop();
    web.close();
  }
}

async function checkCredential(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const { machine } = box;
  await check("a systemd credential holds the answers", async (t) => {
    await forget(context);
    const file = Buffer.from(makeAnswerFile(box.password, "credited")).toString("base64");
    await machine.shell(
      `mkdir -p -m 0700 /run/credstore && echo ${file} | base64 -d > /run/credstore/steelyard.answers`,
    );
    await startAgain(context, "");
    await box.waitUntilServing();
    t.match(await box.api.get("/system"), { hostname: "credited" });
    t.match(await box.api.get("/first-boot/report"), { source: "systemd credential steelyard.answers" });
    await machine.shell("rm /run/credstore/steelyard.answers");
    await forget(context);
    await startAgain(context, "");
  });
}

async function checkNoCloud({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  const state = () => machine.shell("cat /run/steelyard/first-boot.json");
  await check("a NoCloud seed whose user-data is ours sets the box up, without a restart", async (t) => {
    const files = {
      "user-data": makeAnswerFile(box.password),
      "meta-data": "instance-id: i-2\nlocal-hostname: seeded\n",
    };
    await machine.changeDisc({ label: "cidata", files });
    await waitFor("the box to take the disc", async () => !(await state()).includes("waiting"), patience(machine));
    await box.waitUntilServing();
    t.match(await box.api.get("/system"), { hostname: "seeded" }, "the name is that of meta-data");
    t.equal(await machine.shell("hostname"), "seeded");
    const { items } = await box.api.get("/configuration/generations");
    t.match(items, [{ source: "answer-file" }]);
  });
}
