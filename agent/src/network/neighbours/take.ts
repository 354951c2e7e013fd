import type { Machine } from "../../adapters/machine.ts";
import type { Manner } from "../../commit/subsystem.ts";
import { splitPrefixed } from "../../configuration/fields.ts";
import { type Problem, SteelyardError } from "../../errors.ts";
import type { Expectation } from "../plan.ts";
import type { NetworkArtefacts } from "../render.ts";
import { announceAddresses } from "./announce.ts";
import { describeHolder, findHolders, type Holder, type Place } from "./ask.ts";
import { suspect } from "./conflicts.ts";

/** Taking addresses: first it is asked whether somebody has them, then the neighbours are told. */

/** Which of the addresses that the box is to have, and has nowhere yet, another host has. Changes nothing. */
export async function probeAddresses(wanted: NetworkArtefacts, machine: Machine): Promise<Problem[]> {
  const held = (await machine.netlink.addresses())
    .filter(({ dadFailed }) => !dadFailed)
    .map(({ address }) => splitPrefixed(address).address);
  const own = new Set(held);
  const asked = Object.entries(wanted).flatMap(([name, { addresses, addressPaths = {}, up }]) =>
    (up ? addresses : []).map((prefixed) => ({
      interface: name,
      address: splitPrefixed(prefixed).address,
      path: addressPaths[prefixed] ?? `interfaces.${name}`,
    })),
  );
  const fresh = asked.filter(({ address }) => !own.has(address));
  const holders = await findHolders(machine, fresh);
  return fresh.flatMap((place) => problemsAt(place, place.path, holders));
}

function problemsAt(place: Place, path: string, holders: readonly Holder[]): Problem[] {
  return holders
    .filter((each) => each.address === place.address && each.interface === place.interface)
    .map((each) => ({ path, message: describeHolder(each) }));
}

type Taking = Manner & {
  expect: Expectation;
  /** Those that the kernel's own detection has found at another host. */
  refused: readonly string[];
  /** They were asked for before they were taken: the interface had its carrier by then. */
  asked: boolean;
};

/**
 * What follows when addresses (with prefix length) have come to an interface. One that another host has throws `address-taken`, when
 * it could not be asked for before; when that is tolerated, it is a conflict to be shown.
 */
export async function takeAddresses(
  machine: Machine,
  prefixed: readonly string[],
  { expect, refused, asked, tolerant }: Taking,
): Promise<void> {
  const { interface: name, addressPaths = {} } = expect;
  const places = prefixed.map((each) => ({ interface: name, address: splitPrefixed(each).address, prefixed: each }));
  const taken = places.filter((place) => refused.includes(place.prefixed));
  if (!tolerant) {
    const holders = await findHolders(machine, asked ? taken : places);
    const problems = places.flatMap((place) => {
      const path = addressPaths[place.prefixed] ?? `interfaces.${name}`;
      const found = problemsAt(place, path, holders);
      if (found.length > 0 || !taken.includes(place)) return found;
      return [{ path, message: `another host has ${place.address}` }];
    });
    const words = problems.map(({ message }) => message).join("; ");
    if (problems.length > 0) throw new SteelyardError("address-taken", words, { problems });
  }
  await announceAddresses(
    machine,
    name,
    prefixed.filter((each) => !refused.includes(each)),
  );
  if (tolerant)
    suspect(
      machine,
      places.map(({ address }) => ({ interface: name, address })),
    );
}
