import { makeFrameReader } from "../../adapters/frames.ts";
import { keepFor, type Machine } from "../../adapters/machine.ts";
import { messageOf } from "../../errors.ts";
import { type LacpPartner, lacpduLeast, lacpFilter, parseLacpdu } from "./pdu.ts";

/**
 * Listens for LACPDUs with tcpdump(8), one process for each card, since node has no packet sockets. A partner that nobody answers sends
 * every 30 seconds (slow periodic, 802.1AX 6.4.13), at first every second.
 */

/** Seconds after which a partner that was not heard again has gone: three of its longest intervals. */
const lifetime = 90;
/** Cards listened on at a time: a process takes 10 MiB. */
const greatestNumber = 16;

type Heard = { partner: LacpPartner; at: number };
const memoryOf = keepFor(() => new Map<string, Heard>());

/** Partners heard in the last while, by the name of the card. */
export function recallPartners(machine: Machine): Map<string, LacpPartner> {
  const since = machine.now().getTime() - lifetime * 1000;
  const recent = [...memoryOf(machine)].filter(([, { at }]) => at >= since);
  return new Map(recent.map(([name, { partner }]) => [name, partner]));
}

/** Listens on these cards for so many seconds, or until each was heard or the signal. Never throws. */
export async function listenForPartners(
  machine: Machine,
  names: readonly string[],
  { seconds, signal }: { seconds: number; signal?: AbortSignal },
): Promise<void> {
  if (names.length > greatestNumber)
    machine.log.info(
      `LACP: listening on ${greatestNumber} of ${names.length} cards: ${names.slice(0, greatestNumber)}`,
    );
  await Promise.all(names.slice(0, greatestNumber).map((name) => listenOn(machine, name, seconds, signal)));
}

async function listenOn(machine: Machine, name: string, seconds: number, signal?: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(seconds * 1000);
  const memory = memoryOf(machine);
  const read = makeFrameReader((frame) => {
    const partner = parseLacpdu(frame);
    if (partner) memory.set(name, { partner, at: machine.now().getTime() });
  }, lacpduLeast);
  try {
    // -Z root: the agent may not change its user. -1 is what a command ends with that was stopped.
    await machine.run(["tcpdump", "-i", name, "-Z", "root", "-nlqxx", "-s", "128", "-c", "1", lacpFilter], {
      timeout: (seconds + 10) * 1000,
      signal: signal ? AbortSignal.any([limit, signal]) : limit,
      accept: [0, -1],
      onLine: read,
    });
  } catch (error) {
    machine.log.warn(`LACP: listening on ${name}: ${messageOf(error)}`);
  }
}
