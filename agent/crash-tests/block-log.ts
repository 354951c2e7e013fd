/**
 * The block writes of a disk in the order in which they came, as dm-log-writes and QEMU's blklogwrites keep them
 * (Linux, Documentation/admin-guide/device-mapper/log-writes.rst). All numbers are little-endian.
 */
export type LoggedWrite = {
  /** Bytes from the beginning of the disk. */
  offset: number;
  data: Buffer;
  /** Everything before this entry is on the disk once it is done. */
  flush: boolean;
};

const magic = 0x6a736677736872n;
const flushFlag = 1n;
const fuaFlag = 2n;
const discardFlag = 4n;

/** Throws when the log is none, or holds what a replay cannot do. */
export function parseBlockLog(log: Buffer): LoggedWrite[] {
  if (log.readBigUInt64LE(0) !== magic) throw new Error("expected a log of block writes");
  const count = Number(log.readBigUInt64LE(16));
  const sector = log.readUInt32LE(24);
  const entries: LoggedWrite[] = [];
  // The superblock takes a sector, and so does the head of every entry.
  for (let at = sector; entries.length < count; ) {
    const flags = log.readBigUInt64LE(at + 16);
    const length = Number(log.readBigUInt64LE(at + 8)) * sector;
    if (flags & discardFlag) throw new Error("the log holds a discard, which this replay does not know");
    const offset = Number(log.readBigUInt64LE(at)) * sector;
    const begin = at + sector;
    entries.push({
      offset,
      data: log.subarray(begin, begin + length),
      flush: (flags & (flushFlag | fuaFlag)) !== 0n,
    });
    at = begin + length;
  }
  return entries;
}
