import { setTimeout as sleep } from "node:timers/promises";
import { Api } from "../src/box/api.ts";
import { findFingerprint, managementPort } from "../src/box/box.ts";
import { leased, startAddressServer } from "../src/lab/address-server.ts";
import { front } from "../src/lab/plan.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { tryConnection } from "../src/traffic/backends.ts";
import { SerialDialogue } from "../src/vm/serial-dialogue.ts";
import { waitFor } from "../src/wait.ts";

const hostname = "counter";

/** A box without any answer: somebody sits at its serial console, and a router gives it its addresses. */
export const consoleSuite: Suite = {
  name: "console",
  machine: "blank",
  setup: { blank: true },
  run: async (context) => {
    const server = await startAddressServer(context.lab);
    try {
      await context.box.machine.start();
      const fingerprint = await answerQuestions(context);
      await checkAccess(context, fingerprint);
      await checkLease(context);
    } finally {
      await server.stop();
    }
    // Not yet seen to pass with the screens: in the long run alone until it is.
    if (context.all) await checkFactoryReset(context);
    await checkEmergency(context);
  },
};

const [enter, back, up, down, clear] = ["\r", "\x1b", "\x1b[A", "\x1b[B", "\x15"];

/** Returns the fingerprint that the console shows at the end. Somebody sits at a terminal of 80x24 on the serial line. */
async function answerQuestions({ box: { machine, password }, check }: SuiteContext): Promise<string> {
  const dialogue = await SerialDialogue.open(machine.serialSocket);
  const soon = machine.scale(10_000);
  let fingerprint = "";
  await check("a box without an answer file asks its first questions on the serial console", async (t) => {
    const shown = await dialogue.see(/Host name\n.*steelyard/, machine.scale(40_000));
    t.match(shown, /This appliance has no configuration yet/);
    t.equal(await tryConnection(front.box.ipv4, managementPort, 1_500), "silent", "and nothing is served meanwhile");
    await dialogue.press(clear, "no spaces", enter);
    await dialogue.see(/Expected a host name/, soon);
    await dialogue.press(clear, hostname, enter);
    const links = await dialogue.see(/2 of 12[\s\S]*Management interface[\s\S]*nic1/, soon);
    t.match(links, /\[\*\] nic0 +up.* 52:54:00:5e:00:01 virtio_net/, "the cards are listed with their lights");
    t.notMatch(await machine.shell("ip -6 -oneline address show scope link"), /nic/, "raised without any address");
  });
  await check("the lights on the screen change with the cable", async () => {
    await machine.setLink(front.bridge, false);
    await dialogue.see(/\[ \] nic0 +no link/, soon);
    await machine.setLink(front.bridge, true);
    await dialogue.see(/\[\*\] nic0 +up/, soon);
  });
  await check("Escape leads back, and the answers stay", async (t) => {
    await dialogue.press(back);
    t.match(await dialogue.see(/1 of 12[\s\S]*Host name/, soon), new RegExp(hostname));
    await dialogue.press(enter);
    await dialogue.see(/2 of 12[\s\S]*Management interface[\s\S]*nic1/, soon);
    await dialogue.press(enter);
    // Two cards have a link, so it listens for LACP, which nobody speaks here.
    await dialogue.see(/3 of 12[\s\S]*The cabling suggests no bond[\s\S]*choose cards/, machine.scale(50_000));
    await dialogue.press(enter);
    await dialogue.see(/4 of 12[\s\S]*VLAN tag/, soon);
    await dialogue.press(enter);
    await dialogue.see(/5 of 12[\s\S]*IPv4 address[\s\S]*none/, soon);
    await dialogue.press(enter);
    await dialogue.see(/6 of 12[\s\S]*IPv6 address[\s\S]*none/, soon);
    // From none, which is chosen at first, to static.
    await dialogue.press(up, enter);
    await dialogue.see(/with prefix length/, soon);
    await dialogue.press(back);
    await dialogue.see(/5 of 12[\s\S]*IPv4 address[\s\S]*none/, soon);
    await dialogue.press(enter);
    await dialogue.see(/6 of 12[\s\S]*IPv6 address[\s\S]*none/, soon);
    await dialogue.press(up, up, enter);
    await dialogue.see(/7 of 12[\s\S]*DNS servers/, soon);
    await dialogue.press(enter);
  });
  await check("the network is tried before anything is kept: lease, gateway and DNS", async (t) => {
    const found = await dialogue.see(/8 of 12[\s\S]*And now/, machine.scale(40_000));
    t.match(found, new RegExp(`nic0 gets ${leased.ipv4}/24`));
    t.match(found, new RegExp(`gateway ${leased.gateway}: answers`));
    t.match(found, new RegExp(`DNS ${leased.dns}: answers`));
    t.equal(await machine.shell("ls /config/generations 2>/dev/null | wc -l"), "0", "nothing was committed");
    t.equal(await machine.shell("ip -4 -oneline address show dev nic0"), "", "and the address is gone again");
    await dialogue.press(enter);
  });
  await check("a weak password is refused, and so are two that differ", async () => {
    await dialogue.see(/Password for admin/, soon);
    await dialogue.press("admin", enter);
    await dialogue.see(/Expected at least 10 characters/, soon);
    await dialogue.press(clear, "password123", enter);
    await dialogue.see(/Expected a password that is not among/, soon);
    await dialogue.press(clear, password, enter);
    await dialogue.see(/The same again/, soon);
    await dialogue.press(`${password}x`, enter);
    await dialogue.see(/These were not the same/, soon);
    await dialogue.press(clear, password, enter);
  });
  const url = `https://${leased.ipv4}:${managementPort}/`;
  const asked = new RegExp(`${url}[\\s\\S]*SHA-256 [0-9A-F]{2}:[\\s\\S]*Keep this configuration`);
  const generations = "ls /config/generations | wc -l";
  await check(
    "settings that are not kept are taken back, and the answers are the presets of the next round",
    async (t) => {
      await dialogue.see(/Switch SSH on/, soon);
      await dialogue.press(enter);
      await dialogue.see(/11 of 12[\s\S]*Time zone/, soon);
      await dialogue.press(enter);
      t.match(await dialogue.see(/Use these settings/, soon), new RegExp(`Host name +${hostname}`));
      await dialogue.press(enter);
      t.match(await dialogue.see(asked, machine.scale(60_000)), /everything is taken back in [0-9]+ s/);
      t.equal(await tryConnection(leased.ipv4, managementPort, machine.scale(5_000)), "open", "it can be tried");
      t.equal(await machine.shell(generations), "1");
      await dialogue.press(down, enter);
      await dialogue.see(/were taken back/, machine.scale(40_000));
      t.equal(await machine.shell(generations), "0");
      t.equal(await machine.shell("ls /config/current /config/pending.yaml 2>/dev/null || true"), "");
      t.not(await tryConnection(leased.ipv4, managementPort, 1_500), "open");
      await dialogue.press(enter);
      const presets: [RegExp, number][] = [
        [new RegExp(`1 of 12[\\s\\S]*Host name\\s+${hostname}`), 10_000],
        [/2 of 12[\s\S]*Management interface[\s\S]*nic1/, 15_000],
        [/3 of 12[\s\S]*choose cards/, 50_000],
        [/4 of 12[\s\S]*VLAN tag/, 10_000],
        [/5 of 12[\s\S]*IPv4 address[\s\S]*none/, 10_000],
        [/6 of 12[\s\S]*IPv6 address[\s\S]*none/, 10_000],
        [/7 of 12[\s\S]*DNS servers/, 10_000],
        [/8 of 12[\s\S]*And now/, 40_000],
        [/9 of 12[\s\S]*Keep the password/, 10_000],
        [/10 of 12[\s\S]*Switch SSH on/, 10_000],
        [/11 of 12[\s\S]*Time zone/, 10_000],
      ];
      for (const [screen, patience] of presets) {
        await dialogue.see(screen, machine.scale(patience));
        await dialogue.press(enter);
      }
    },
  );
  await check("the questions answered, the console shows the management address and the fingerprint", async (t) => {
    t.match(await dialogue.see(/Use these settings/, soon), new RegExp(`Host name +${hostname}`));
    await dialogue.press(enter);
    const before = findFingerprint(await dialogue.see(asked, machine.scale(60_000)));
    await dialogue.press(enter);
    const screen = await dialogue.see(
      new RegExp(`${url}[\\s\\S]*SHA-256 [0-9A-F]{2}:[\\s\\S]*Enter: log in`),
      machine.scale(40_000),
    );
    t.equal(findFingerprint(screen), before, "what was kept is what was shown");
    t.equal(await machine.shell("ls /config/pending.yaml 2>/dev/null || true"), "");
    t.match(
      await machine.shell("ip -oneline link show nic1"),
      /state DOWN/,
      "a card that was only looked at is down again",
    );
    fingerprint = findFingerprint(screen) ?? "";
    t.not(fingerprint, "", screen);
    t.match(screen, /Health +ok/);
    t.notOk((await machine.serialText()).includes(password), "no password was ever shown");
  });
  await checkStatusScreen(dialogue, machine, check);
  dialogue.close();
  return fingerprint;
}

async function checkStatusScreen(
  dialogue: SerialDialogue,
  machine: SuiteContext["box"]["machine"],
  check: SuiteContext["check"],
): Promise<void> {
  const soon = machine.scale(15_000);
  await check(
    "the status screen is drawn when it changes and not otherwise, by a process without any right",
    async (t) => {
      const measure = async () => (await machine.serialText()).length;
      // Cards that were raised for the questions go down again, which is a change.
      let [before, after] = [-1, await measure()];
      for (let tries = 0; tries < 3 && after !== before; tries++) {
        before = after;
        await sleep(15_000);
        after = await measure();
      }
      t.equal(after, before, "no byte came");
      const shell = await machine.shell("ps -C console-status -o user= | sort -u");
      t.equal(shell, "steelyard-console");
      const pid = await machine.shell("pgrep -f console-status | head -n 1");
      t.match(await machine.shell(`grep -E '^Cap(Eff|Bnd)' /proc/${pid}/status`), /CapEff:\s0+\nCapBnd:\s0+$/);
    },
  );
  await check("Enter leads to the login, m to the menu, Escape back", async (t) => {
    await dialogue.press("m");
    await dialogue.see(/What shall be done[\s\S]*back to the status screen/, soon);
    await dialogue.press(down, down, enter);
    await dialogue.see(/type: [0-9a-f]{8}/, soon);
    await dialogue.press(back);
    await dialogue.see(/What shall be done/, soon);
    await dialogue.press(back);
    await dialogue.see(/Enter: log in/, soon);
    await dialogue.press(enter);
    t.match(await dialogue.see(/login:/, soon), new RegExp(`${hostname} login:`));
  });
}

async function checkAccess({ box: { machine, password }, check }: SuiteContext, fingerprint: string): Promise<void> {
  const timeout = machine.scale(5_000);
  await check(
    "the API has the certificate that the console showed, and takes the password that was typed",
    async (t) => {
      const api = new Api({ address: leased.ipv4, port: managementPort, fingerprint, timeout });
      await api.login("admin", password);
      t.match(await api.get("/system"), { hostname, management: { interfaces: ["nic0"] } });
      t.equal((await api.send("POST", "/sessions", { body: { user: "admin", password: "admin" } })).status, 401);
      t.equal(await tryConnection(leased.ipv4, 22, 1_500), "silent", "SSH was not asked for");
      api.close();
    },
  );
}

async function checkLease({ box: { machine }, check }: SuiteContext): Promise<void> {
  await check("DHCP gives the box its address, gateway and DNS", async (t) => {
    const addresses = await machine.shell("ip -4 -oneline address show dev nic0");
    t.match(addresses, new RegExp(`inet ${leased.ipv4}/24 .*dynamic`));
    t.match(
      await machine.shell("ip -4 route show default"),
      new RegExp(`^default via ${leased.gateway} dev nic0 proto dhcp`),
    );
    t.match(await machine.shell("resolvectl dns nic0"), new RegExp(leased.dns.replaceAll(".", "\\.")));
    const { host, address } = leased.name;
    t.match(await machine.shell(`getent ahostsv4 ${host}`), new RegExp(`^${address} `), "a name only this DNS knows");
  });
  await check("router advertisements give it an IPv6 address and gateway", async (t) => {
    const address = await waitFor(
      "an address of the advertised prefix",
      async () => /inet6 (fd10::\S+)\/64 scope global/.exec(await machine.shell("ip -6 address show dev nic0"))?.[1],
      { timeout: machine.scale(15_000) },
    );
    t.match(await machine.shell("ip -6 route show default"), /^default .*via fe80::.* dev nic0 proto ra/m);
    t.equal(await tryConnection(address, managementPort, machine.scale(2_000)), "open", "the API answers there");
  });
  await check("such a boot is a healthy one", async (t) => {
    t.equal(await machine.shell("systemctl --failed --no-legend --plain"), "");
    t.same(await machine.serialFindings(), []);
  });
}

/** Of a box that had everything: nobody needs it any more. */
async function checkFactoryReset({ box: { machine }, check }: SuiteContext): Promise<void> {
  await check(
    "after a factory reset the console asks its first questions again, and nothing of before is left",
    async (t) => {
      const dialogue = await SerialDialogue.open(machine.serialSocket);
      const machineId = await machine.shell("cat /etc/machine-id");
      const refused = await machine.guest(
        ["steelyard", "system", "factory-reset", "--hostname", "another"],
        machine.scale(10_000),
      );
      t.match(refused, { code: 2, stderr: /expected the host name of this box/ });
      await machine.shell("touch /data/backups-of-mine; mkdir -p /data/backups; touch /data/backups/old.age");
      const begin = Date.now();
      const command = `steelyard system factory-reset --hostname ${hostname} --keep logs`;
      t.match(await machine.shell(command), /counter starts again and asks its first questions/);
      await dialogue.see(/1 of 12[\s\S]*Host name/, machine.scale(60_000));
      t.comment(`${((Date.now() - begin) / 1000).toFixed(0)} s from the command to the first question`);
      dialogue.close();
      t.not(await machine.shell("cat /etc/machine-id"), machineId, "it is another machine now");
      t.equal(
        await machine.shell(
          "ls /config/generations; ls /config/factory-reset 2>/dev/null; ls -d /config/local/api 2>/dev/null; true",
        ),
        "",
      );
      t.match(await machine.shell("ls -A /data"), /^audit$(?:.|\n)*^journal$/m);
      t.notMatch(await machine.shell("find /data -name '*.age' -o -name 'backups-of-mine'"), /./);
      t.match(await machine.shell("ls /data/journal"), new RegExp(machineId), "the journal of before was to be kept");
      t.match(
        await machine.shell("cat /data/audit/*"),
        /"operation":"resetToFactory"/,
        "and who reset it is in the audit log",
      );
      t.equal(await machine.shell("systemctl --failed --no-legend --plain"), "");
    },
  );
}

/** Last of all, for the machine goes down by it, the test channel first. */
async function checkEmergency({ box: { machine }, all, check }: SuiteContext): Promise<void> {
  await check(
    "an emergency says so on the console and starts the box again, with no shell for a passer-by",
    async (t) => {
      const dialogue = await SerialDialogue.open(machine.serialSocket);
      await machine.saveJournal();
      // The test channel is among what an emergency ends, so its answer may not come.
      machine.guest(["systemctl", "--no-block", "isolate", "emergency.target"], 1_000).catch(() => undefined);
      const shown = await dialogue.expect(/Starting again in 60 seconds/, machine.scale(15_000));
      t.match(shown, /You are in emergency mode/);
      dialogue.type("");
      // A minute of the guest's time for one line of a unit: in the long run only.
      if (all) {
        const restarted = async () => machine.qmp.events.includes("RESET");
        await waitFor("the box to start again", restarted, { timeout: 60_000 + machine.scale(15_000) });
      }
      dialogue.close();
      t.notMatch((await machine.serialText()).split("You are in emergency mode")[1], /[#$] $|root password|login:/m);
    },
  );
  await machine.cutPower();
}
