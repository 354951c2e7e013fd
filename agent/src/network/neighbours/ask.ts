import { setTimeout as sleep } from "node:timers/promises";
import { captureFrames, sendFrames } from "../../adapters/frames.ts";
import type { Machine } from "../../adapters/machine.ts";
import type { Link } from "../../adapters/netlink.ts";
import { addressFamily } from "../../configuration/fields.ts";
import { messageOf } from "../../errors.ts";
import { advertisementLeast, answerFilter, arpLeast, makeProbe, parseMac, readClaim } from "./packets.ts";

/** An address on an interface; without its prefix length. */
export type Place = { interface: string; address: string };
/** Another host that has it. */
export type Holder = Place & { mac: string };

export function describeHolder({ address, interface: name, mac }: Holder): string {
  return `another host has ${address}: ${mac} answers on ${name}`;
}

/** Each address is asked for so often, with so many milliseconds after each. A host that is there answers within a few. */
const rounds = 3;
const patience = 300;
/** Milliseconds until tcpdump has to listen; an emulated machine under load takes seconds. */
const start = 8_000;
/** Interfaces asked on at a time: each takes a process of 10 MiB. */
const greatestNumber = 16;

/**
 * Asks on each interface whether another host has the addresses, all at once: about a second for any number of them. An interface
 * that is not there, has no carrier or knows no neighbours is not asked on. Never throws: what cannot be asked is logged.
 */
export async function findHolders(machine: Machine, places: readonly Place[]): Promise<Holder[]> {
  if (places.length === 0) return [];
  const links = await machine.netlink.links();
  const own = new Set(links.flatMap(({ mac }) => mac ?? []));
  const names = [...new Set(places.map((place) => place.interface))];
  const able = names.flatMap((name) => links.find((link) => link.name === name && hasNeighbours(link)) ?? []);
  const found: Holder[] = [];
  while (able.length > 0) {
    const turn = able.splice(0, greatestNumber).map(async (link) => {
      const addresses = places.filter((place) => place.interface === link.name).map(({ address }) => address);
      return await askOn(machine, link, addresses, own);
    });
    found.push(...(await Promise.all(turn)).flat());
  }
  return found;
}

export function hasNeighbours({ carrier, up, ethernet, loopback, kind }: Link): boolean {
  return up && carrier && ethernet && !loopback && kind !== "dummy" && kind !== "vrf";
}

async function askOn(
  machine: Machine,
  { name, mac = "" }: Link,
  addresses: readonly string[],
  own: ReadonlySet<string>,
): Promise<Holder[]> {
  const open = new Set(addresses);
  const found = new Map<string, string>();
  const stop = new AbortController();
  const limit = AbortSignal.timeout(start + rounds * patience);
  const onFrame = (frame: Buffer) => {
    const claim = readClaim(frame);
    // What comes back over a loop, or from another interface of ours in the same network, is us.
    if (!claim || own.has(claim.mac) || !open.delete(claim.address)) return;
    found.set(claim.address, claim.mac);
    if (open.size === 0) stop.abort();
  };
  try {
    let begin: (() => void) | undefined;
    const ready = new Promise<void>((resolve) => (begin = resolve));
    const capture = captureFrames(machine, name, {
      ...{ filter: answerFilter, least: [arpLeast, advertisementLeast], onFrame, onReady: () => begin?.() },
      signal: AbortSignal.any([stop.signal, limit]),
    });
    // Or it ends before it has begun.
    const hears = await Promise.race([ready.then(() => true), capture.then(() => false)]);
    try {
      for (let round = 0; hears && round < rounds && !stop.signal.aborted; round++) {
        const probes = [...open].map((address) => ({ address, frame: makeProbe(parseMac(mac), address) }));
        for (const family of ["ipv4", "ipv6"]) {
          const frames = probes.filter(({ address }) => addressFamily(address) === family).map(({ frame }) => frame);
          await sendFrames(machine, name, frames);
        }
        await sleep(patience, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    } finally {
      stop.abort();
    }
    await capture;
  } catch (error) {
    machine.log.warn(`asking on ${name} who has ${addresses.join(", ")}: ${messageOf(error)}`);
  }
  return [...found].map(([address, holder]) => ({ interface: name, address, mac: holder }));
}
