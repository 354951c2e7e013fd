import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findMirror, renderSources } from "../../../image/builder/src/mirror.ts";
import { proxyOptions } from "../../../image/builder/src/proxy.ts";
import { report } from "../../../qemu-tests/src/progress.ts";
import { runCommand } from "../../../qemu-tests/src/run-command.ts";
import { imageTool } from "../../../qemu-tests/src/vm/emulator.ts";
import type { HandFarm } from "../peers/nft-rules.ts";
import { debianFiles, debianPackages, enabledUnits } from "./files.ts";

/** A Debian without a boot loader: QEMU loads kernel and initrd itself. */
export type DebianDisk = { disk: string; kernel: string; initrd: string; release: string; initrdMegabytes: number };

const megabyte = 1024 * 1024;
const buildTimeout = 540_000;

/** Builds the peer of the boot measurement, or takes the one that was built from the same list and files. Needs root. */
export async function buildDebian(directory: string, farm: HandFarm): Promise<DebianDisk> {
  const files = debianFiles(farm);
  const recipe = JSON.stringify([files, enabledUnits, debianPackages]);
  const hash = createHash("sha256").update(recipe).digest("hex");
  const result = join(directory, "debian.json");
  const stored = await readFile(result, "utf8").catch(() => undefined);
  if (stored !== undefined) {
    const { hash: storedHash, debian } = JSON.parse(stored) as { hash: string; debian: DebianDisk };
    if (storedHash === hash && existsSync(debian.disk)) return debian;
  }
  report("installing a minimal Debian trixie for comparison (mmdebstrap)");
  const root = join(directory, "debian-root");
  await rm(root, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await install(root, ["--variant=minbase", `--include=${debianPackages.join(",")}`], directory);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  for (const [unit, target] of Object.entries(enabledUnits)) await enableUnit(root, unit, target);
  const debian = await makeDisk(root, directory);
  await rm(root, { recursive: true, force: true });
  await writeFile(result, JSON.stringify({ hash, debian }));
  return debian;
}

/** Programs of trixie that the image does not have, unpacked and not installed. */
export async function extractPackages(directory: string, packages: readonly string[]): Promise<string> {
  const root = join(directory, `extracted-${packages.join("-")}`);
  if (existsSync(root)) return root;
  report(`fetching ${packages.join(", ")}`);
  await mkdir(directory, { recursive: true });
  const unfinished = `${root}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await install(unfinished, ["--variant=extract", `--include=${packages.join(",")}`], directory);
  await runCommand(["mv", unfinished, root]);
  return root;
}

async function install(root: string, options: readonly string[], directory: string): Promise<void> {
  const sources = join(directory, "trixie.sources");
  await writeFile(sources, renderSources(await findMirror()));
  // Documentation is what dpkg spends much of its time on.
  const proxy = (await proxyOptions()).map((option) => `--aptopt=${option}`);
  const lean = ["--dpkgopt=path-exclude=/usr/share/{doc,man,locale}/*", '--aptopt=Apt::Install-Recommends "false"'];
  await runCommand(["mmdebstrap", "--mode=root", ...proxy, ...options, ...lean, "trixie", root, sources], {
    timeout: buildTimeout,
  });
}

async function enableUnit(root: string, unit: string, target: string): Promise<void> {
  const wants = join(root, "etc/systemd/system", `${target}.wants`);
  await mkdir(wants, { recursive: true });
  const own = existsSync(join(root, "etc/systemd/system", unit));
  await symlink(own ? `/etc/systemd/system/${unit}` : `/usr/lib/systemd/system/${unit}`, join(wants, unit)).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    },
  );
}

async function makeDisk(root: string, directory: string): Promise<DebianDisk> {
  const boot = join(root, "boot");
  const names = await readdir(boot);
  const kernelName = names.find((name) => name.startsWith("vmlinuz-"));
  const initrdName = names.find((name) => name.startsWith("initrd.img-"));
  if (!kernelName || !initrdName) throw new Error(`the Debian has no kernel or no initrd: ${names.join(" ")}`);
  const debian = {
    disk: join(directory, "debian.qcow2"),
    kernel: join(directory, "debian-vmlinuz"),
    initrd: join(directory, "debian-initrd"),
    release: kernelName.slice("vmlinuz-".length),
  };
  await copyFile(join(boot, kernelName), debian.kernel);
  await copyFile(join(boot, initrdName), debian.initrd);
  const raw = join(directory, "debian.raw");
  await rm(raw, { force: true });
  await runCommand(["mke2fs", "-q", "-t", "ext4", "-d", root, raw, "2G"], { timeout: buildTimeout });
  const conversion = ["convert", "-f", "raw", "-O", "qcow2", raw, debian.disk];
  await runCommand([...(await imageTool()), ...conversion], { timeout: buildTimeout });
  await rm(raw, { force: true });
  const { size } = await stat(debian.initrd);
  return { ...debian, initrdMegabytes: size / megabyte };
}
