import { setTimeout as sleep } from "node:timers/promises";
import { sendFrames } from "../../adapters/frames.ts";
import type { Machine } from "../../adapters/machine.ts";
import { splitPrefixed } from "../../configuration/fields.ts";
import { messageOf } from "../../errors.ts";
import { hasNeighbours } from "./ask.ts";
import { makeAnnouncements, parseMac } from "./packets.ts";

/** A frame can be lost, and a switch port may still be learning: told three times (RFC 4861, 10; RFC 5227 wants two). */
const repetitions = 2;
/** Milliseconds. */
const pause = 1_000;

/**
 * Tells the neighbours on an interface that we have these addresses, given with their prefix length: at once, and again in the
 * background as long as they are there. Nothing on an interface without carrier. An announcement that fails is logged: the
 * address works, and neighbours learn it when they ask.
 */
export async function announceAddresses(machine: Machine, name: string, prefixed: readonly string[]): Promise<void> {
  if (prefixed.length === 0 || !(await announceOnce(machine, name, prefixed))) return;
  void repeat(machine, name, prefixed);
}

async function repeat(machine: Machine, name: string, prefixed: readonly string[]): Promise<void> {
  for (let time = 0; time < repetitions; time++) {
    await sleep(pause, undefined, { ref: false });
    if (!(await announceOnce(machine, name, prefixed))) return;
  }
}

/** False when there is nothing more to tell: no carrier, or the addresses have gone on to another interface or host. */
async function announceOnce(machine: Machine, name: string, prefixed: readonly string[]): Promise<boolean> {
  try {
    const link = (await machine.netlink.links()).find((each) => each.name === name);
    if (!link || !hasNeighbours(link)) return false;
    const present = (await machine.netlink.addresses()).filter(({ index }) => index === link.index);
    const held = prefixed.filter((each) => present.some(({ address, dadFailed }) => address === each && !dadFailed));
    const mac = parseMac(link.mac ?? "");
    const frames = held.flatMap((each) => makeAnnouncements(mac, splitPrefixed(each).address));
    for (const length of new Set(frames.map((frame) => frame.length)))
      await sendFrames(
        machine,
        name,
        frames.filter((frame) => frame.length === length),
      );
    return held.length > 0;
  } catch (error) {
    machine.log.warn(`announcing ${prefixed.join(", ")} on ${name}: ${messageOf(error)}`);
    return false;
  }
}
