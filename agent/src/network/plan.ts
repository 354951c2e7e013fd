import type { StepBase } from "../commit/subsystem.ts";
import { addressesOf, type InterfaceArtefact, type NetworkArtefacts } from "./render.ts";

/** What must be true of the kernel when a step is done. */
export type Expectation = {
  interface: string;
  /** Addresses with prefix length that must be there, and those that must be gone. */
  present: string[];
  absent: string[];
  up: boolean;
};

/** Gives an interface a new file; networkd applies the difference and leaves the rest of the interface as it is. */
export type ConfigureStep = StepBase & {
  kind: "configure-interface";
  file: string;
  /** Addresses that come new to this interface: neighbours are told. */
  announce: string[];
  expect: Expectation;
};

/** The file is right, the kernel is not: somebody else has changed it. */
export type RepairStep = StepBase & { kind: "repair-interface"; announce: string[]; expect: Expectation };

/** The interface is no longer configured: addresses off, link down, file away. */
export type ReleaseStep = StepBase & { kind: "release-interface"; expect: Expectation };

export type NetworkStep = ConfigureStep | RepairStep | ReleaseStep;

/**
 * Steps from what is to what is wanted. An address that moves between interfaces leaves the old one first, so that no two
 * interfaces answer for it.
 */
export function planNetwork(now: NetworkArtefacts, wanted: NetworkArtefacts): NetworkStep[] {
  const released = Object.keys(now)
    .filter((name) => !Object.hasOwn(wanted, name))
    .map((name) => release(name, now[name]));
  const changed = Object.entries(wanted).flatMap(([name, artefact]): NetworkStep[] => {
    const before = Object.hasOwn(now, name) ? now[name] : undefined;
    if (before?.file !== artefact.file) return [configure(name, before, artefact)];
    return repair(name, before, artefact);
  });
  return [...released, ...changed.sort((one, other) => rank(one) - rank(other))];
}

function rank(step: NetworkStep): number {
  return step.expect.absent.length > 0 ? 0 : 1;
}

function release(name: string, before: InterfaceArtefact | undefined): ReleaseStep {
  const absent = before ? addressesOf(before.file) : [];
  return {
    kind: "release-interface",
    summary: `release interface ${name}`,
    expect: { interface: name, present: [], absent, up: false },
  };
}

function configure(name: string, before: InterfaceArtefact | undefined, wanted: InterfaceArtefact): ConfigureStep {
  const present = wanted.addresses;
  const absent = before ? addressesOf(before.file).filter((each) => !present.includes(each)) : [];
  const announce = present.filter((each) => !before?.addresses.includes(each));
  const changes = [...announce.map((each) => `+${each}`), ...absent.map((each) => `-${each}`)];
  const details = changes.length > 0 ? ` (${changes.join(" ")})` : "";
  return {
    kind: "configure-interface",
    summary: `${before ? "change" : "set up"} interface ${name}${details}`,
    file: wanted.file,
    announce,
    expect: { interface: name, present, absent, up: wanted.up },
  };
}

function repair(name: string, now: InterfaceArtefact, wanted: InterfaceArtefact): RepairStep[] {
  // A card that is not there is repaired by the hand that plugs it in.
  if (now.seen?.present === false) return [];
  const missing = wanted.addresses.filter((each) => !now.addresses.includes(each));
  // Without carrier the kernel may drop a gateway and nothing can bring it back.
  const lost = now.seen?.carrier === false ? [] : wanted.gateways.filter((each) => !now.gateways.includes(each));
  const turned = now.up !== wanted.up;
  if (missing.length === 0 && lost.length === 0 && !turned) return [];
  const state = wanted.up ? "up" : "down";
  const reasons = [
    ...missing.map((each) => `${each} is gone`),
    ...lost.map((each) => `gateway ${each} is gone`),
    ...(turned ? [`it is not ${state}`] : []),
  ];
  return [
    {
      kind: "repair-interface",
      summary: `repair interface ${name}: ${reasons.join(", ")}`,
      announce: missing,
      expect: { interface: name, present: wanted.addresses, absent: [], up: wanted.up },
    },
  ];
}
