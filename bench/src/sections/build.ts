import { existsSync } from "node:fs";
import { appendFile, mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { artefactPath } from "../../../image/builder/src/index.ts";
import { repository } from "../../../qemu-tests/src/paths.ts";
import { report } from "../../../qemu-tests/src/progress.ts";
import { runCommand } from "../../../qemu-tests/src/run-command.ts";
import { attempt } from "../context.ts";
import { describeCommit, timestamp } from "../machine.ts";
import type { Options } from "../options.ts";
import type { Findings, Missing } from "../results.ts";
import { formatNumber } from "../statistics.ts";

/** Kept beside the sections: a cold build takes minutes and is measured only when asked for. */
type ColdFigures = { date: string; commit: string; cold: number; unchanged: number; changed: number };

const minutes = 60_000;

/** Image sizes, the time of a build that has nothing to do, and the last cold build. */
export async function measureBuild(directory: string, { profile, cold }: Options): Promise<Findings> {
  const missing: Missing[] = [];
  const samples: Record<string, number[]> = {};
  const file = join(directory, `cold-${profile}.json`);
  if (cold) {
    const figures = await attempt("cold build", missing, () => measureColdBuild(directory, profile));
    if (figures) await writeFile(file, JSON.stringify(figures));
  }
  const unchanged = await attempt("build with nothing to do", missing, async () => {
    // The first run brings the image up to date, should a source have changed.
    await build(repository, profile);
    return await build(repository, profile);
  });
  if (unchanged !== undefined) samples["build with nothing to do, s"] = [unchanged];
  const stored = await readFile(file, "utf8").catch(() => undefined);
  const figures = stored === undefined ? undefined : (JSON.parse(stored) as ColdFigures);
  if (!figures) missing.push({ what: "cold build", reason: "never measured here: make bench COLD=1 ONLY=build" });
  const rows: (string | number)[][] = [];
  if (figures) {
    const measured = `${figures.date}, ${figures.commit}`;
    rows.push(
      ["cold: tools tree, packages, disk, medium", formatNumber(figures.cold), measured],
      ["again, the agent changed", formatNumber(figures.changed), measured],
      ["again, nothing changed", formatNumber(figures.unchanged), measured],
    );
  }
  if (unchanged !== undefined) rows.push(["nothing to do, in this working copy", formatNumber(unchanged), "now"]);
  return {
    tables: [
      {
        title: `Seconds to build profile ${profile}`,
        columns: ["build", "seconds", "measured"],
        rows,
        notes: [
          "Cold: in a fresh clone of the commit without any cache of ours; packages come over the network. npm packages are those of the working copy.",
        ],
      },
      await listSizes(profile),
    ],
    missing,
    samples,
  };
}

async function listSizes(profile: string) {
  const rows: (string | number)[][] = [];
  for (const artefact of ["qcow2", "raw"] as const) {
    const path = artefactPath(profile, artefact);
    if (!existsSync(path)) continue;
    const { size, blocks } = await stat(path);
    rows.push([
      artefact === "raw" ? "disk (sparse)" : "qcow2, compressed",
      formatNumber(size / 1e6),
      formatNumber((blocks * 512) / 1e6),
    ]);
  }
  const manifest = artefactPath(profile, "manifest");
  const packages = existsSync(manifest)
    ? (JSON.parse(await readFile(manifest, "utf8")) as { packages?: unknown[] }).packages?.length
    : undefined;
  return {
    title: "Sizes, MB (10^6 bytes)",
    columns: ["file", "length", "on disk"],
    rows,
    notes: packages === undefined ? [] : [`${packages} Debian packages.`],
  };
}

/** Seconds of `steelyard-build media` in a checkout. */
async function build(checkout: string, profile: string): Promise<number> {
  const begin = performance.now();
  const main = join(checkout, "image/builder/src/main.ts");
  const run = ["env", "--chdir", checkout, process.execPath, "--import", "./register.mjs", main, "media"] as const;
  await runCommand([...run, "--profile", profile], { timeout: 40 * minutes });
  return (performance.now() - begin) / 1000;
}

/** A clone of the commit beside the working copy, so that nothing anybody else needs is thrown away. */
async function measureColdBuild(directory: string, profile: string): Promise<ColdFigures> {
  const clone = join(directory, "cold");
  await rm(clone, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  try {
    await runCommand(["git", "clone", "--quiet", "--shared", repository, clone]);
    await symlink(join(repository, "node_modules"), join(clone, "node_modules"));
    report("cold build in a fresh clone: this takes minutes");
    const cold = await build(clone, profile);
    report(`cold build: ${cold.toFixed(0)} s`);
    const unchanged = await build(clone, profile);
    await appendFile(join(clone, "agent/src/main.ts"), `\nprocess.env.STEELYARD_BENCH_CHANGE ??= "1";\n`);
    const changed = await build(clone, profile);
    report(`again with a changed agent: ${changed.toFixed(0)} s`);
    return { date: timestamp(), commit: await describeCommit(), cold, unchanged, changed };
  } finally {
    await rm(clone, { recursive: true, force: true });
  }
}
