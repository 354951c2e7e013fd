import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { makeMachine } from "../src/adapters/machine.ts";
import { type Run, run } from "../src/adapters/process.ts";
import { makeControl } from "../src/commit/commit.ts";
import type { CommitRequest } from "../src/commit/control.ts";
import type { Configuration } from "../src/configuration/schema.ts";
import { openStore } from "../src/configuration/store.ts";
import { network } from "../src/network/index.ts";
import { announceArrival } from "../src/network/neighbours/arrivals.ts";
import { describeConflicts, followConflicts } from "../src/network/neighbours/conflicts.ts";
import { holdAddress, readHoldStatus, releaseAddress } from "../src/network/released/move.ts";
import { addressesOf } from "../src/network/render.ts";
import { edited, enterBox, until } from "./lab.ts";

/**
 * Addresses that come, and that others have. A switch in a namespace of its own connects the box's nic0 with a peer that may have an address
 * first, and with an observer that only keeps what it hears. What systemd-networkd would do is done by `ip` here.
 */
t.setTimeout(300_000);
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const root = await fs.mkdtemp(join(tmpdir(), "steelyard-addresses-"));
  t.teardown(() => fs.rm(root, { recursive: true, force: true }));
  const logged: string[] = [];
  const note = (text: string) => void logged.push(text);
  // The clock of the boot, which counts for confirmations; tests turn it on.
  let seconds = 0;
  const bootClock = { ...makeMachine().bootClock, seconds: () => seconds };
  const machine = makeMachine({
    root,
    bootClock,
    run: simulateNetworkd(root),
    log: { info: note, warn: note, error: note },
  });
  const store = await openStore(machine.path("/config"), machine.log);
  const control = makeControl(store, [network], machine);
  const commit = async (change: (draft: Configuration) => void, options: Partial<CommitRequest> = {}) =>
    await control.commit({
      author: { user: "test", source: "local" },
      message: "test",
      change: edited(change),
      ...options,
    });
  const give = (addresses: Record<string, string>) => (draft: Configuration) => {
    for (const [name, address] of Object.entries(addresses))
      draft.virtualAddresses[name] = { description: "", enabled: true, interface: "nic0", address };
  };

  await run(["ip", "link", "set", "lo", "up"]);
  const network0 = await connectHosts();
  const { inSwitch, peer, observer, macOf } = network0;
  await commit((draft) => {
    draft.interfaces.nic0 = {
      ipv4: { method: "static", addresses: ["192.0.2.5/24"] },
      ipv6: { method: "static", addresses: ["2001:db8::5/64"] },
    } as never;
    draft.interfaces.nic1 = { ipv4: { method: "static", addresses: ["198.51.100.5/24"] } } as never;
  });
  const present = async () => (await machine.netlink.addresses()).map(({ address }) => address);
  const boxMac = await macOf("nic0");
  const seenBy = async (address: string) => {
    const { stdout } = await observer(`ip neigh show ${address}`);
    return /lladdr (\S+)/.exec(stdout)?.[1];
  };

  await t.test("an address that another host has is refused, with its MAC, and nothing changes", async (t) => {
    for (const each of ["192.0.2.10/24", "2001:db8::10/64"]) await peer(`ip addr add ${each} dev eth0 nodad`);
    const mac = await macOf("eth0", peer);
    const before = await present();
    const files = await fs.readdir(machine.path("/run/systemd/network"));
    const wanted = { web: "192.0.2.10/24", six: "2001:db8::10/64", free: "192.0.2.77/24", free6: "2001:db8::77/128" };
    await t.rejects(commit(give(wanted)), {
      code: "address-taken",
      problems: [
        { path: "virtualAddresses.six.address", message: `another host has 2001:db8::10: ${mac} answers on nic0` },
        { path: "virtualAddresses.web.address", message: `another host has 192.0.2.10: ${mac} answers on nic0` },
      ],
    });
    t.equal(control.current().generation, 1);
    t.same(await present(), before);
    t.same(await fs.readdir(machine.path("/run/systemd/network")), files);
    await t.rejects(
      commit((draft) => draft.interfaces.nic0?.ipv4.addresses.push("192.0.2.10/24")),
      { code: "address-taken", message: /^interfaces\.nic0\.ipv4\.addresses\.1: another host has 192\.0\.2\.10: / },
    );
    const dry = await commit(give(wanted), { dryRun: true });
    t.match(
      dry.warnings.map(({ path }) => path),
      ["virtualAddresses.six.address", "virtualAddresses.web.address"],
      "a dry run warns",
    );
  });

  await t.test("forced it is taken, and shown as a conflict until the other host has gone", async (t) => {
    const told: string[] = [];
    followConflicts(machine, (kind, { address }) => told.push(`${kind} ${address}`));
    const result = await commit(give({ web: "192.0.2.10/24", six: "2001:db8::10/64" }), { force: true });
    t.equal(result.forced?.length, 2, "for the audit log");
    t.ok((await present()).includes("192.0.2.10/24"));
    t.ok(
      (await machine.netlink.addresses()).some(
        ({ address, tentative, dadFailed }) => address === "2001:db8::10/64" && !tentative && !dadFailed,
      ),
      "an IPv6 address works at once",
    );
    await until("both conflicts", 15_000, async () => describeConflicts(machine).length === 2);
    t.match(describeConflicts(machine).sort()[0], /^192\.0\.2\.10 on nic0 is also the address of another host, /);
    for (const each of ["192.0.2.10/24", "2001:db8::10/64"]) await peer(`ip addr del ${each} dev eth0`);
    // What the next look, in half a minute, would find.
    await announceArrival(machine, "nic0");
    await until("their end", 15_000, async () => describeConflicts(machine).length === 0);
    t.same(told.sort(), [
      "address-conflict 192.0.2.10",
      "address-conflict 2001:db8::10",
      "address-conflict-ended 192.0.2.10",
      "address-conflict-ended 2001:db8::10",
    ]);
  });

  await t.test("an interface without carrier is not asked on, and takes its address", async (t) => {
    t.equal((await machine.netlink.links()).find(({ name }) => name === "nic1")?.carrier, false);
    await commit((draft) => draft.interfaces.nic1?.ipv4.addresses.push("198.51.100.6/24"));
    t.ok((await present()).includes("198.51.100.6/24"));
  });

  await t.test("an interface that comes up with the change is asked on then, and everything is put back", async (t) => {
    await run([
      "ip",
      "link",
      "add",
      "nic2",
      "type",
      "veth",
      "peer",
      "name",
      "port2",
      "netns",
      String(network0.switchPid),
    ]);
    await inSwitch("ip link set port2 master lan up");
    await peer("ip addr add 203.0.113.9/24 dev eth0");
    const change = (draft: Configuration) => {
      draft.interfaces.nic2 = { ipv4: { method: "static", addresses: ["203.0.113.9/24"] } } as never;
    };
    await t.rejects(commit(change), {
      code: "address-taken",
      problems: [{ path: "interfaces.nic2.ipv4.addresses.0", message: /another host has 203\.0\.113\.9: / }],
    });
    t.notOk((await present()).includes("203.0.113.9/24"));
    t.equal((await machine.netlink.links()).find(({ name }) => name === "nic2")?.up, false);
  });

  await t.test("hundreds of addresses are asked for at once", async (t) => {
    const many = Object.fromEntries(
      Array.from({ length: 400 }, (_, at) => [`many${at}`, `192.0.${2 + Math.floor(at / 200)}.${(at % 200) + 50}/32`]),
    );
    await peer("ip addr add 192.0.3.249/32 dev eth0");
    const began = performance.now();
    const { warnings } = await commit(give(many), { dryRun: true });
    const took = performance.now() - began;
    t.same(
      warnings.map(({ path }) => path),
      ["virtualAddresses.many150.address", "virtualAddresses.many399.address"],
      "that of the observer, and that of the peer",
    );
    t.comment(`400 addresses: ${Math.round(took)} ms`);
    t.ok(took < 60_000, "one after the other would take six minutes");
  });

  await t.test("neighbours that knew an address at another host hear of the box at once", async (t) => {
    for (const [name, address] of [
      ["move", "192.0.2.20/24"],
      ["move6", "2001:db8::20/64"],
    ] as const) {
      const [plain = ""] = address.split("/");
      await peer(`ip addr add ${address} dev eth0 nodad`);
      await observer(`ping -n -c 1 -W 2 ${plain}`);
      t.equal(await seenBy(plain), await macOf("eth0", peer));
      await peer(`ip addr del ${address} dev eth0`);
      await commit(give({ [name]: address }));
      await until(`${plain} at the box`, 2_000, async () => (await seenBy(plain)) === boxMac);
      t.pass(plain);
    }
  });

  await t.test("a floating address moves to another box and comes back, over restarts too", async (t) => {
    const { configuration: before } = control.current();
    t.same(await releaseAddress(machine, control, "move", "ada"), { held: false, present: false });
    t.same(control.current().configuration, before, "the configuration stays as it is");
    t.notOk((await present()).includes("192.0.2.20/24"));
    await control.reconcile("start");
    t.notOk((await present()).includes("192.0.2.20/24"), "nor does a restart bring it back");
    await peer("ip addr add 192.0.2.20/24 dev eth0");
    await observer("ip neigh replace 192.0.2.20 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
    const hold = (force: boolean) => holdAddress(machine, control, "move", { by: "ada", force });
    await t.rejects(hold(false), { code: "address-taken" });
    t.same(await readHoldStatus(machine, control, "move"), { held: false, present: false });
    await peer("ip addr del 192.0.2.20/24 dev eth0");
    t.same(await hold(false), { held: true, present: true, forced: [] });
    await until("the address at the box", 2_000, async () => (await seenBy("192.0.2.20")) === boxMac);
    await releaseAddress(machine, control, "move", "ada");
    await peer("ip addr add 192.0.2.20/24 dev eth0");
    t.match(await hold(true), { held: true, present: true, forced: [{ path: "virtualAddresses.move.address" }] });
    await peer("ip addr del 192.0.2.20/24 dev eth0");
  });

  await t.test("a wrong default gateway, set from far away, goes back by itself", async (t) => {
    const gateways = async () => (await machine.netlink.defaultRoutes()).map(({ gateway }) => gateway);
    const setGateway = (gateway: string) => (draft: Configuration) => {
      draft.system.management.interfaces = ["nic0"];
      Object.assign(draft.interfaces.nic0?.ipv4 ?? {}, { gateway });
    };
    await commit(setGateway("192.0.2.200"));
    t.same(await gateways(), ["192.0.2.200"]);
    const { generation } = control.current();
    const { pending, reasons } = await commit(setGateway("192.0.2.99"), {
      author: { user: "ada", source: "203.0.113.7" },
    });
    t.equal(pending?.generation, generation + 1, "nobody asked for a confirmation");
    t.match(reasons, ["the interface nic0 is used for management", "the IPv4 default gateway changes"]);
    t.same(await gateways(), ["192.0.2.99"]);
    seconds += 5 * 60;
    await until("the old gateway", 15_000, async () => (await gateways())[0] === "192.0.2.200");
    await until("the end", 15_000, async () => control.pending() === undefined);
    t.equal(control.current().configuration.interfaces.nic0?.ipv4.gateway, "192.0.2.200");
  });

  await t.test("they hear of it again when a link has its carrier back", async (t) => {
    const claim = async (address: string) => {
      await observer(`ip neigh replace ${address} lladdr 02:00:00:00:00:99 dev eth0 nud stale`);
      t.equal(await seenBy(address), "02:00:00:00:00:99");
    };
    for (const each of ["192.0.2.20", "2001:db8::20"]) await claim(each);
    await announceArrival(machine, "nic0");
    for (const each of ["192.0.2.20", "2001:db8::20"])
      await until(`${each} at the box`, 2_000, async () => (await seenBy(each)) === boxMac);
  });
}

/** A run that does for networkctl(1) what systemd-networkd would: addresses of the files in /run come and go. */
function simulateNetworkd(root: string): Run {
  const given = new Map<string, string[]>();
  const settle = async () => {
    const directory = join(root, "run/systemd/network");
    const files = (await fs.readdir(directory).catch(() => [])).filter((file) => file.endsWith(".network"));
    const wanted = new Map<string, string>();
    for (const file of files) {
      const text = await fs.readFile(join(directory, file), "utf8");
      wanted.set(/^Name=(.*)$/m.exec(text)?.[1] ?? "", text);
    }
    for (const [name, before] of given) {
      const now = addressesOf(wanted.get(name) ?? "");
      for (const each of before) if (!now.includes(each)) await run(["ip", "address", "del", each, "dev", name]);
    }
    for (const [name, text] of wanted) {
      await run(["ip", "link", "set", name, "up"]);
      for (const section of text.split("[Address]").slice(1)) {
        const [address = ""] = addressesOf(section);
        const nodad = section.includes("DuplicateAddressDetection=none") ? ["nodad"] : [];
        if (!given.get(name)?.includes(address))
          await run(["ip", "address", "add", address, "dev", name, ...nodad], { accept: [0, 2] });
      }
    }
    for (const [name, text] of wanted)
      for (const [, gateway = ""] of text.matchAll(/^Gateway=(.*)$/gm))
        await run(["ip", "route", "replace", "default", "via", gateway, "dev", name]);
    given.clear();
    for (const [name, text] of wanted) given.set(name, addressesOf(text));
  };
  return async (argv, options) => {
    if (argv[0] !== "networkctl") return await run(argv, options);
    await settle();
    return { code: 0, stdout: "", stderr: "" };
  };
}

type Inside = (words: string) => Promise<{ stdout: string }>;

/** nic0 at the switch, nic1 at nothing; a peer and an observer with their eth0 at the switch. */
async function connectHosts() {
  const hold = async (): Promise<{ inside: Inside; pid: number }> => {
    const child = spawn("unshare", ["--net", "sleep", "600"], { stdio: "ignore" });
    t.teardown(() => child.kill("SIGKILL"));
    const pid = child.pid ?? 0;
    const own = await fs.readlink("/proc/self/ns/net");
    await until("a namespace", 10_000, async () => (await fs.readlink(`/proc/${pid}/ns/net`)) !== own);
    return { pid, inside: (words) => run(["nsenter", `--net=/proc/${pid}/ns/net`, ...words.split(" ")]) };
  };
  const [lan, peer, observer] = await Promise.all([hold(), hold(), hold()]);
  await lan.inside("ip link add lan type bridge");
  await lan.inside("ip link set lan up");
  await run(["ip", "link", "add", "nic0", "type", "veth", "peer", "name", "port0", "netns", String(lan.pid)]);
  await lan.inside("ip link set port0 master lan up");
  for (const [at, { inside, pid }] of [peer, observer].entries()) {
    await lan.inside(`ip link add port1${at} type veth peer name eth0 netns ${pid}`);
    await lan.inside(`ip link set port1${at} master lan up`);
    await inside("ip link set eth0 up");
  }
  await observer.inside("ip addr add 192.0.2.200/24 dev eth0");
  await observer.inside("ip addr add 2001:db8::200/64 dev eth0 nodad");
  await run(["ip", "link", "set", "nic0", "up"]);
  await run(["ip", "link", "add", "nic1", "type", "veth", "peer", "name", "far1"]);
  const macOf = async (name: string, inside: Inside = (words) => run(words.split(" ") as [string, ...string[]])) =>
    /link\/ether (\S+)/.exec((await inside(`ip -o link show ${name}`)).stdout)?.[1];
  return { inSwitch: lan.inside, switchPid: lan.pid, peer: peer.inside, observer: observer.inside, macOf };
}
