import * as fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isMissing, writeAtomically } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { forgetLinkLocal } from "../network/idle/apply.ts";
import { answersOption } from "./location.ts";

/**
 * A network for the answers alone, before there is a configuration: every card asks DHCP and listens to router
 * advertisements. It is taken back before anything is applied. The base firewall stays closed all the while.
 */

const file = "/run/systemd/network/05-steelyard-first-boot.network";
const leases = "/run/systemd/netif/leases";

/** systemd.network(5). Cards only, unless a link is named: `Kind` is that of virtual links. */
const settings = (only: string | undefined) => `# Of the first boot: taken back as soon as the answers are here.
[Match]
${only === undefined ? "Type=ether\nKind=!*" : `Name=${only}`}

[Link]
RequiredForOnline=no

[Network]
DHCP=yes
IPv6AcceptRA=yes
LinkLocalAddressing=ipv6

[DHCPv4]
ClientIdentifier=mac
SendHostname=no
VendorClassIdentifier=steelyard
RequestOptions=${answersOption}
UseHostname=no
UseNTP=no
UseMTU=no

[DHCPv6]
UseHostname=no
UseNTP=no
`;

export type TemporaryNetwork = {
  /** What the option for answers says, of the first lease that has it. */
  option: string | undefined;
};

/** Milliseconds: for the network to come, between two looks at it, and between two requests over it. */
type Patience = { network: number; interval: number; request: number };
export const usualPatience: Patience = { network: 90_000, interval: 1_000, request: 5_000 };

/**
 * Brings the network up, waits for an address beyond the link (or the option, when that is wanted) as long as it may, and
 * takes it back when `use` has ended, however it ended. `only` is the link that is asked about; left out, all cards.
 */
export async function withTemporaryNetwork<Result>(
  machine: Machine,
  wanted: { option: boolean; only?: string; signal?: AbortSignal | undefined; patience?: Patience },
  use: (network: TemporaryNetwork) => Promise<Result>,
): Promise<Result> {
  const { patience = usualPatience, only, signal } = wanted;
  const before = await machine.netlink.links();
  await writeAtomically(machine.path(file), settings(only));
  try {
    await machine.run(["networkctl", "reload"]);
    const deadline = machine.bootClock.seconds() + patience.network / 1000;
    for (;;) {
      const option = wanted.option ? await readOption(machine) : undefined;
      const ready = wanted.option ? option !== undefined : await hasAddress(machine, only);
      if (ready || signal?.aborted || machine.bootClock.seconds() > deadline) return await use({ option });
      await sleep(patience.interval);
    }
  } finally {
    await fs.rm(machine.path(file), { force: true });
    await machine.run(["networkctl", "reload"]);
    // networkd drops what it leased, and the link-local address; what the kernel made of it by itself goes too.
    for (const { name, up, loopback, kind } of before) {
      if (loopback || kind !== undefined) continue;
      await machine.run(["ip", "address", "flush", "dev", name, "scope", "global"], { accept: [0, 1, 2] });
      // A card that stays up is to make a link-local address anew for its configuration, or it hears no router: see forgetLinkLocal.
      if (up) await forgetLinkLocal(machine, name);
      else await machine.run(["ip", "link", "set", "dev", name, "down"], { accept: [0, 1, 2] });
    }
  }
}

async function hasAddress(machine: Machine, only: string | undefined): Promise<boolean> {
  const [links, addresses] = await Promise.all([machine.netlink.links(), machine.netlink.addresses()]);
  const wanted = links.find(({ name }) => name === only)?.index;
  return addresses.some(
    ({ index, scope, tentative }) => scope === "global" && !tentative && (only === undefined || index === wanted),
  );
}

/** networkd keeps options for use by a site in the file of each lease, as `OPTION_224=` in hexadecimal. */
async function readOption(machine: Machine): Promise<string | undefined> {
  try {
    const directory = machine.path(leases);
    for (const name of (await fs.readdir(directory)).sort()) {
      const text = await fs.readFile(`${directory}/${name}`, "utf8");
      const found = new RegExp(`^OPTION_${answersOption}=([0-9a-fA-F]+)$`, "m").exec(text)?.[1];
      // Some servers send the closing NUL of the string along.
      if (found !== undefined) return Buffer.from(found, "hex").toString("utf8").replace(/\0+$/, "");
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  return undefined;
}
