import { existsSync } from "node:fs";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { BuildError } from "./errors.ts";
import { hashInputs } from "./hash.ts";
import { findMirror, renderSources } from "./mirror.ts";
import { build, inside, repository } from "./paths.ts";
import type { Progress } from "./progress.ts";
import { proxyOptions } from "./proxy.ts";
import { runTool } from "./run-tool.ts";

/**
 * The tools that build the image, from the same Debian release as the image. The host's own (Debian 12: mkosi 14, debos without
 * the actions we need) do not matter then, and two hosts build alike. QEMU and its UEFI firmware are among them for the virtual
 * machines of the tests, which run them from here where the host has none or an old one (qemu-tests/src/vm/emulator.ts).
 */
const packages = [
  "mkosi",
  "debos",
  "systemd-repart",
  "systemd-ukify",
  "systemd-boot",
  "systemd-boot-efi",
  "systemd-container",
  "grub-pc-bin",
  "grub-common",
  "xorriso",
  "erofs-utils",
  "squashfs-tools",
  "cryptsetup-bin",
  "dosfstools",
  "e2fsprogs",
  "mtools",
  "fdisk",
  "gdisk",
  "qemu-utils",
  "qemu-system-x86",
  "ovmf",
  "zstd",
  "xz-utils",
  "bzip2",
  "cpio",
  "kmod",
  "openssl",
  "python3-pefile",
  "python3-cryptography",
  "uidmap",
  "ca-certificates",
  "debian-archive-keyring",
];

const release = "trixie";

/** Where the tree of this package list stands, made or not. */
export async function treeDirectory(): Promise<string> {
  const hash = await hashInputs([], [release, ...packages]);
  return join(build, "tools", hash.slice(0, 16));
}

/** The tree of this package list, made when it is not there. Made under another name first, so a broken one is never used. */
export async function ensureTools(progress: Progress): Promise<string> {
  const tree = await treeDirectory();
  if (existsSync(tree)) return tree;
  await mkdir(join(build, "tools"), { recursive: true });
  for (const name of await readdir(join(build, "tools")))
    if (name.endsWith(".partial")) await rm(join(build, "tools", name), { recursive: true, force: true });
  const partial = `${tree}.partial`;
  const sources = join(build, "tools", "tools.sources");
  await writeFile(sources, renderSources(await findMirror()));
  await runTool(
    {
      title: `Making the tools tree (Debian ${release}: mkosi, debos and ${packages.length - 2} more)`,
      log: "tools.log",
      argv: [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        ...(await proxyOptions()).map((option) => `--aptopt=${option}`),
        `--include=${packages.join(",")}`,
        release,
        partial,
        sources,
      ],
    },
    progress,
  );
  await mkdir(join(partial, inside.slice(1)), { recursive: true });
  await rename(partial, tree);
  return tree;
}

/** Command words that run `argv` inside the tree, with the repository at `inside`. */
export function enterTools(tree: string, argv: readonly string[]): [string, ...string[]] {
  return [join(repository, "image/builder/enter-tools.sh"), tree, repository, ...argv];
}

/** Runs a short tool inside the tree and returns what it prints; its own last words are the error. */
export async function runInTools(tree: string, argv: readonly [string, ...string[]]): Promise<string> {
  const [file, ...args] = enterTools(tree, argv);
  const { exitCode, stdout, stderr } = await execa(file, args, { reject: false });
  if (exitCode === 0) return stdout;
  throw new BuildError(`${argv[0]} failed: ${stderr.trim().split("\n").at(-1) || `exit status ${exitCode}`}`);
}
