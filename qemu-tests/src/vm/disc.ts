import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../run-command.ts";

/** A disc for the CD-ROM drive: the label of the volume, and text files by name. */
export type Disc = { label: string; files: Record<string, string> };

/** Makes an ISO 9660 image with long names (Joliet and Rock Ridge), as cloud-init's tools make a NoCloud seed. */
export async function burnDisc(image: string, { label, files }: Disc): Promise<void> {
  const tree = `${image}.tree`;
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree);
  for (const [name, text] of Object.entries(files)) await writeFile(join(tree, name), text);
  await rm(image, { force: true });
  await runCommand(["xorriso", "-as", "mkisofs", "-quiet", "-J", "-R", "-V", label, "-o", image, tree]);
  await rm(tree, { recursive: true });
}
