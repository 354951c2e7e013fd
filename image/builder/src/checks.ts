import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BuildError } from "./errors.ts";
import type { Profile } from "./profile.ts";

/** What mkosi.finalize.d/90-inventory wrote down about the image. */
export type Inventory = {
  /** Names of modules, loadable and built in, with underscores. */
  modules: ReadonlySet<string>;
  /** Firmware files, below /usr/lib/firmware and without compression suffix. */
  firmware: ReadonlySet<string>;
  /** Firmware that each module names (`modinfo -F firmware`). */
  wanted: readonly { driver: string; file: string }[];
};

const normalize = (name: string) => name.replaceAll("-", "_");

/** Every way in which the image falls short of its profile; empty when it does not. */
export function findShortcomings(profile: Profile, inventory: Inventory): string[] {
  const problems: string[] = [];
  for (const driver of [...profile.nicDrivers, ...profile.storageDrivers, ...profile.otherModules])
    if (!inventory.modules.has(normalize(driver))) problems.push(`kernel module ${driver}: not in the image`);
  const drivers = new Set([...profile.nicDrivers, ...profile.storageDrivers].map(normalize));
  const waivers = new Map(profile.firmwareWaivers.map(({ driver, files }) => [normalize(driver), files]));
  const used = new Set<string>();
  for (const { driver, file } of inventory.wanted) {
    const name = normalize(driver);
    if (!drivers.has(name) || isPresent(file, inventory.firmware)) continue;
    const waiver = waivers.get(name)?.find((pattern) => matches(pattern, file));
    if (waiver) used.add(`${name} ${waiver}`);
    else problems.push(`firmware ${file} of ${driver}: not in the image, and no waiver says why`);
  }
  for (const [name, files] of waivers)
    for (const pattern of files)
      if (!used.has(`${name} ${pattern}`))
        problems.push(`waiver ${pattern} of ${name}: nothing needs it any more; remove it`);
  return problems;
}

/** Shell-like: `*` stands for anything. Drivers name firmware that way too (`intel/ice/ddp/*.pkg`). */
function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(text);
}

function isPresent(file: string, firmware: ReadonlySet<string>): boolean {
  if (firmware.has(file)) return true;
  return file.includes("*") && [...firmware].some((name) => matches(file, name));
}

const lines = (text: string) => text.split("\n").filter(Boolean);

export async function readInventory(directory: string): Promise<Inventory> {
  const read = async (suffix: string) => lines(await readFile(join(directory, `steelyard.${suffix}`), "utf8"));
  const wanted = (await read("firmware-wanted")).map((line) => {
    const [driver = "", file = ""] = line.split("\t");
    return { driver, file };
  });
  return { modules: new Set(await read("modules")), firmware: new Set(await read("firmware")), wanted };
}

/** Fails the build when a driver of the profile, or firmware that a driver names, is not in the image. */
export async function checkImage(profile: Profile, directory: string): Promise<void> {
  const problems = findShortcomings(profile, await readInventory(directory));
  if (problems.length > 0)
    throw new BuildError(
      `the image does not keep what hardware-profiles/${profile.name}.yaml promises:\n${problems.map((problem) => `    ${problem}`).join("\n")}`,
    );
}
