import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../adapters/machine.ts";
import { type Draft, managementOf } from "./draft.ts";

/** Milliseconds: a port of a switch, or LACP, may take that long until it lets frames pass. */
const [patience, interval] = [10_000, 250];

/**
 * Makes the bond and the VLAN that the management address is to stand on, for as long as `use` takes, and gives it the name of the upper
 * one. What it made goes, and the cards are up again by themselves, however it ended.
 */
export async function withTrialLinks<Result>(
  machine: Machine,
  draft: Draft,
  use: (name: string) => Promise<Result>,
): Promise<Result> {
  const { name, base, bond } = managementOf(draft);
  const ip = async (...argv: string[]) => await machine.run(["ip", ...argv]);
  const made: string[] = [];
  try {
    if (bond) {
      await ip("link", "add", "name", base, "type", "bond", "mode", bond.mode, "miimon", "100");
      made.push(base);
      for (const member of bond.members) {
        // The kernel takes a member only while it is down.
        await ip("link", "set", "dev", member, "down");
        await ip("link", "set", "dev", member, "master", base);
      }
    }
    await ip("link", "set", "dev", base, "up");
    if (draft.vlan !== undefined) {
      await ip("link", "add", "link", base, "name", name, "type", "vlan", "id", String(draft.vlan));
      made.push(name);
      await ip("link", "set", "dev", name, "up");
    }
    if (made.length > 0) await waitForCarrier(machine, name);
    return await use(name);
  } finally {
    const tolerant = { accept: [0, 1, 2] };
    for (const each of made.reverse()) await machine.run(["ip", "link", "delete", "dev", each], tolerant);
    for (const member of bond?.members ?? []) await machine.run(["ip", "link", "set", "dev", member, "up"], tolerant);
  }
}

async function waitForCarrier(machine: Machine, name: string): Promise<void> {
  for (let waited = 0; waited < patience; waited += interval) {
    const links = await machine.netlink.links();
    if (links.some((link) => link.name === name && link.carrier)) return;
    await sleep(interval);
  }
}
