import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BuildError } from "./errors.ts";
import { build } from "./paths.ts";

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** One build at a time in a checkout. A lock whose owner is gone is taken over, so a killed build blocks nobody. */
export async function withBuildLock<T>(work: () => Promise<T>): Promise<T> {
  await mkdir(build, { recursive: true });
  const path = join(build, "builder.lock");
  for (;;) {
    try {
      await writeFile(path, `${process.pid}\n`, { flag: "wx" });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const owner = Number(await readFile(path, "utf8").catch(() => ""));
      if (owner > 0 && isAlive(owner)) throw new BuildError(`another build is running here (process ${owner})`);
      await rm(path, { force: true });
    }
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}
