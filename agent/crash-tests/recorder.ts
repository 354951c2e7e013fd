import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../src/adapters/process.ts";
import { type LoggedWrite, parseBlockLog } from "./block-log.ts";

/** Bytes. The file system is smaller than /config of a box (512 MiB), so that a copy costs little; behind it the marks are written. */
const fileSystemSize = 64 * 2 ** 20;
export const diskSize = fileSystemSize + 2 ** 20;
const markOffset = fileSystemSize;

export type Mark = (text: string) => Promise<void>;

export type Recording = {
  /** The disk before the first write. */
  initial: Buffer;
  writes: LoggedWrite[];
};

/**
 * Runs `load` on a freshly made ext4 and records every write and flush that reaches its disk. `load` may leave marks: they are writes
 * behind the file system, so that they stand in the log among the others, in order.
 *
 * The disk is a file that qemu-storage-daemon exports by FUSE, through its filter blklogwrites; the kernel's loop device makes a
 * block device of that. Call it in a mount namespace of its own, `directory` on a tmpfs: nothing outlives the namespace then.
 */
export async function recordWrites(
  directory: string,
  load: (mountPoint: string, mark: Mark) => Promise<void>,
): Promise<Recording> {
  const at = (name: string) => join(directory, name);
  await fs.writeFile(at("disk"), "");
  await fs.truncate(at("disk"), diskSize);
  // As systemd-repart makes /config, but small: the tables are written now and not by the kernel in the background.
  const whole = "lazy_itable_init=0,lazy_journal_init=0";
  await run(["mkfs.ext4", "-q", "-F", "-E", whole, "-N", "8192", at("disk"), `${fileSystemSize / 1024}k`]);
  const initial = await fs.readFile(at("disk"));
  for (const name of ["log", "exported"]) await fs.writeFile(at(name), "");
  await fs.mkdir(at("mounted"), { recursive: true });

  const daemon = startDaemon(at("disk"), at("log"), at("exported"));
  try {
    await waitForExport(daemon, at("exported"));
    await run(["mount", "-o", "loop,nosuid,nodev,noatime", at("exported"), at("mounted")]);
    const marks = await fs.open(at("exported"), "r+");
    const mark = async (text: string) => {
      await marks.write(Buffer.alloc(512, text.padEnd(512)), 0, 512, markOffset);
    };
    try {
      await load(at("mounted"), mark);
    } finally {
      await marks.close();
      await run(["umount", at("mounted")]);
    }
  } finally {
    await stopDaemon(daemon);
  }
  return { initial, writes: parseBlockLog(await fs.readFile(at("log"))) };
}

/** The text of a mark, or undefined for any other write. */
export function readMark({ offset, data }: LoggedWrite): string | undefined {
  return offset === markOffset && data.length > 0 ? data.toString("utf8").trim() : undefined;
}

function startDaemon(disk: string, log: string, exported: string): ChildProcess {
  const filter = "driver=blklogwrites,node-name=logged,file=disk,log=log,log-super-update-interval=1";
  return spawn(
    "qemu-storage-daemon",
    [
      // What the host does with the file does not matter: the log is what counts.
      ...["--blockdev", `driver=file,node-name=disk,filename=${disk},cache.no-flush=on`],
      ...["--blockdev", `driver=file,node-name=log,filename=${log},cache.no-flush=on`],
      ...["--blockdev", filter],
      ...["--export", `type=fuse,id=export,node-name=logged,mountpoint=${exported},writable=on`],
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
}

/** The file has a size as soon as the daemon stands behind it. */
async function waitForExport(daemon: ChildProcess, path: string): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (daemon.exitCode !== null) throw new Error("qemu-storage-daemon ended; its words stand above");
    if ((await fs.stat(path)).size === diskSize) return;
    await sleep(50);
  }
  throw new Error("qemu-storage-daemon exports nothing after 30 s");
}

async function stopDaemon(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  daemon.kill("SIGTERM");
  await ended;
}
