import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { Parser, type ReadEntry } from "tar";
import { messageOf, SteelyardError } from "../errors.ts";

/** Reads a tar archive that a stranger may have made: in memory, within limits, and nothing is written to the disk. */

export type ArchiveLimits = {
  /** Bytes of the archive when it is unpacked: what a gzip bomb runs into. */
  size: number;
  /** Bytes of one file. */
  fileSize: number;
  entries: number;
  /** Files that are taken; left out, all are. Others take no memory, and count as entries all the same. */
  wanted?(path: string): boolean;
};

/** Backups of ZEVENET are some hundred KiB; IP lists and rule sets can make them tens of MiB. */
export const usualLimits: ArchiveLimits = { size: 128 * 1024 * 1024, fileSize: 32 * 1024 * 1024, entries: 20_000 };

const greatestName = 1024;

export type Archive = {
  /** Regular files by their path: relative, without `.` and `..`. */
  files: Map<string, Buffer>;
  /** What was left out, and why: links and devices have no place in a configuration. */
  ignored: { path: string; reason: string }[];
};

const unpack = promisify(gunzip);

/** Takes `.tar.gz` and `.tar`. Throws `bad-input` for anything else, and `too-large` beyond the limits. */
export async function readArchive(data: Buffer, limits: ArchiveLimits = usualLimits): Promise<Archive> {
  const tarball = isGzip(data) ? await decompress(data, limits.size) : data;
  if (tarball.length > limits.size) throw tooLarge(limits.size);
  return await listEntries(tarball, limits);
}

/** RFC 1952, 2.3.1. */
function isGzip(data: Buffer): boolean {
  return data[0] === 0x1f && data[1] === 0x8b;
}

async function decompress(data: Buffer, size: number): Promise<Buffer> {
  try {
    return await unpack(data, { maxOutputLength: size });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(size);
    throw new SteelyardError("bad-input", `the archive cannot be unpacked: ${messageOf(error)}`, { cause: error });
  }
}

function tooLarge(size: number): SteelyardError {
  return new SteelyardError("too-large", `the archive holds more than ${size / 1024 / 1024} MiB when it is unpacked`);
}

function listEntries(tarball: Buffer, limits: ArchiveLimits): Promise<Archive> {
  const archive: Archive = { files: new Map(), ignored: [] };
  let entries = 0;
  return new Promise((resolve, reject) => {
    const parser = new Parser({ strict: true });
    const refuse = (error: unknown) => {
      reject(error instanceof SteelyardError ? error : notAnArchive(error));
      parser.abort(error instanceof Error ? error : new Error(String(error)));
    };
    parser.on("entry", (entry: ReadEntry) => {
      entries++;
      try {
        if (entries > limits.entries)
          throw new SteelyardError("too-large", `the archive has more than ${limits.entries} entries`);
        take(entry, archive, limits);
      } catch (error) {
        refuse(error);
      }
    });
    parser.on("error", refuse);
    parser.on("end", () => (entries > 0 ? resolve(archive) : reject(notAnArchive(new Error("it has no entry")))));
    parser.end(tarball);
  });
}

function notAnArchive(cause: unknown): SteelyardError {
  return new SteelyardError("bad-input", `expected a tar archive: ${messageOf(cause)}`, { cause });
}

function take(entry: ReadEntry, { files, ignored }: Archive, limits: ArchiveLimits): void {
  const path = cleanPath(entry.path);
  const isFile = ["File", "OldFile", "ContiguousFile"].includes(entry.type);
  if (!isFile) {
    if (entry.type !== "Directory") ignored.push({ path, reason: `it is no file but a ${nameType(entry.type)}` });
    entry.resume();
    return;
  }
  if (limits.wanted && !limits.wanted(path)) {
    entry.resume();
    return;
  }
  if (entry.size > limits.fileSize)
    throw new SteelyardError("too-large", `${path} has more than ${limits.fileSize / 1024 / 1024} MiB`);
  const parts: Buffer[] = [];
  entry.on("data", (part) => void parts.push(part as Buffer));
  // A path that stands twice is the later file, as with tar(1).
  entry.on("end", () => void files.set(path, Buffer.concat(parts)));
}

/** `./a//b` and `/a/b` are `a/b`. Throws `bad-input` for a path that climbs out or that no file of ours would have. */
function cleanPath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refusePath(path, "expected no .. in it");
  if (path.length > greatestName) throw refusePath(path, `expected at most ${greatestName} characters`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this refuses
  if (/[\u0000-\u001f\u007f]/.test(path)) throw refusePath(path, "expected no control characters in it");
  return parts.join("/");
}

function refusePath(path: string, words: string): SteelyardError {
  return new SteelyardError("bad-input", `the archive has a path ${JSON.stringify(path.slice(0, 80))}: ${words}`);
}

function nameType(type: string): string {
  if (type === "SymbolicLink") return "symbolic link";
  return type === "Link" ? "hard link" : type;
}
