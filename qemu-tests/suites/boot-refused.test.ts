import { makeAnswerFile } from "../src/box/answer-file.ts";
import { managementPort } from "../src/box/box.ts";
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

/** A first boot with an answer file that does not fit its schema, and how it goes on when the disc is changed for another. */
export const bootRefused: Suite = {
  name: "boot-refused",
  machine: "refused",
  setup: { disc: { label: "STEELYARD", files: { "steelyard.yaml": badAnswerFile } } },
  run: async (context) => {
    await context.box.machine.start();
    await checkRefusal(context);
    await checkNoCloud(context);
    await context.check("shows no other trouble on the serial console", async (t) => {
      t.same(await context.box.machine.serialFindings(), []);
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

async function checkNoCloud({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  const state = () => machine.shell("cat /run/steelyard/first-boot.json");
  const patience = { timeout: machine.scale(10_000), interval: 1_000 };
  await check("a NoCloud seed for somebody else is passed over", async (t) => {
    const files = { "user-data": "#cloud-config\nhostname: stranger\n", "meta-data": "instance-id: i-1\n" };
    await machine.changeDisc({ label: "cidata", files });
    await waitFor("the box to look at the disc", async () => (await state()).includes("waiting-for-answer"), patience);
    t.equal(await machine.shell("ls /config/generations 2>/dev/null | wc -l"), "0", "nothing was committed");
  });
  await check("a NoCloud seed whose user-data is ours sets the box up, without a restart", async (t) => {
    const files = {
      "user-data": makeAnswerFile(box.password),
      "meta-data": "instance-id: i-2\nlocal-hostname: seeded\n",
    };
    await machine.changeDisc({ label: "cidata", files });
    await waitFor("the box to take the disc", async () => !(await state()).includes("waiting"), patience);
    await box.waitUntilServing();
    t.match(await box.api.get("/system"), { hostname: "seeded" }, "the name is that of meta-data");
    t.equal(await machine.shell("hostname"), "seeded");
    const { items } = await box.api.get("/configuration/generations");
    t.match(items, [{ source: "answer-file" }]);
  });
}
