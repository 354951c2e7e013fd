import * as fs from "node:fs/promises";
import { isMissing, writeAtomically } from "../../adapters/files.ts";
import { keepFor, type Machine } from "../../adapters/machine.ts";
import type { Executors } from "../../commit/subsystem.ts";
import { messageOf } from "../../errors.ts";
import type { IdleStep } from "./plan.ts";
import type { IdleArtefacts } from "./render.ts";

/** A file for each card that was raised, by its index: names change, and so do those who raise (the agent, each console). */
const directory = "/run/steelyard/raised";

const markOf = (machine: Machine, index: number) => machine.path(`${directory}/${index}`);

/** Indexes of cards that would not be raised: nothing needs them, so they fail no commit and are not tried again. */
const stubbornOf = keepFor(() => new Set<number>());

export async function observeIdle(machine: Machine): Promise<IdleArtefacts> {
  const [marks, links] = await Promise.all([listMarks(machine), machine.netlink.links()]);
  const stubborn = stubbornOf(machine);
  const cards = links
    .filter(({ index }) => !stubborn.has(index))
    .filter(
      ({ kind, ethernet, loopback, master }) => kind === undefined && ethernet && !loopback && master === undefined,
    )
    .map(({ index, name, up }) => ({ index, name, up, raised: marks.includes(String(index)) }));
  return { raise: false, used: [], cards };
}

async function listMarks(machine: Machine): Promise<string[]> {
  return await fs.readdir(machine.path(directory)).catch((error) => {
    if (isMissing(error)) return [];
    throw error;
  });
}

export const idleExecutors: Executors<IdleStep> = {
  "raise-card": async ({ card }, machine) => {
    try {
      await raiseCard(machine, card);
    } catch (error) {
      machine.log.warn(`card ${card.name}: ${messageOf(error)}`);
      stubbornOf(machine).add(card.index);
    }
  },
  "lower-card": async ({ card: { index, name } }, machine) => {
    // Exit status 1: it has just gone.
    await machine.run(["ip", "link", "set", "dev", name, "down"], { accept: [0, 1] });
    await fs.rm(markOf(machine, index), { force: true });
  },
};

/**
 * Raises a card to be looked at: link light, speed, LLDP, LACP. It gets no address, not even a link-local one, so it sends nothing by itself;
 * the file of unconfigured cards (90-steelyard-lldp.network) keeps systemd-networkd from giving it any.
 */
export async function raiseCard(machine: Machine, { index, name }: { index: number; name: string }): Promise<void> {
  await writeAtomically(markOf(machine, index), "");
  await forgetLinkLocal(machine, name);
  await machine.run(["ip", "link", "set", "dev", name, "up"]);
}

/**
 * No link-local address by the kernel from now on. On a link that is up networkd gives it back by the sysctl addr_gen_mode, which acts only when
 * it changes; and what networkd sets that way it does not see, so that it takes a later "none" for done (systemd 257). Without this an
 * address that it drops afterwards would not come again before the link goes down.
 */
export async function forgetLinkLocal(machine: Machine, name: string): Promise<void> {
  // Exit status 2: a kernel without IPv6 has no such mode.
  await machine.run(["ip", "link", "set", "dev", name, "addrgenmode", "none"], { accept: [0, 1, 2] });
}
