import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Machine, makeMachine } from "../src/adapters/machine.ts";
import { loadRules } from "../src/adapters/nft.ts";
import { run } from "../src/adapters/process.ts";
import { makeControl } from "../src/commit/commit.ts";
import type { ConfigurationControl } from "../src/commit/control.ts";
import { defineSubsystem, type Subsystem } from "../src/commit/subsystem.ts";
import { type Configuration, configuration, emptyConfiguration } from "../src/configuration/schema.ts";
import { openStore } from "../src/configuration/store.ts";
import {
  addAddresses,
  applySettings,
  edited,
  type NftlbUnit,
  overlay,
  type Peer,
  simulateUnit,
  startPeer,
  until,
} from "./lab.ts";

/**
 * A box with two ways to the world. Each router forwards only what can come from its side (strict reverse path filter), so an
 * answer that takes the other way is lost.
 *
 *     lan, b1 10.50.0.11, .12        wan1 10.1.0.2 -- router1 10.1.0.1 -- 10.11.0.0/24 --\
 *             |                   /                                                      world 203.0.113.2
 *     lan0 10.50.0.1 -- the box --   wan2 10.2.0.2 -- router2 10.2.0.1 -- 10.12.0.0/24 --/
 *
 * The same in IPv6: fd50::, fd01::, fd02::, fd11::, fd12::, 2001:db8:113::2.
 */
export type UplinksLab = {
  machine: Machine;
  nftlb: NftlbUnit;
  /** The other end of both ways, at 203.0.113.2: client of the farms, server to the hosts inside. */
  world: Peer;
  /** Hosts inside. */
  lan: Peer;
  backend: Peer;
  /** Runs ip in a router, or in the world. */
  inside(where: "router1" | "router2" | "world", words: string): Promise<string>;
  control: ConfigurationControl;
  apply(change: (draft: Configuration) => void): Promise<string[]>;
  /** What the agent logged. */
  lines: LogLine[];
  close(): Promise<void>;
};

/** Milliseconds of performance.now(). */
export type LogLine = { time: number; text: string };

export async function buildUplinksLab(
  subsystems: (lab: { machine: Machine }) => readonly Subsystem[],
): Promise<UplinksLab> {
  const root = await fs.mkdtemp(join(tmpdir(), "steelyard-uplinks-"));
  const base = "usr/lib/steelyard/nft/base.nft";
  await fs.mkdir(join(root, dirname(base)), { recursive: true });
  await fs.copyFile(join(overlay, base), join(root, base));
  const lines: LogLine[] = [];
  const note = (text: string) => void lines.push({ time: performance.now(), text });
  const log = { info: note, warn: note, error: (message: string) => process.stderr.write(`${message}\n`) };
  await nameLabels();
  const nftlb = simulateUnit(root);
  const machine = makeMachine({ root, systemd: nftlb, log });
  await run(["ip", "link", "set", "lo", "up"]);
  await applySettings();
  await loadRules(machine, readFileSync(join(root, base), "utf8"));

  const holders: ChildProcess[] = [];
  const hold = async (): Promise<number> => {
    const child = spawn("unshare", ["--net", "sleep", "600"], { stdio: "ignore" });
    holders.push(child);
    const pid = child.pid ?? 0;
    const own = await fs.readlink("/proc/self/ns/net");
    await until("a namespace", 10_000, async () => (await fs.readlink(`/proc/${pid}/ns/net`)) !== own);
    return pid;
  };
  const [world, lan, backend] = await Promise.all([startPeer(), startPeer(), startPeer()]);
  const pids = { router1: await hold(), router2: await hold(), world: world.pid };
  const enter = (pid: number) => ["nsenter", `--net=/proc/${pid}/ns/net`] as const;
  const within = async (pid: number, words: string) => (await run([...enter(pid), ...words.split(" ")])).stdout;
  const batch = async (pid: number, lines: string[]) => {
    for (const line of lines) await within(pid, `ip ${line}`);
  };

  for (const number of [1, 2] as const) {
    const pid = pids[`router${number}`];
    await run(["ip", "link", "add", `wan${number}`, "type", "veth", "peer", "name", "box", "netns", String(pid)]);
    await addAddresses(`wan${number}`, [`10.${number}.0.2/24`, `fd0${number}::2/64`]);
    await within(pid, `ip link add far type veth peer name r${number} netns ${world.pid}`);
    await batch(pid, [
      "link set lo up",
      "link set box up",
      "link set far up",
      `address add 10.${number}.0.1/24 dev box`,
      `address add fd0${number}::1/64 dev box nodad`,
      `address add 10.1${number}.0.1/24 dev far`,
      `address add fd1${number}::1/64 dev far nodad`,
      `route add 203.0.113.2 via 10.1${number}.0.2`,
      `route add 2001:db8:113::2 via fd1${number}::2`,
    ]);
    for (const setting of [
      "ipv4.ip_forward=1",
      "ipv6.conf.all.forwarding=1",
      "ipv4.conf.all.rp_filter=1",
      "ipv4.conf.box.rp_filter=1",
    ])
      await within(pid, `sysctl -qw net.${setting}`);
    await batch(world.pid, [
      `link set r${number} up`,
      `address add 10.1${number}.0.2/24 dev r${number}`,
      `address add fd1${number}::2/64 dev r${number} nodad`,
      `route add 10.${number}.0.0/24 via 10.1${number}.0.1`,
      `route add fd0${number}::/64 via fd1${number}::1`,
    ]);
  }
  await batch(world.pid, [
    "link set lo up",
    "address add 203.0.113.2/32 dev lo",
    "address add 2001:db8:113::2/128 dev lo",
  ]);
  await run(["ip", "link", "add", "lan0", "type", "bridge"]);
  await addAddresses("lan0", ["10.50.0.1/24", "fd50::1/64"]);
  for (const [at, peer] of [lan, backend].entries()) {
    await run(["ip", "link", "add", `port${at}`, "type", "veth", "peer", "name", "eth0", "netns", String(peer.pid)]);
    await run(["ip", "link", "set", `port${at}`, "master", "lan0", "up"]);
    await batch(peer.pid, [
      "link set lo up",
      "link set eth0 up",
      `address add 10.50.0.1${at + 1}/24 dev eth0`,
      `address add fd50::1${at + 1}/64 dev eth0 nodad`,
      "route add default via 10.50.0.1",
      "route add default via fd50::1",
    ]);
  }
  // A router asks for its neighbours from a link-local address, and not at all while the kernel still looks whether another host has that.
  await until("addresses that can be used", 15_000, async () => {
    const everywhere = [process.pid, lan.pid, backend.pid, ...Object.values(pids)];
    const open = await Promise.all(everywhere.map((pid) => within(pid, "ip -6 address show tentative")));
    return open.every((text) => text.trim() === "");
  });
  await backend.ask({ ask: "serve", name: "b1", tcp: [80], udp: [53] });
  await world.ask({ ask: "serve", name: "world", tcp: [80, 8080], udp: [53] });

  const store = await openStore(machine.path("/config"), machine.log);
  const control = makeControl(store, [settled, ...subsystems({ machine })], machine);
  const apply = async (change: (draft: Configuration) => void) => {
    const result = await control.commit({
      author: { user: "test", source: "local" },
      message: "test",
      change: edited(change),
    });
    return result.steps.map(({ summary }) => summary);
  };
  const close = async () => {
    for (const peer of [world, lan, backend]) peer.end();
    for (const child of holders) child.kill("SIGKILL");
    await nftlb.stop("");
    await fs.rm(root, { recursive: true, force: true });
  };
  const inside: UplinksLab["inside"] = async (where, words) => await within(pids[where], `ip ${words}`);
  return { machine, nftlb, world, lan, backend, inside, control, apply, lines, close };
}

/** The image's names of connection labels, where conntrack(8) looks for them; in our mount namespace alone. */
async function nameLabels(): Promise<void> {
  const scratch = await fs.mkdtemp(join(tmpdir(), "steelyard-etc-"));
  await run(["mount", "-t", "tmpfs", "tmpfs", scratch]);
  for (const name of ["upper", "work"]) await fs.mkdir(join(scratch, name));
  const options = `lowerdir=/etc,upperdir=${join(scratch, "upper")},workdir=${join(scratch, "work")}`;
  await run(["mount", "-t", "overlay", "overlay", "-o", options, "/etc"]);
  await fs.mkdir("/etc/xtables", { recursive: true });
  await fs.copyFile(join(overlay, "etc/xtables/connlabel.conf"), "/etc/xtables/connlabel.conf");
}

/** The addresses are there already: networkd does not run in the namespace. */
const settled = defineSubsystem<object, never>({
  name: "network",
  dependsOn: [],
  verify: () => [],
  render: () => ({}),
  observe: async () => ({}),
  plan: () => [],
  executors: {},
});

/** The interfaces of the lab; `wan1` has the default gateway. */
export function labConfiguration(): Configuration {
  const interfaces = {
    lan0: {
      ipv4: { method: "static", addresses: ["10.50.0.1/24"] },
      ipv6: { method: "static", addresses: ["fd50::1/64"] },
    },
    wan1: {
      ipv4: { method: "static", addresses: ["10.1.0.2/24"], gateway: "10.1.0.1" },
      ipv6: { method: "static", addresses: ["fd01::2/64"], gateway: "fd01::1" },
    },
    wan2: {
      ipv4: { method: "static", addresses: ["10.2.0.2/24"], gateway: "10.2.0.1", defaultRoute: false },
      ipv6: { method: "static", addresses: ["fd02::2/64"], gateway: "fd02::1", defaultRoute: false },
    },
  };
  return configuration.parse({ ...emptyConfiguration(), interfaces });
}
