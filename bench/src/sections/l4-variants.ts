import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { backends, virtualAddresses } from "../../../qemu-tests/src/lab/plan.ts";
import type { VirtualMachine } from "../../../qemu-tests/src/vm/virtual-machine.ts";
import { copyToGuest, guestDirectory, writeGuestFile } from "../box/guest-files.ts";
import type { BenchContext } from "../context.ts";
import { renderHaproxy } from "../peers/haproxy.ts";
import { renderIpvs } from "../peers/ipvs.ts";
import { type HandFarm, renderRuleset } from "../peers/nft-rules.ts";
import { bothBackends, streamPort } from "../traffic/servers.ts";

/** One way of balancing. Every variant starts from an empty machine: no rules, no services. */
export type Variant = {
  name: string;
  /** Where wrk and iperf3 go. */
  connections: { address: string; port: number };
  stream: { address: string; port: number };
  start(machine: VirtualMachine): Promise<void>;
  stop(machine: VirtualMachine): Promise<void>;
};

const address = virtualAddresses.ipv4;

/** What Steelyard and its peers serve alike: two backends for connections, one for iperf3, whose connections belong together. */
function services(first: number, masquerade: boolean): { connections: HandFarm; stream: HandFarm } {
  const kind = masquerade ? "nat" : "dnat";
  const farm = (name: string, port: number, list: HandFarm["backends"]): HandFarm => ({
    ...{ name: `${name}-${kind}`, address, port, backends: list },
    ...(masquerade ? { masquerade } : {}),
  });
  return {
    connections: farm("connections", first, bothBackends(80)),
    stream: farm("stream", first + 1, [{ address: backends.b1.ipv4, port: streamPort }]),
  };
}

const plain = services(8000, false);
const masqueraded = services(8010, true);

/** The farms the answer file brings. */
export const boxFarms: HandFarm[] = [plain, masqueraded].flatMap(({ connections, stream }) => [connections, stream]);

const savedRules = `${guestDirectory}/steelyard.nft`;

/** Puts Steelyard's rules aside, all tables of them, and back: each peer runs as it would on a machine of its own. */
export async function saveRules(machine: VirtualMachine): Promise<void> {
  await machine.shell(`mkdir -p ${guestDirectory} && nft list ruleset > ${savedRules}`);
  const list = async () => (await machine.shell("nft list ruleset")).replace(/packets \d+ bytes \d+/g, "");
  const before = await list();
  await dropRules(machine);
  await loadRules(machine, savedRules);
  // What nft lists and what it reads back need not mean the same; then the measurement would be of other rules.
  if ((await list()) !== before) throw new Error("nft does not read back the rules it lists");
}

async function loadRules(machine: VirtualMachine, path: string): Promise<void> {
  await machine.run(["nft", "-f", path], { timeout: machine.scale(20_000) });
}

async function dropRules(machine: VirtualMachine): Promise<void> {
  await machine.run(["nft", "flush", "ruleset"], { timeout: machine.scale(20_000) });
}

function steelyard(name: string, { connections, stream }: typeof plain): Variant {
  return { name, connections, stream, start: (machine) => loadRules(machine, savedRules), stop: dropRules };
}

function handWritten(name: string, { connections, stream }: typeof plain): Variant {
  const path = `${guestDirectory}/${connections.name}.nft`;
  return {
    ...{ name, connections, stream },
    start: async (machine) => {
      await writeGuestFile(machine, path, renderRuleset([connections, stream]));
      await loadRules(machine, path);
    },
    stop: dropRules,
  };
}

/** The box as a router: what is possible at all on this machine. The client's route to the backends is the caller's. */
const routing: Variant = {
  name: "plain routing, no balancing",
  connections: { address: backends.b1.ipv4, port: 80 },
  stream: { address: backends.b1.ipv4, port: streamPort },
  start: async () => {},
  stop: async () => {},
};

const haproxyUnit = "bench-haproxy";

function haproxy(threads: number): Variant {
  const { connections, stream } = plain;
  const path = `${guestDirectory}/haproxy.cfg`;
  return {
    ...{ name: "HAProxy, TCP mode", connections, stream },
    start: async (machine) => {
      await writeGuestFile(machine, path, renderHaproxy([connections, stream], threads));
      await machine.run(["haproxy", "-c", "-q", "-f", path], { timeout: machine.scale(20_000) });
      const limits = "--property=LimitNOFILE=65536";
      await machine.run(
        ["systemd-run", "--quiet", "--collect", `--unit=${haproxyUnit}`, limits, "haproxy", "-db", "-f", path],
        { timeout: machine.scale(20_000) },
      );
      await machine.shell(
        `for i in $(seq 100); do ss -ltn | grep -q ':${stream.port} ' && exit 0; sleep 0.1; done; exit 1`,
      );
    },
    stop: async (machine) => {
      await machine.run(["systemctl", "stop", haproxyUnit], { timeout: machine.scale(20_000), accept: [0, 5] });
    },
  };
}

/** IPVS is in the image's kernel, its program is not: that comes from its package, unpacked on the host. */
export async function prepareIpvs(context: BenchContext, machine: VirtualMachine): Promise<Variant> {
  const { ipvsadm } = context;
  if ("reason" in ipvsadm) throw new Error(ipvsadm.reason);
  await machine.run(["modprobe", "-a", "ip_vs", "ip_vs_rr"]);
  const libraries = join(ipvsadm.root, "usr/lib/x86_64-linux-gnu");
  for (const name of await readdir(libraries))
    if (/^lib(nl-|popt)[^/]*\.so\.\d+$/.test(name))
      await copyToGuest(machine, join(libraries, name), `${guestDirectory}/lib/${name}`, "0644");
  const program = `${guestDirectory}/ipvsadm`;
  await copyToGuest(machine, join(ipvsadm.root, "usr/sbin/ipvsadm"), program, "0755");
  const rules = `${guestDirectory}/ipvs.rules`;
  await writeGuestFile(machine, rules, renderIpvs([plain.connections, plain.stream]));
  const call = `LD_LIBRARY_PATH=${guestDirectory}/lib ${program}`;
  return {
    name: "IPVS, NAT (ip_vs, no connection tracking)",
    connections: plain.connections,
    stream: plain.stream,
    start: async (guest) => {
      await guest.shell(`${call} --restore < ${rules}`);
    },
    stop: async (guest) => {
      await guest.shell(`${call} --clear`);
    },
  };
}

/** All variants that need nothing from elsewhere, with hand-written rules first: they are what ratios are made to. */
export function variants(threads: number): Variant[] {
  return [
    handWritten("nft by hand, dnat", plain),
    steelyard("Steelyard farm, dnat", plain),
    handWritten("nft by hand, masquerade", masqueraded),
    steelyard("Steelyard farm, nat", masqueraded),
    haproxy(threads),
    routing,
  ];
}
