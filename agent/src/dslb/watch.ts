import { setTimeout as sleep } from "node:timers/promises";
import { deleteLabelled } from "../adapters/conntrack.ts";
import type { Machine } from "../adapters/machine.ts";
import { probe } from "../adapters/probe.ts";
import { departureLabel, probePorts, slotShift } from "../adapters/route-numbers.ts";
import { readSlots } from "../adapters/route-slots.ts";
import type { ConfigurationControl } from "../commit/control.ts";
import type { Subsystem } from "../commit/subsystem.ts";
import { addressFamily, splitPrefixed } from "../configuration/fields.ts";
import type { Configuration } from "../configuration/schema.ts";
import { messageOf } from "../errors.ts";
import { judge, startHealth } from "../health/verdict.ts";
import { type Memory, slotOfUplink, type UplinkMemory, uplinkKey } from "./document.ts";
import { placeFarms } from "./plan.ts";
import { renderUplinks } from "./render.ts";
import type { Uplink, UplinkFarm } from "./schema.ts";
import { observeUplinks, readMemory, writeMemory } from "./status.ts";

/** Milliseconds between two looks at what is due. */
const tick = 50;

type Control = Pick<ConfigurationControl, "current">;
type Target = { key: string; farmName: string; uplinkName: string; farm: UplinkFarm; uplink: Uplink };

export type UplinksWatch = {
  /** Lets an uplink be used again that waits for its return. False when it does not wait. */
  giveBack(farm: string, uplink: string): Promise<boolean>;
  /** Runs until the signal. Never throws. */
  run(signal: AbortSignal): Promise<void>;
};

/**
 * Probes every uplink beyond its gateway, and carries a verdict out at once: the group of nexthops is replaced and the
 * connections of the uplink are cut, without a commit, since the configuration has not changed. What fails is tried again with
 * the next look of the watch of the data plane, which compares the kernel with the same verdicts.
 */
export function makeUplinksWatch(machine: Machine, control: Control, subsystem: Subsystem): UplinksWatch {
  let memory: Memory | undefined;
  let applying = Promise.resolve();
  let writing = Promise.resolve();
  const due = new Map<string, number>();
  const running = new Set<string>();
  const ports = new Map<string, number>();

  const known = async (): Promise<Memory> => {
    memory ??= await readMemory(machine);
    return memory;
  };

  /** Written one after another, each time what is known by then: of two at once, the older could come last. */
  const keep = (): Promise<void> => {
    writing = writing
      .catch(() => undefined)
      .then(async () => {
        if (memory) await writeMemory(machine, memory);
      });
    return writing;
  };

  /** One after another: two at once would plan from the same state. */
  const carryOut = (): Promise<void> => {
    applying = applying.then(async () => {
      try {
        for (const step of await subsystem.plan(control.current().configuration, machine)) {
          await step.execute();
          machine.log.info(step.summary);
        }
      } catch (error) {
        machine.log.error(`uplinks: ${messageOf(error)}`);
      }
    });
    return applying;
  };

  const round = async (target: Target): Promise<void> => {
    const { key, farm } = target;
    const now = () => machine.now().getTime();
    const failures = await askAll(target);
    const all = await known();
    const before: UplinkMemory = all[key] ?? { health: startHealth(now()), waiting: false, failures: [] };
    const succeeded = farm.need === "all" ? failures.length === 0 : failures.length < targetsOf(target).length;
    const health = judge(before.health, succeeded, now(), farm);
    let waiting = before.waiting && health.verdict === "up";
    if (health.verdict === "up" && before.health.verdict === "down") waiting = farm.return !== "immediately";
    if (waiting && farm.return === "immediately") waiting = false;
    if (waiting && farm.return === "after-hold" && now() - health.since >= farm.hold * 1_000) waiting = false;
    const after = { health, waiting, failures };
    const isFirst = !(key in all);
    all[key] = after;
    const turned = health.verdict !== before.health.verdict || waiting !== before.waiting;
    if (turned || JSON.stringify(before.failures) !== JSON.stringify(failures) || isFirst) await keep();
    if (!turned) return;
    const words =
      health.verdict === "down"
        ? `is down: ${failures.join(", ")}`
        : waiting
          ? "is up and waits for its return"
          : "is up";
    machine.log.warn(`uplink ${key} ${words}`);
    await carryOut();
    if (health.verdict === "down") await endConnections(target);
  };

  /**
   * The plan cuts what a used uplink leaves behind when it dies. One that lost its link is out of use at once, and its connections are
   * left alone, for a cable may be back in a moment: they end here, with the verdict. One that is used all the same, for there is none better, keeps them.
   */
  const endConnections = async ({ farmName, uplinkName }: Target): Promise<void> => {
    const { placed } = placeFarms(renderUplinks(control.current().configuration), await observeUplinks(machine));
    const farm = placed.find(({ name }) => name === farmName);
    const slot = farm?.uplinks.find(({ name }) => name === uplinkName)?.slot;
    if (slot === undefined || farm?.states.get(uplinkName) === "used") return;
    await deleteLabelled(machine, departureLabel(slot));
  };

  /** What did not answer, in words. */
  const askAll = async (target: Target): Promise<string[]> => {
    const { farm, uplink, farmName, uplinkName, key } = target;
    const slot = (await readSlots(machine))[slotOfUplink(farmName, uplinkName)];
    const localAddress = await findAddress(uplink);
    if (slot === undefined || localAddress === undefined)
      return targetsOf(target).map(([name]) => `${name}: ${uplink.interface} has no address`);
    const { first, last } = probePorts(slot);
    const failures = await Promise.all(
      targetsOf(target).map(async ([name, each]) => {
        const at = ports.get(key) ?? first;
        ports.set(key, at >= last ? first : at + 1);
        const way = { localAddress, localPort: at, mark: slot << slotShift, interface: uplink.interface };
        const failure = await probe(machine, each, way, farm.timeout * 1_000).catch(messageOf);
        return failure === undefined ? [] : [`${name}: ${failure}`];
      }),
    );
    return failures.flat();
  };

  const findAddress = async ({ interface: device, gateway }: Uplink): Promise<string | undefined> => {
    const [links, addresses] = await Promise.all([machine.netlink.links(), machine.netlink.addresses()]);
    const index = links.find(({ name }) => name === device)?.index;
    const own = addresses.filter((each) => each.index === index && each.scope === "global" && !each.tentative);
    return own
      .map(({ address }) => splitPrefixed(address).address)
      .find((each) => addressFamily(each) === addressFamily(gateway));
  };

  /** Begins the rounds that are due. A round takes less time than the interval: verify sees to that. */
  const beginDue = (targets: readonly Target[]): void => {
    const now = performance.now();
    for (const target of targets) {
      const { key, farm } = target;
      if (running.has(key) || (due.get(key) ?? 0) > now) continue;
      due.set(key, now + farm.interval * 1_000);
      running.add(key);
      void round(target)
        .catch((error) => machine.log.error(`probing uplink ${key}: ${messageOf(error)}`))
        .finally(() => running.delete(key));
    }
  };

  return {
    async giveBack(farm, uplink) {
      const all = await known();
      const entry = all[uplinkKey(farm, uplink)];
      if (!entry?.waiting) return false;
      entry.waiting = false;
      await keep();
      await carryOut();
      return true;
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          const targets = listTargets(control.current().configuration);
          if (forgetOthers(await known(), targets)) await keep();
          beginDue(targets);
        } catch (error) {
          machine.log.error(`uplinks: ${messageOf(error)}`);
        }
        await sleep(tick, undefined, { signal, ref: false }).catch(() => undefined);
      }
      await applying;
    },
  };
}

/** Uplinks that are probed now. */
function listTargets({ uplinkFarms }: Configuration): Target[] {
  return Object.entries(uplinkFarms).flatMap(([farmName, farm]) => {
    if (!farm.enabled) return [];
    return Object.entries(farm.uplinks)
      .map(([uplinkName, uplink]) => ({ key: uplinkKey(farmName, uplinkName), farmName, uplinkName, farm, uplink }))
      .filter((target) => target.uplink.state !== "down" && targetsOf(target).length > 0);
  });
}

/** Probes of the uplink's own family. */
function targetsOf({ farm, uplink }: Pick<Target, "farm" | "uplink">) {
  return Object.entries(farm.probes).filter(
    ([, { address }]) => addressFamily(address) === addressFamily(uplink.gateway),
  );
}

/** An uplink that is not probed any more has no verdict: it counts as up. True when there was one. */
function forgetOthers(memory: Memory, targets: readonly Target[]): boolean {
  const keys = new Set(targets.map(({ key }) => key));
  const gone = Object.keys(memory).filter((key) => !keys.has(key));
  for (const key of gone) delete memory[key];
  return gone.length > 0;
}
