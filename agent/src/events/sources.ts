import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../adapters/machine.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import { messageOf } from "../errors.ts";
import type { EventBus } from "./bus.ts";

/** Where events come from: commits and links as they happen, states of farms by looking, statistics at an interval. */

type FarmState = { name: string; state: string; backends: readonly { name: string; effective: string }[] };
type CertificateState = { name: string; state: string };
export type Looks = {
  readFarmStates(): Promise<readonly FarmState[]>;
  readCertificateStates(): Promise<readonly CertificateState[]>;
  readStatistics(): Promise<object>;
};

/** Every event of the configuration is an event of the topic `commits`. */
export function bridgeControl(bus: EventBus, control: Pick<ConfigurationControl, "subscribe">): () => void {
  return control.subscribe(({ kind, ...data }) => bus.publish("commits", kind, data));
}

export type LookOptions = {
  signal: AbortSignal;
  log: Logger;
  /** Milliseconds between two looks at the states of farms and backends. */
  states?: number;
  statistics?: number;
};

/**
 * Looks at the machine while somebody listens, until the signal. The first look after a quiet time tells nothing: it is what
 * later ones are compared with. Never throws.
 */
export async function lookAround(
  bus: EventBus,
  looks: Looks,
  { signal, log, states = 2_000, statistics = 5_000 }: LookOptions,
): Promise<void> {
  const follow = async (interval: number, look: () => Promise<void>) => {
    let failing = false;
    while (await rest(interval, signal)) {
      try {
        await look();
        failing = false;
      } catch (error) {
        if (!failing) log.warn(`events: looking around: ${messageOf(error)}`);
        failing = true;
      }
    }
  };
  const lookAtStates = makeStateLook(bus, looks);
  await Promise.all([
    follow(states, lookAtStates),
    follow(statistics, async () => {
      if (bus.isWanted("statistics")) bus.publish("statistics", "statistics", await looks.readStatistics());
    }),
  ]);
}

/** Compares with the look before and tells what became different. */
export function makeStateLook(bus: EventBus, looks: Omit<Looks, "readStatistics">): () => Promise<void> {
  let before: Map<string, State> | undefined;
  return async () => {
    if (!bus.isWanted("states")) {
      before = undefined;
      return;
    }
    const now = new Map([
      ...listFarmStates(await looks.readFarmStates()),
      ...listCertificateStates(await looks.readCertificateStates()),
    ]);
    if (before) {
      for (const [key, { kind, about, state }] of now) {
        const was = before.get(key)?.state;
        if (was !== state)
          bus.publish("states", kind, { ...about, state, ...(was === undefined ? {} : { before: was }) });
      }
      for (const [key, { kind, about, state }] of before) {
        if (!now.has(key)) bus.publish("states", kind, { ...about, state: "gone", before: state });
      }
    }
    before = now;
  };
}

type State = { kind: string; about: Record<string, string>; state: string };

function listFarmStates(farms: readonly FarmState[]): [string, State][] {
  return farms.flatMap(({ name: farm, state, backends }): [string, State][] => [
    [`farm ${farm}`, { kind: "farm-state", about: { farm }, state }],
    ...backends.map(({ name: backend, effective }): [string, State] => [
      `backend ${farm}/${backend}`,
      { kind: "backend-state", about: { farm, backend }, state: effective },
    ]),
  ]);
}

function listCertificateStates(certificates: readonly CertificateState[]): [string, State][] {
  return certificates.map(({ name, state }) => [
    `certificate ${name}`,
    { kind: "certificate-state", about: { certificate: name }, state },
  ]);
}

/** False when the signal came. */
async function rest(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(milliseconds, undefined, { signal, ref: false });
    return true;
  } catch {
    return false;
  }
}
