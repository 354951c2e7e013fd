import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type BootClock, makeBootClock } from "./boot-clock.ts";
import { type ReadCardStates, readCardStates } from "./card-settings.ts";
import { type ReadLinkModes, readLinkModes } from "./ethtool.ts";
import { type FollowLinks, followLinks } from "./link-events.ts";
import { makeNetlink, type Netlink } from "./netlink.ts";
import { type Run, run } from "./process.ts";
import { type ReadRulesGeneration, readRulesGeneration } from "./rules-generation.ts";
import { type Systemd, systemctl } from "./systemd.ts";

export type Logger = {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
};

/**
 * All that the agent knows of the machine it runs on, injected so that tests give it a root of their own, a clock they turn
 * and a network namespace instead of the box.
 */
export type Machine = {
  /** Absolute path of a file of the box below the injected root: `path("/config/current")`. */
  path(absolute: string): string;
  now(): Date;
  bootClock: BootClock;
  randomBytes(size: number): Buffer;
  run: Run;
  systemd: Systemd;
  netlink: Netlink;
  followLinks: FollowLinks;
  readLinkModes: ReadLinkModes;
  readCardStates: ReadCardStates;
  readRulesGeneration: ReadRulesGeneration;
  log: Logger;
};

/**
 * State that lasts as long as a machine, made when it is first asked for. It is the same for a copy that only asks otherwise, such as one
 * that counts its questions: what the two have in common is the kernel they look at.
 */
export function keepFor<State>(make: () => State): (machine: Machine) => State {
  const kept = new WeakMap<Netlink, State>();
  return ({ netlink }) => {
    const state = kept.get(netlink) ?? make();
    kept.set(netlink, state);
    return state;
  };
}

/** journald reads the priority prefix of sd-daemon(3) from standard error. */
const journal: Logger = {
  info: (message) => process.stderr.write(`<6>${message}\n`),
  warn: (message) => process.stderr.write(`<4>${message}\n`),
  error: (message) => process.stderr.write(`<3>${message}\n`),
};

/** The machine as it is, or the parts a test replaces. */
export function makeMachine(options: Partial<Omit<Machine, "path">> & { root?: string } = {}): Machine {
  const { root = "/", ...parts } = options;
  const runner = parts.run ?? run;
  return {
    path: (absolute) => join(root, absolute),
    now: () => new Date(),
    bootClock: makeBootClock(),
    randomBytes,
    run: runner,
    systemd: systemctl(runner),
    netlink: makeNetlink(),
    followLinks,
    readLinkModes,
    readCardStates,
    // Who answers for nft has rules of another kernel than the one that would be asked for their generation.
    readRulesGeneration: parts.run ? async () => undefined : readRulesGeneration,
    log: journal,
    ...parts,
  };
}
