import { managementPort } from "../src/box/box.ts";
import { front } from "../src/lab/plan.ts";
import type { Suite } from "../src/suite.ts";
import { tryConnection } from "../src/traffic/backends.ts";
import { waitFor } from "../src/wait.ts";

/** Wrong in two places: both are to be named. */
const badAnswerFile = `#steelyard
version: 1
admin: { password: "correct horse battery staple" }
system: { hostname: "no spaces allowed", management: { interfaces: [eth0] } }
interfaces:
  eth0: { ipv4: { method: static, addresses: [10.10.0.300/24] } }
`;

/** A first boot with an answer file that does not fit its schema. */
export const bootRefused: Suite = {
  name: "boot-refused",
  machine: "refused",
  answerFile: badAnswerFile,
  run: async ({ box: { machine }, check }) => {
    await machine.start();
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
      t.match(text, /interfaces\.eth0\.ipv4\.addresses\.0/, "every field is named");
      t.match(text, /expected an address/, "what is expected is said");
    });
    await check("and the box waits without serving", async (t) => {
      await machine.waitForGuest();
      t.equal(await tryConnection(front.box.ipv4, managementPort, 2_000), "silent");
      const listening = await machine.shell("ss --no-header --listening --tcp --numeric | awk '{print $4}'");
      const beyondLoopback = listening
        .split("\n")
        .filter((socket) => socket !== "" && !/^(127\.|\[::1\])/.test(socket));
      t.same(beyondLoopback, [], "nothing listens beyond loopback");
      t.equal(await machine.shell("ls /config/generations 2>/dev/null | wc -l"), "0", "nothing was committed");
    });
    await check("shows no other trouble on the serial console", async (t) => {
      t.same(await machine.serialFindings(), []);
    });
  },
};
