import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Test } from "tap";
import type { Box } from "../src/box/box.ts";
import { bootOnce, crossedSetup, putInterface } from "../src/box/crossed.ts";
import { front } from "../src/lab/plan.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { sleep, waitFor } from "../src/wait.ts";

/** Cards of the box that are wired to the partner's, in the order of `vm/crossed-cards.ts`. */
const members = ["nic2", "nic3"];
const partners = ["nic4", "nic5"];
const near = { own: "10.30.0.1", partner: "10.30.0.2" };
const tagged = { own: "10.31.0.1", partner: "10.31.0.2", id: 30 };

/** What the other end of each mode is: LACP, ports that a switch has bundled by hand, or two ports of a switch. */
const modes = {
  "active-backup": "switch",
  "balance-rr": "bundle",
  "balance-xor": "bundle",
  broadcast: "bundle",
  "balance-tlb": "switch",
  "balance-alb": "switch",
  "802.3ad": "lacp",
} as const;

type Mode = keyof typeof modes;

/** Modes whose failover is timed in the short run too. */
const timed: readonly Mode[] = ["active-backup", "802.3ad"];
/** Milliseconds from the cut to packets that flow again, with a look at the carrier each 100 ms; and between two packets. */
const failoverTime = 1_000;
const interval = 100;

/** Bonds of every mode with a real partner, VLANs on them, and what somebody else changes. One boot serves all. */
export const links: Suite = {
  name: "links",
  machine: "crossed",
  setup: crossedSetup,
  run: async (context) => {
    const { box, all } = context;
    await bootOnce(box);
    await makePartner(box);
    const quiet = watchOtherInterface();
    for (const mode of Object.keys(modes) as Mode[]) await checkMode(context, mode, all || timed.includes(mode));
    await checkTrunk(context);
    await checkDrift(context);
    await checkRemoval(context);
    await context.check("all the while a ping through another interface lost nothing", async (t) => {
      const { sent, received } = await quiet();
      t.ok(sent > 50, `${sent} sent`);
      t.equal(received, sent);
    });
  },
};

async function makePartner(box: Box): Promise<void> {
  const moves = partners.map((name) => `ip link set ${name} netns partner`).join(" && ");
  await box.machine.shell(`ip netns add partner && ${moves}`);
}

/** What the partner is for a mode; what it was before is gone. */
async function setPartner(box: Box, kind: (typeof modes)[Mode]): Promise<void> {
  const type = {
    switch: "bridge forward_delay 0",
    bundle: "bond mode balance-rr miimon 100",
    lacp: "bond mode 802.3ad miimon 100 lacp_rate fast",
  };
  await box.machine.shell(
    [
      'set -e; ip() { command ip -n partner "$@"; }',
      "ip link delete far 2>/dev/null || true",
      `ip link add far type ${type[kind]}`,
      ...partners.map((name) => `ip link set ${name} down; ip link set ${name} master far; ip link set ${name} up`),
      `ip link set far up; ip address add ${near.partner}/24 dev far`,
    ].join("\n"),
    box.machine.scale(15_000),
  );
}

const onBond = (bond: object) => ({
  kind: "bond",
  bond: { members, ...bond },
  ipv4: { method: "static", addresses: [`${near.own}/24`] },
});

async function reach(box: Box, address: string): Promise<void> {
  const answers = async () => (await box.machine.guest(["ping", "-c", "1", "-W", "1", address], 10_000)).code === 0;
  await waitFor(`${address} to answer`, answers, { timeout: box.machine.scale(15_000), interval: 300 });
}

async function checkMode({ box, check }: SuiteContext, mode: Mode, failover: boolean): Promise<void> {
  const { machine } = box;
  const lacp = mode === "802.3ad";
  await check(
    `a bond in mode ${mode} carries traffic${failover ? ", and a cut link moves it in time" : ""}`,
    async (t) => {
      await setPartner(box, modes[mode]);
      await putInterface(
        box,
        "bond0",
        onBond({ mode, ...(lacp ? { lacpRate: "fast", transmitHashPolicy: "layer3+4" } : {}) }),
      );
      t.match(await machine.shell("cat /sys/class/net/bond0/bonding/mode"), new RegExp(`^${mode} `));
      t.same((await machine.shell("cat /sys/class/net/bond0/bonding/slaves")).split(" ").sort(), members);
      await reach(box, near.partner);
      if (lacp) {
        const aggregated = async () => (await machine.shell("cat /sys/class/net/bond0/bonding/ad_num_ports")) === "2";
        await waitFor("both links in one group", aggregated, { timeout: machine.scale(15_000), interval: 500 });
        const partner = await machine.shell("ip netns exec partner cat /sys/class/net/far/address");
        const { bond } = await box.api.get("/network/interfaces/{interface}/status", { path: { interface: "bond0" } });
        t.match(bond, { mode, partner: { mac: partner, ports: 2 } });
        t.same(
          bond?.members.map(({ name, link }) => [name, link]),
          members.map((name) => [name, "up"]),
        );
      }
      if (failover) await timeFailover(t, box);
    },
  );
}

/** Cuts the link that carries the traffic, at both ends as a cable does, and counts the packets that were lost. */
async function timeFailover(t: Test, box: Box): Promise<void> {
  const { machine } = box;
  const count = 100;
  const active = await machine.shell("cat /sys/class/net/bond0/bonding/active_slave");
  const cut = Math.max(0, members.indexOf(active));
  const pinging = machine.shell(
    `ping -i ${interval / 1_000} -c ${count} -W 2 ${near.partner} | grep received`,
    machine.scale(30_000),
  );
  await sleep(2_000);
  await setLink(box, cut, false);
  const words = await pinging;
  const received = Number(/(\d+) received/.exec(words)?.[1]);
  const lost = count - received;
  t.comment(`${lost} of ${count} packets lost, one each ${interval} ms`);
  t.ok(lost * interval <= machine.scale(failoverTime), `${lost} packets lost`);
  await setLink(box, cut, true);
  const up = async () => (await machine.shell(`cat /sys/class/net/${members[cut]}/carrier`)) === "1";
  await waitFor("the link to come back", up, { timeout: machine.scale(10_000), interval: 300 });
  await reach(box, near.partner);
}

async function setLink(box: Box, at: number, up: boolean): Promise<void> {
  for (const side of ["near", "far"]) await box.machine.setLink(`${side}${at}`, up);
}

async function checkTrunk({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("a VLAN on the bond carries tagged traffic", async (t) => {
    await machine.shell(
      `ip -n partner link add link far name tagged type vlan id ${tagged.id} && ip -n partner address add ${tagged.partner}/24 dev tagged && ip -n partner link set tagged up`,
    );
    const ipv4 = { method: "static", addresses: [`${tagged.own}/24`] };
    await putInterface(box, "vlan30", {
      kind: "vlan",
      vlan: { parent: "bond0", id: tagged.id },
      alias: "to the racks",
      ipv4,
    });
    await reach(box, tagged.partner);
    const shown = await machine.shell("ip -d link show dev vlan30");
    t.match(shown, /vlan protocol 802.1Q id 30/);
    t.match(shown, /alias to the racks/);
  });
}

async function checkDrift({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("a member taken out by hand, a VLAN deleted and a changed bond come back", async (t) => {
    await machine.shell(
      "ip link set nic3 nomaster; ip link delete vlan30; ip link set bond0 type bond xmit_hash_policy layer2",
    );
    const mended = async () =>
      (await machine.guest(["ip", "link", "show", "dev", "vlan30"], 10_000)).code === 0 &&
      (await machine.shell("cat /sys/class/net/bond0/bonding/slaves")).includes("nic3") &&
      (await machine.shell("cat /sys/class/net/bond0/bonding/xmit_hash_policy")).startsWith("layer3+4");
    await waitFor("the agent to mend it", mended, { timeout: machine.scale(30_000), interval: 1_000 });
    await reach(box, tagged.partner);
    t.pass("and the VLAN carries traffic again");
  });
}

async function checkRemoval({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("what is taken out of the configuration is gone, and only that", async (t) => {
    const refused = await box.api.send("DELETE", "/network/interfaces/bond0", { timeout: 60_000 });
    t.equal(refused.status, 422, "a VLAN stands on it, and it is no card");
    for (const name of ["vlan30", "bond0"])
      await box.api.expect(204, "DELETE", `/network/interfaces/${name}`, { timeout: 180_000 });
    t.equal(await machine.shell("ip -o link show type bond; ip -o link show type vlan"), "");
    for (const name of members) t.notMatch(await machine.shell(`ip -o link show dev ${name}`), /[<,]UP[,>]/);
    await machine.shell("ip netns delete partner");
    t.equal(await machine.shell("systemctl --failed --no-legend --plain"), "");
  });
}

/** Pings the box on the front network from the lab's client until it is called. */
function watchOtherInterface(): () => Promise<{ sent: number; received: number }> {
  const stop = new AbortController();
  let sent = 0;
  let received = 0;
  const run = promisify(execFile);
  const watching = (async () => {
    while (!stop.signal.aborted) {
      sent += 1;
      // Lost is what is not answered at all: an emulated machine may take its time.
      const { stdout } = await run("ping", ["-c", "1", "-W", "20", front.box.ipv4]).catch(() => ({ stdout: "" }));
      if (stdout.includes("1 received")) received += 1;
      await sleep(200);
    }
  })();
  return async () => {
    stop.abort();
    await watching;
    return { sent, received };
  };
}
