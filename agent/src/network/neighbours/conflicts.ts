import { setTimeout as sleep } from "node:timers/promises";
import { keepFor, type Machine } from "../../adapters/machine.ts";
import { messageOf } from "../../errors.ts";
import { findHolders, type Holder, type Place } from "./ask.ts";

/**
 * Addresses that the box has taken although another host has them: at the start, with a link that came up later, or because
 * the operator has forced it. Looked at again until the other host has gone.
 */

/** Milliseconds between two looks at a conflict that is known. */
const interval = 30_000;

/** `since`: RFC 3339. */
export type Conflict = Holder & { since: string };
/** What is told: a conflict that was found, and one that has ended. */
export type ConflictListener = (kind: "address-conflict" | "address-conflict-ended", conflict: Conflict) => void;

type State = {
  known: Map<string, Conflict>;
  waiting: Map<string, Place>;
  listeners: Set<ConflictListener>;
  wake: (() => void) | undefined;
  running: boolean;
};

const stateOf = keepFor<State>(() => ({
  known: new Map(),
  waiting: new Map(),
  listeners: new Set(),
  wake: undefined,
  running: false,
}));

export function listConflicts(machine: Machine): Conflict[] {
  return [...stateOf(machine).known.values()];
}

/** In words, for the status of the system. */
export function describeConflicts(machine: Machine): string[] {
  return listConflicts(machine).map(
    ({ address, interface: name, mac }) => `${address} on ${name} is also the address of another host, ${mac}`,
  );
}

export function followConflicts(machine: Machine, listener: ConflictListener): void {
  stateOf(machine).listeners.add(listener);
}

/** Looks in the background whether another host has these addresses of ours. */
export function suspect(machine: Machine, places: readonly Place[]): void {
  const state = stateOf(machine);
  for (const place of places) state.waiting.set(place.address, place);
  state.wake?.();
  if (state.running || state.waiting.size === 0) return;
  state.running = true;
  void look(machine, state).finally(() => {
    state.running = false;
  });
}

async function look(machine: Machine, state: State): Promise<void> {
  try {
    while (state.waiting.size > 0 || state.known.size > 0) {
      if (state.waiting.size === 0) await rest(state);
      const places = [...new Map([...state.known, ...state.waiting]).values()];
      state.waiting.clear();
      const ours = await keepOurs(machine, places);
      const holders = await findHolders(machine, ours);
      compare(machine, state, places, holders);
    }
  } catch (error) {
    machine.log.warn(`looking for addresses that others have: ${messageOf(error)}`);
  }
}

async function rest(state: State): Promise<void> {
  const woken = new AbortController();
  state.wake = () => woken.abort();
  await sleep(interval, undefined, { ref: false, signal: woken.signal }).catch(() => undefined);
  state.wake = undefined;
}

/** Addresses that are still where they were; an address that we gave up is nobody's conflict. */
async function keepOurs(machine: Machine, places: readonly Place[]): Promise<Place[]> {
  const [links, addresses] = await Promise.all([machine.netlink.links(), machine.netlink.addresses()]);
  return places.filter(({ interface: name, address }) => {
    const index = links.find((link) => link.name === name)?.index;
    return addresses.some((each) => each.index === index && each.address.split("/")[0] === address);
  });
}

function compare(machine: Machine, state: State, places: readonly Place[], holders: readonly Holder[]): void {
  const tell = (kind: Parameters<ConflictListener>[0], conflict: Conflict) => {
    for (const listener of state.listeners) listener(kind, conflict);
  };
  for (const { address } of places) {
    const before = state.known.get(address);
    const holder = holders.find((each) => each.address === address);
    if (holder?.mac === before?.mac && holder?.interface === before?.interface) continue;
    if (before) {
      state.known.delete(address);
      machine.log.info(`${address} on ${before.interface}: ${before.mac} does not answer for it any more`);
      tell("address-conflict-ended", before);
    }
    if (!holder) continue;
    const conflict = { ...holder, since: machine.now().toISOString() };
    state.known.set(address, conflict);
    machine.log.error(`${address} on ${holder.interface} is also the address of another host, ${holder.mac}`);
    tell("address-conflict", conflict);
  }
}
