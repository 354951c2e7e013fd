import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BuildError } from "./errors.ts";
import type { Partition } from "./partitions.ts";
import { image, pathInside } from "./paths.ts";
import { runInTools } from "./tools-tree.ts";

const sector = 512;

/** What GRUB needs to read grub.cfg and grubenv from the FAT partition, show a menu on VGA and serial, and start Linux. */
const modules = [
  "biosdisk",
  "part_gpt",
  "fat",
  "normal",
  "configfile",
  "linux",
  "serial",
  "terminal",
  "test",
  "echo",
  "loadenv",
  "reboot",
  "minicmd",
];

/** The environment block GRUB reads and writes: 1024 bytes, filled up with '#'. */
export function renderEnvironmentBlock(variables: Record<string, string>): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  return `# GRUB Environment Block\n${lines.join("")}`.padEnd(1024, "#");
}

/**
 * Lets boot.img load the core image: the two fields that grub-bios-setup writes (grub-core/boot/i386/pc/boot.S). 0x5c is the first
 * sector of the core image; at 0x66 a jump that skips the check for broken BIOS drive numbers becomes two no-operations.
 */
export function patchBootSector(bootSector: Buffer, coreStart: number): Buffer {
  const patched = Buffer.from(bootSector);
  patched.writeBigUInt64LE(BigInt(coreStart), 0x5c);
  patched.writeUInt16LE(0x9090, 0x66);
  return patched;
}

/** The core image's first sector loads the rest: its last block list entry (12 bytes before the end) says from where. */
export function patchCoreImage(core: Buffer, coreStart: number): Buffer {
  const patched = Buffer.from(core);
  patched.writeBigUInt64LE(BigInt(coreStart + 1), sector - 12);
  return patched;
}

/** Writes GRUB's boot sector into the protective MBR and its core image into the BIOS boot partition of a disk image. */
export async function installBiosBoot(
  tree: string,
  disk: string,
  partition: Partition,
  workspace: string,
): Promise<void> {
  const core = join(workspace, "core.img");
  await runInTools(tree, [
    "grub-mkimage",
    "--format=i386-pc",
    // Relative to the disk that the firmware started: the second partition is the EFI system partition.
    "--prefix=(,gpt2)/grub",
    `--output=${pathInside(core)}`,
    ...modules,
  ]);
  const coreImage = await readFile(core);
  if (coreImage.length > partition.sectors * sector)
    throw new BuildError(`GRUB's core image has ${coreImage.length} bytes, more than the BIOS boot partition`);
  const bootSector = await readFile(join(tree, "usr/lib/grub/i386-pc/boot.img"));
  const handle = await open(disk, "r+");
  try {
    // 440 bytes of code; after them stand the disk signature and the protective MBR's partition entry.
    await handle.write(patchBootSector(bootSector, partition.start), 0, 440, 0);
    const patched = patchCoreImage(coreImage, partition.start);
    await handle.write(patched, 0, patched.length, partition.start * sector);
  } finally {
    await handle.close();
  }
}

/** grub.cfg with the serial port of the profile. */
export async function renderGrubConfiguration(serialSpeed: number): Promise<string> {
  const text = await readFile(join(image, "grub/grub.cfg"), "utf8");
  return text.replace("--speed=115200", `--speed=${serialSpeed}`);
}

export async function writeText(path: string, text: string): Promise<string> {
  await writeFile(path, text);
  return path;
}
