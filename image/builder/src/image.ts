import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundleAgent } from "./bundle.ts";
import { checkImage } from "./checks.ts";
import { BuildError } from "./errors.ts";
import { hashFile, hashInputs } from "./hash.ts";
import { findMirror } from "./mirror.ts";
import { prepareMkosi } from "./mkosi.ts";
import { build, image, imageDirectory } from "./paths.ts";
import { type Profile, readProfile } from "./profile.ts";
import type { Progress } from "./progress.ts";
import { proxyOptions } from "./proxy.ts";
import { runTool } from "./run-tool.ts";
import { addBiosBoot } from "./slot.ts";
import { ensureTools, enterTools } from "./tools-tree.ts";
import { readVersion } from "./version.ts";

/** Bytes a build from nothing takes at its height: tools tree, package cache, image tree, disk and medium. */
const spaceNeeded = 7e9;

export function requireRoot(): void {
  if (process.getuid?.() !== 0)
    throw new BuildError(
      "building an image needs root (mounts, file owners, device nodes): run it with sudo, or as root in a container",
    );
}

async function requireSpace(): Promise<void> {
  await mkdir(build, { recursive: true });
  const { bavail, bsize } = await statfs(build);
  const free = bavail * bsize;
  if (free < spaceNeeded)
    throw new BuildError(
      `${build} has ${(free / 1e9).toFixed(1)} GB free; a build needs ${(spaceNeeded / 1e9).toFixed(0)} GB (make clean removes what earlier builds left)`,
    );
}

/** True when the artefact carries this stamp, which is written last: a build that broke off leaves none. */
export async function isCurrent(stampFile: string, stamp: string, artefact: string): Promise<boolean> {
  return existsSync(artefact) && (await readFile(stampFile, "utf8").catch(() => "")).trim() === stamp;
}

/** The hash of all that the system disk is made of. The mirror is not part of it: it serves the same packages as any other. */
async function stampImage(profile: Profile, tree: string, version: string, bundle: string): Promise<string> {
  return hashInputs(
    [
      ...["mkosi", "initrd", "grub", "overlay"].map((name) => join(image, name)),
      ...["mkosi", "kernel-modules", "slot", "grub", "partitions", "pe", "image", "checks"].map((name) =>
        join(image, "builder/src", `${name}.ts`),
      ),
      bundle,
    ],
    [JSON.stringify(profile), version, tree],
  );
}

/**
 * Builds the system disk of a profile, or finds that it is there already. Leaves steelyard.raw, manifest.json and SHA256SUMS in
 * build/images/<profile>.
 */
export async function buildImage(name: string, progress: Progress): Promise<Profile> {
  const profile = await readProfile(name);
  const version = await readVersion();
  const directory = imageDirectory(name);
  const raw = join(directory, "steelyard.raw");
  const stampFile = join(directory, "image.stamp");

  requireRoot();
  await requireSpace();
  const tree = await ensureTools(progress);
  const bundle = await bundleAgent();
  const stamp = await stampImage(profile, tree, version, bundle);
  if (await isCurrent(stampFile, stamp, raw)) return profile;

  await rm(stampFile, { force: true });
  const [proxy] = await proxyOptions();
  const run = await prepareMkosi(profile, version, await findMirror(), proxy?.match(/"(.*)"/)?.[1]);
  const cached = existsSync(join(build, "mkosi", name, "cache", "debian~trixie~x86-64.cache"));
  await runTool(
    {
      title: `Building the ${name} system disk${cached ? "" : " (first time: installs some 250 packages)"}`,
      log: `image-${name}.log`,
      argv: enterTools(tree, run.argv),
    },
    progress,
  );
  await showStage(progress, "Adding GRUB for BIOS machines", () => addBiosBoot(tree, profile, run.output));
  await checkImage(profile, run.output);
  await mkdir(directory, { recursive: true });
  await rename(join(run.output, "steelyard.raw"), raw);
  await rename(join(run.output, "steelyard.manifest"), join(directory, "manifest.json"));
  await rename(join(run.output, "steelyard.efi"), join(directory, "steelyard.efi"));
  await rm(join(directory, "SHA256SUMS"), { force: true });
  await showStage(progress, "Checksums", () =>
    writeChecksums(directory, ["steelyard.raw", "steelyard.efi", "manifest.json"]),
  );
  await writeFile(stampFile, `${stamp}\n`);
  return profile;
}

async function showStage(progress: Progress, title: string, work: () => Promise<void>): Promise<void> {
  const stage = progress.stage(title);
  try {
    await work();
  } catch (error) {
    stage.failed();
    throw error;
  }
  stage.done();
}

/** SHA256SUMS, as `sha256sum --check` reads it: new lines for the named files, the others as they were. */
export async function writeChecksums(directory: string, names: readonly string[]): Promise<void> {
  const path = join(directory, "SHA256SUMS");
  const before = (await readFile(path, "utf8").catch(() => "")).split("\n");
  const kept = before.filter((line) => line && !names.includes(line.slice(66)));
  const made: string[] = [];
  for (const name of names) made.push(`${await hashFile(join(directory, name))}  ${name}`);
  await writeFile(path, `${[...kept, ...made].sort((a, b) => a.slice(66).localeCompare(b.slice(66))).join("\n")}\n`);
}

export async function fileSize(path: string): Promise<number> {
  return (await stat(path)).size;
}
