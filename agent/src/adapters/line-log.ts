import * as fs from "node:fs/promises";
import { join } from "node:path";
import { isMissing, syncDirectory } from "./files.ts";

/**
 * Files of lines that only grow, in one directory (0700, files 0600): each is named by the number of its first line, so that
 * the order of their names is the order of the lines.
 */
export type LineLog = {
  /** The numbers that files begin with, ascending. */
  list(): Promise<number[]>;
  /** The bytes of one file; empty when it is gone. */
  read(first: number): Promise<Buffer>;
  size(first: number): Promise<number>;
  /** Adds text to the end of a file, which is made when there is none. With `sync` it is on the disk when this returns. */
  append(first: number, text: string, sync: boolean): Promise<void>;
  /** What was appended so far is on the disk when this returns. */
  sync(): Promise<void>;
  /** Cuts a file down to so many bytes. */
  truncate(first: number, size: number): Promise<void>;
  remove(first: number): Promise<void>;
  close(): Promise<void>;
};

/** Wide enough for every safe integer. */
const digits = 16;
const namePattern = /^(\d{16})\.jsonl$/;

/** Touches nothing until it is asked something: the disk may come later. */
export function makeLineLog(directory: string): LineLog {
  const at = (first: number) => join(directory, `${String(first).padStart(digits, "0")}.jsonl`);
  let open: { first: number; handle: fs.FileHandle } | undefined;

  async function close(): Promise<void> {
    const handle = open?.handle;
    open = undefined;
    await handle?.close();
  }

  /**
   * The file that grows stays open; one that is new has its name made durable at once. The one before is on the disk first, or
   * a power cut could leave a hole between the two.
   */
  async function openForAppending(first: number): Promise<fs.FileHandle> {
    if (open?.first === first) return open.handle;
    await open?.handle.datasync();
    await close();
    const handle = await fs.open(at(first), "a", 0o600);
    open = { first, handle };
    await syncDirectory(directory);
    return handle;
  }

  return {
    async list() {
      await fs.mkdir(directory, { recursive: true, mode: 0o700 });
      const names = await fs.readdir(directory);
      return names
        .flatMap((name) => namePattern.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((one, other) => one - other);
    },
    async read(first) {
      try {
        return await fs.readFile(at(first));
      } catch (error) {
        if (isMissing(error)) return Buffer.alloc(0);
        throw error;
      }
    },
    async size(first) {
      try {
        return (await fs.stat(at(first))).size;
      } catch (error) {
        if (isMissing(error)) return 0;
        throw error;
      }
    },
    async append(first, text, sync) {
      const handle = await openForAppending(first);
      try {
        await handle.appendFile(text);
        if (sync) await handle.datasync();
      } catch (error) {
        // Opened afresh by the next one: a full disk may have taken a part of the text. What came before it is not given up.
        await handle.datasync().catch(() => undefined);
        await close().catch(() => undefined);
        throw error;
      }
    },
    async sync() {
      await open?.handle.datasync();
    },
    async truncate(first, size) {
      await close();
      const handle = await fs.open(at(first), "r+");
      try {
        await handle.truncate(size);
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
    async remove(first) {
      if (open?.first === first) await close();
      await fs.rm(at(first), { force: true });
      await syncDirectory(directory);
    },
    close,
  };
}
