import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { Header } from "tar";

/** One file of an archive that is made in memory. Paths have at most 100 characters, or a directory part beside them. */
export type PackedFile = { path: string; content: Buffer; mode: number };

const compress = promisify(gzip);
const block = 512;

/** A `.tar.gz` of these files in this order, as root's, all of one time: the same files make the same bytes. */
export async function packArchive(files: readonly PackedFile[], time: Date): Promise<Buffer> {
  const parts = files.flatMap(({ path, content, mode }) => {
    const header = Buffer.alloc(block);
    const fields = { path, mode, uid: 0, gid: 0, size: content.length, mtime: time, type: "File" as const };
    // True when a field did not fit and would have to stand in a pax header.
    if (new Header(fields).encode(header, 0)) throw new Error(`${path} does not fit into a tar header`);
    return [header, content, Buffer.alloc((block - (content.length % block)) % block)];
  });
  // Two blocks of zeros are the end (pax(1), ustar).
  return await compress(Buffer.concat([...parts, Buffer.alloc(2 * block)]));
}
