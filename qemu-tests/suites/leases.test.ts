import { bootOnce, crossedSetup, putInterface } from "../src/box/crossed.ts";
import { offerOf, startProvider } from "../src/lab/address-server.ts";
import { inNamespace } from "../src/lab/namespaces.ts";
import { uplinks } from "../src/lab/uplinks.ts";
import { report } from "../src/progress.ts";
import { runCommand } from "../src/run-command.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { waitFor } from "../src/wait.ts";

const { fibre, cable } = uplinks;
const [first, second] = [offerOf("fibre", 50), offerOf("fibre", 60)];

/** Addresses from a provider's router: DHCPv4, DHCPv6, router advertisements, and what becomes of them when it gives others. */
export const leases: Suite = {
  name: "leases",
  machine: "crossed",
  setup: crossedSetup,
  run: async (context) => {
    const { box, lab } = context;
    await bootOnce(box);
    let provider = await startProvider(lab, "fibre", 50);
    try {
      await checkLease(context);
      await checkChange(context, async () => {
        await provider.stop();
        provider = await startProvider(lab, "fibre", 60);
      });
      await checkMethods(context);
    } finally {
      await provider.stop();
      for (const { card } of [fibre, cable])
        await box.api.send("DELETE", `/network/interfaces/${card}?confirmWithin=0`, { timeout: 180_000 });
    }
  },
};

/** Addresses with prefix length of the card with leases, the link-local one left out. */
async function addressesOf({ box }: SuiteContext): Promise<string[]> {
  const text = await box.machine.shell(`ip -oneline address show dev ${fibre.card} scope global`);
  return [...text.matchAll(/inet6? (\S+)/g)].map(([, address = ""]) => address);
}

/** By DHCPv4 and DHCPv6, and made of the advertised prefix. */
const ofLease = ({ ipv4 }: typeof first) => `${ipv4}/24`;
const ofLease6 = ({ ipv6 }: typeof first) => `${ipv6}/128`;
const isMade = (address: string) => address.startsWith(first.prefix) && address.endsWith("/64");

/** Waits until the addresses are these and no others; `made` says whether there is one of the advertised prefix. */
async function waitForAddresses(context: SuiteContext, leased: readonly string[], made: boolean): Promise<void> {
  const there = async () => {
    const all = await addressesOf(context);
    const fixed = all.filter((each) => !isMade(each)).sort();
    return fixed.join() === [...leased].sort().join() && all.some(isMade) === made;
  };
  const what = `${leased.join(", ")}${made ? " and one of the prefix" : ""}`;
  try {
    await waitFor(what, there, { timeout: context.box.machine.scale(20_000), interval: 500 });
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}; there are: ${await addressesOf(context)}`);
  }
}

/** Whether a host in the world hears an answer: it leaves by the way the question came, or the routers drop it. */
async function reachFromWorld({ lab, box }: SuiteContext, address: string): Promise<boolean> {
  const ping = inNamespace(lab.id, "world", ["ping", "-c", "1", "-W", "2", address]);
  const answers = async () => (await runCommand(ping, { accept: [0, 1] })).code === 0;
  return await waitFor(`an answer of ${address}`, answers, { timeout: box.machine.scale(10_000) });
}

async function checkLease(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const { machine } = box;
  await check(
    "a provider gives address, gateway and DNS, and a static interface beside it keeps its own",
    async (t) => {
      await putInterface(box, cable.card, {
        ipv4: {
          ...{ method: "static", addresses: [`${cable.box}/${cable.prefix.ipv4}`] },
          ...{ gateway: cable.gateway.ipv4, defaultRoute: false },
        },
      });
      await putInterface(box, fibre.card, { ipv4: { method: "dhcp" }, ipv6: { method: "automatic" } });
      await waitForAddresses(context, [ofLease(first), ofLease6(first)], true);
      t.match(
        await machine.shell("ip -4 route show default"),
        new RegExp(`^default via ${first.gateway} dev ${fibre.card} proto dhcp`),
      );
      t.match(await machine.shell("ip -6 route show default"), new RegExp(`via fe80::.* dev ${fibre.card} proto ra`));
      t.match(await machine.shell(`resolvectl dns ${fibre.card}`), new RegExp(first.gateway.replaceAll(".", "\\.")));
      t.match(await machine.shell(`getent ahostsv4 ${first.name.host}`), new RegExp(`^${first.name.address} `));
      const shown = await box.api.get("/network/interfaces/{interface}/status", { path: { interface: fibre.card } });
      t.match(JSON.stringify(shown), new RegExp(`"${ofLease(first)}"`), "and the API shows it");
      t.match(await machine.shell(`ip -4 -oneline address show dev ${cable.card}`), new RegExp(`inet ${cable.box}/24`));
      for (const address of [first.ipv4, cable.box])
        t.ok(await reachFromWorld(context, address), `${address} answers by the way it was asked`);
    },
  );
}

async function checkChange(context: SuiteContext, change: () => Promise<void>): Promise<void> {
  const { box, check } = context;
  const { machine } = box;
  await check("a lease goes with the cable, and the one that another network gives is followed", async (t) => {
    try {
      await machine.setLink(fibre.bridge, false);
      await waitForAddresses(context, [], false);
      t.equal(await machine.shell("ip -4 route show default"), "", "the gateway went with it");
      await change();
    } finally {
      await machine.setLink(fibre.bridge, true);
    }
    const begin = Date.now();
    await waitForAddresses(context, [ofLease(second), ofLease6(second)], true);
    report(`leases: the other network's addresses ${Date.now() - begin} ms after the carrier`);
    t.match(await machine.shell(`getent ahostsv4 ${second.name.host}`), new RegExp(`^${second.name.address} `));
    for (const address of [second.ipv4, cable.box]) t.ok(await reachFromWorld(context, address), `${address} answers`);
    t.match(await machine.shell(`ip -4 -oneline address show dev ${cable.card}`), new RegExp(`inet ${cable.box}/24`));
  });
}

async function checkMethods(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  await check("of router advertisements and DHCPv6 it takes what its method says, and no more", async (t) => {
    await putInterface(box, fibre.card, { ipv4: { method: "dhcp" }, ipv6: { method: "slaac" } });
    await waitForAddresses(context, [ofLease(second)], true);
    await putInterface(box, fibre.card, { ipv4: { method: "dhcp" }, ipv6: { method: "dhcp" } });
    await waitForAddresses(context, [ofLease(second), ofLease6(second)], false);
    t.match(
      await box.machine.shell("ip -6 route show default"),
      /via fe80::.* proto ra/,
      "the gateway comes all the same",
    );
    t.equal(await box.machine.shell("systemctl --failed --no-legend --plain"), "");
  });
}
