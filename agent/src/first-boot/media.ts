import * as fs from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import type { Machine } from "../adapters/machine.ts";
import { hostName } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import { greatestAnswerFile } from "./answer-file.ts";

/** Finds and reads the answer file on a disk, a disc or a partition beside the box's own. */

/** What a volume holds. */
export type AnswerFile = {
  /** For people: `steelyard.yaml on /dev/vdb`. */
  source: string;
  text: string;
  /** local-hostname of NoCloud's meta-data. */
  hostname: string | undefined;
};

/** `sequence` changes with the disk in the drive (sysfs diskseq), so that nothing is read twice. */
export type Volume = { device: string; label: string; type: string; sequence: string };

const mountPoint = "/run/steelyard/answer-file";
const types = ["vfat", "iso9660", "ext4"];

type BlockDevice = {
  name: string;
  label: string | null;
  fstype: string | null;
  "disk-seq": string | number | null;
  children?: BlockDevice[];
};

/**
 * The volume with the answers: label STEELYARD before cidata (NoCloud), any case; undefined when there is neither.
 * Throws `bad-input` when two have the same label. Reads the udev database only.
 */
export async function findVolume(machine: Machine): Promise<Volume | undefined> {
  const columns = "NAME,LABEL,FSTYPE,DISK-SEQ";
  const { stdout } = await machine.run(["lsblk", "--json", "--paths", "--output", columns]);
  const { blockdevices } = JSON.parse(stdout) as { blockdevices: BlockDevice[] };
  const volumes = flatten(blockdevices, "");
  for (const wanted of ["steelyard", "cidata"]) {
    const found = volumes.filter(({ label, type }) => label.toLowerCase() === wanted && types.includes(type));
    if (found.length > 1) {
      const devices = found.map(({ device }) => device).join(" and ");
      throw new SteelyardError("bad-input", `expected one volume labelled ${wanted}, but ${devices} both are`);
    }
    if (found[0]) return found[0];
  }
  return undefined;
}

/** Partitions have the sequence number of their disk. */
function flatten(devices: readonly BlockDevice[], inherited: string): Volume[] {
  return devices.flatMap((each) => {
    const sequence = String(each["disk-seq"] ?? inherited);
    const own = { device: each.name, label: each.label ?? "", type: each.fstype ?? "", sequence };
    return [own, ...flatten(each.children ?? [], sequence)];
  });
}

/**
 * Reads the answer file of a volume: `steelyard.yaml`, or NoCloud's `user-data` when its first line is `#steelyard`.
 * Undefined for a NoCloud volume that is meant for somebody else. Throws `bad-input` for a STEELYARD volume without the file
 * and for a file of more than 1 MiB; `command-failed` when the volume cannot be mounted.
 */
export async function readVolume(machine: Machine, volume: Volume): Promise<AnswerFile | undefined> {
  return await withMounted(machine, volume, async (directory) => {
    if (volume.label.toLowerCase() === "cidata") return await readNoCloud(directory, volume);
    const text = await readNamed(directory, /^steelyard\.ya?ml$/i);
    if (text === undefined)
      throw new SteelyardError("bad-input", `expected a file steelyard.yaml on ${volume.device} (${volume.label})`);
    return { source: `steelyard.yaml on ${volume.device}`, text, hostname: undefined };
  });
}

async function readNoCloud(directory: string, { device }: Volume): Promise<AnswerFile | undefined> {
  const text = await readNamed(directory, /^user-data$/i);
  if (text === undefined || !/^#steelyard\s*$/m.test(text.split("\n", 1)[0] ?? "")) return undefined;
  return {
    source: `user-data on ${device}`,
    text,
    hostname: parseMetaData(await readNamed(directory, /^meta-data$/i)),
  };
}

const metaData = z.object({ "local-hostname": hostName });

/** meta-data is YAML that other tools write; what we cannot read in it we do without. */
function parseMetaData(text: string | undefined): string | undefined {
  try {
    return metaData.safeParse(parse(text ?? "", { maxAliasCount: 0 })).data?.["local-hostname"];
  } catch {
    return undefined;
  }
}

/** A regular file of the top directory. Names on FAT and plain ISO 9660 come in any case. */
async function readNamed(directory: string, pattern: RegExp): Promise<string | undefined> {
  const entry = (await fs.readdir(directory, { withFileTypes: true })).find(
    (each) => each.isFile() && pattern.test(each.name),
  );
  if (!entry) return undefined;
  const path = join(directory, entry.name);
  if ((await fs.stat(path)).size > greatestAnswerFile)
    throw new SteelyardError("bad-input", `expected ${entry.name} to have at most 1 MiB`);
  return await fs.readFile(path, "utf8");
}

/** systemd mounts for us: the agent's sandbox has no right to. */
async function withMounted<Result>(
  machine: Machine,
  { device, type }: Volume,
  read: (directory: string) => Promise<Result>,
): Promise<Result> {
  const directory = machine.path(mountPoint);
  const options = "ro,nosuid,nodev,noexec";
  await machine.run(
    ["systemd-mount", "--quiet", "--collect", "--fsck=no", `--type=${type}`, `--options=${options}`, device, directory],
    { timeout: 90_000 },
  );
  try {
    return await read(directory);
  } finally {
    await machine.run(["systemd-umount", "--quiet", directory], { timeout: 90_000 });
  }
}
