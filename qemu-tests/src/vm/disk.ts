import { existsSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../run-command.ts";

/** What the overlay has beyond the image, so that a test can see /data grow: bytes. */
export const addedSpace = 1024 ** 3;

/** Makes a disk that holds only what differs from the image. The image itself is never written. */
export async function createOverlay(image: string, overlay: string): Promise<void> {
  if (!existsSync(image)) throw new Error(`there is no image at ${image}: run "make image PROFILE=virt" first`);
  const { stdout } = await runCommand(["qemu-img", "info", "--output=json", image]);
  const { "virtual-size": size } = JSON.parse(stdout) as { "virtual-size": number };
  await runCommand([
    "qemu-img",
    "create",
    "-q",
    "-f",
    "qcow2",
    "-b",
    image,
    "-F",
    "qcow2",
    overlay,
    String(size + addedSpace),
  ]);
}

/** Makes the disk of the unattended first boot: vfat, labelled STEELYARD, one file. */
export async function createAnswerDisk(path: string, answerFile: string): Promise<void> {
  await rm(path, { force: true });
  await runCommand(["mkfs.vfat", "-n", "STEELYARD", "-C", path, "1440"]);
  await runCommand(["mcopy", "-i", path, "-", "::steelyard.yaml"], { input: answerFile });
}

/** Where distributions keep OVMF: Debian, Fedora, Arch. Code and variables belong together. */
const firmwares = [
  ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"],
  ["/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"],
  ["/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"],
] as const;

/** Gives a machine UEFI variables of its own, for the firmware writes to them. */
export async function prepareUefi(directory: string): Promise<{ code: string; variables: string }> {
  const found = firmwares.find(([code, variables]) => existsSync(code) && existsSync(variables));
  if (!found) throw new Error("there is no UEFI firmware on this machine: install the package ovmf");
  const variables = join(directory, "uefi-variables.fd");
  await copyFile(found[1], variables);
  return { code: found[0], variables };
}
