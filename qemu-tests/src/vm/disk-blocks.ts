import { readFile, rm, writeFile } from "node:fs/promises";
import { runCommand } from "../run-command.ts";
import { imageTool } from "./emulator.ts";

/** Reading and writing the disk of a machine that is off, from outside: offsets and lengths in bytes, multiples of 512. */

const sector = 512;

export type Partition = { label: string; offset: number; length: number };

export async function readBlocks(disk: string, offset: number, length: number): Promise<Buffer> {
  const copy = `${disk}.blocks`;
  try {
    const part = `driver=raw,offset=${offset},size=${length},file.driver=qcow2,file.file.filename=${disk}`;
    await runCommand([...(await imageTool()), "convert", "-O", "raw", "--image-opts", part, copy]);
    return await readFile(copy);
  } finally {
    await rm(copy, { force: true });
  }
}

export async function writeBlocks(disk: string, offset: number, bytes: Buffer): Promise<void> {
  const copy = `${disk}.blocks`;
  try {
    await writeFile(copy, bytes);
    await runCommand([
      ...(await imageTool("qemu-io")),
      "-f",
      "qcow2",
      "-c",
      `write -s ${copy} ${offset} ${bytes.length}`,
      disk,
    ]);
  } finally {
    await rm(copy, { force: true });
  }
}

/** The GUID partition table (UEFI specification, 5.3): the header is sector 1, its entries are 128 bytes each. */
export async function readPartitions(disk: string): Promise<Partition[]> {
  const head = await readBlocks(disk, 0, 34 * sector);
  if (head.toString("latin1", sector, sector + 8) !== "EFI PART") throw new Error(`${disk} has no partition table`);
  const entries = Number(head.readBigUInt64LE(sector + 72)) * sector;
  const partitions: Partition[] = [];
  for (let at = entries; at + 128 <= head.length; at += 128) {
    const first = Number(head.readBigUInt64LE(at + 32));
    const last = Number(head.readBigUInt64LE(at + 40));
    if (first === 0) continue;
    const label = head.toString("utf16le", at + 56, at + 128).replace(/\0.*$/, "");
    partitions.push({ label, offset: first * sector, length: (last - first + 1) * sector });
  }
  return partitions;
}
