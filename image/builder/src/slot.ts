import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BuildError } from "./errors.ts";
import { installBiosBoot, renderEnvironmentBlock, renderGrubConfiguration, writeText } from "./grub.ts";
import { findPartition, readPartitions } from "./partitions.ts";
import { pathInside } from "./paths.ts";
import { readSection } from "./pe.ts";
import type { Profile } from "./profile.ts";
import { runInTools } from "./tools-tree.ts";

/** The speed of the first serial console, for GRUB; 115200 where the profile has none. */
export function serialSpeed(profile: Profile): number {
  const port = profile.console.kernel.find((console) => console.startsWith("ttyS"));
  return Number(/,(\d+)/.exec(port ?? "")?.[1] ?? 115200);
}

/** The kernel command line inside a unified kernel image. */
async function readCommandLine(uki: string): Promise<string> {
  const line = (await readSection(uki, ".cmdline"))?.toString("utf8").replaceAll("\0", "").trim() ?? "";
  if (!line.includes("roothash=")) throw new BuildError(`the kernel image names no root hash: ${line}`);
  return line;
}

/**
 * Makes the disk that mkosi left bootable by BIOS as well: GRUB's core image, its configuration and environment, and the kernel and
 * initrd of slot a as plain files beside the unified kernel image on the EFI system partition (i386-pc GRUB cannot start that).
 * The command line is taken out of the unified image, so both ways start the very same slot.
 */
export async function addBiosBoot(tree: string, profile: Profile, output: string): Promise<void> {
  const workspace = join(output, "bios");
  await rm(workspace, { recursive: true, force: true });
  await mkdir(workspace, { recursive: true });
  const disk = join(output, "steelyard.raw");
  const partitions = await readPartitions(tree, pathInside(disk));
  await installBiosBoot(tree, disk, findPartition(partitions, "steelyard-bios"), workspace);

  const esp = findPartition(partitions, "steelyard-esp");
  const uki = join(output, "steelyard.efi");
  const commandLine = await readCommandLine(uki);
  const microcode = await readSection(uki, ".ucode");
  const files: [source: string, target: string][] = [
    [
      await writeText(join(workspace, "grub.cfg"), await renderGrubConfiguration(serialSpeed(profile))),
      "grub/grub.cfg",
    ],
    [
      await writeText(
        join(workspace, "grubenv"),
        renderEnvironmentBlock({ first: "a", a_tries: "3", b_tries: "none" }),
      ),
      "grub/grubenv",
    ],
    [await writeText(join(workspace, "slot.cfg"), `set arguments="${commandLine}"\n`), "slots/a/slot.cfg"],
    [join(output, "steelyard.vmlinuz"), "slots/a/vmlinuz"],
    [join(output, "steelyard.initrd"), "slots/a/initrd"],
  ];
  if (microcode) {
    await writeFile(join(workspace, "microcode"), microcode);
    files.push([join(workspace, "microcode"), "slots/a/microcode"]);
  }
  const at = `${pathInside(disk)}@@${esp.start * 512}`;
  const script = [
    `mmd -i '${at}' ::/grub ::/slots ::/slots/a`,
    ...files.map(([source, target]) => `mcopy -i '${at}' -o '${pathInside(source)}' '::/${target}'`),
  ].join(" && ");
  await runInTools(tree, ["sh", "-c", script]);
}
