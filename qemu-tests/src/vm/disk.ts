import { existsSync } from "node:fs";
import { copyFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { runCommand } from "../run-command.ts";
import { findFirmware, imageTool } from "./emulator.ts";

/** What the overlay has beyond the image, so that a test can see /data grow: bytes. */
export const addedSpace = 1024 ** 3;

/** Makes a disk that holds only what differs from the image. The image itself is never written. */
export async function createOverlay(image: string, overlay: string): Promise<void> {
  if (!existsSync(image)) throw new Error(`there is no image at ${image}: run "make image PROFILE=virt" first`);
  const tool = await imageTool();
  const { stdout } = await runCommand([...tool, "info", "--output=json", image]);
  const { "virtual-size": size } = JSON.parse(stdout) as { "virtual-size": number };
  await runCommand([
    ...tool,
    "create",
    "-q",
    "-f",
    "qcow2",
    "-b",
    // A relative path would be taken from where the overlay stands.
    resolve(image),
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

/** Gives a machine UEFI variables of its own, for the firmware writes to them. */
export async function prepareUefi(directory: string): Promise<{ code: string; variables: string }> {
  const found = await findFirmware();
  const variables = join(directory, "uefi-variables.fd");
  await copyFile(found.variables, variables);
  return { code: found.code, variables };
}
