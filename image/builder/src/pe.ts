import { open } from "node:fs/promises";

/**
 * The content of a section of a PE file (Microsoft PE format, sections "MS-DOS Stub" to "Section Table"), or undefined when it has none of
 * that name. A unified kernel image keeps its parts in such sections: .linux, .initrd, .ucode, .cmdline (UAPI.5).
 */
export async function readSection(path: string, name: string): Promise<Buffer | undefined> {
  const handle = await open(path, "r");
  try {
    const read = async (position: number, length: number) =>
      (await handle.read(Buffer.alloc(length), 0, length, position)).buffer;
    // 0x3c of the DOS header says where the PE signature stands; 4 bytes of it, then the 20 bytes of the COFF header.
    const header = (await read(0x3c, 4)).readUInt32LE(0);
    const coff = await read(header + 4, 20);
    const count = coff.readUInt16LE(2);
    const table = await read(header + 24 + coff.readUInt16LE(16), count * 40);
    for (let at = 0; at < table.length; at += 40) {
      if (table.toString("latin1", at, at + 8).replace(/\0+$/, "") !== name) continue;
      // The size in memory: on the disk the section is filled up with zeroes.
      return await read(table.readUInt32LE(at + 20), table.readUInt32LE(at + 8));
    }
    return undefined;
  } finally {
    await handle.close();
  }
}
