import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { Machine } from "../../adapters/machine.ts";
import { SteelyardError } from "../../errors.ts";

/** What the page of the reference loads. The image has each as it is and, as `<name>.gz`, compressed. */
export const referenceFiles = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "start.js": "text/javascript; charset=utf-8",
} as const;
export type ReferenceFile = keyof typeof referenceFiles;

/** Beside the bundle of the agent: see image/builder/src/reference.ts. */
export const referenceDirectory = "/usr/lib/steelyard/reference";

export function isReferenceFile(name: string): name is ReferenceFile {
  return Object.hasOwn(referenceFiles, name);
}

export type ReferenceReader = {
  /** The hash of the content: part of the address that the page names, so that a browser may keep the file for ever. */
  hashOf(name: ReferenceFile): Promise<string>;
  /** From the disk, piece by piece. */
  open(name: ReferenceFile, compressed: boolean): Promise<{ size: number; stream: Readable }>;
};

/** Reads what the image has. Nothing of it is kept in memory but the hashes: the root is read-only, so they hold. */
export function makeReferenceReader(machine: Machine): ReferenceReader {
  const hashes = new Map<string, string>();
  const pathOf = (name: string) => machine.path(`${referenceDirectory}/${name}`);

  async function sizeOf(path: string): Promise<number> {
    const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") throw new SteelyardError("not-found", "this machine has no reference to show");
      throw error;
    });
    return size;
  }

  return {
    async hashOf(name) {
      const known = hashes.get(name);
      if (known !== undefined) return known;
      const path = pathOf(name);
      await sizeOf(path);
      const hash = createHash("sha256");
      for await (const part of createReadStream(path)) hash.update(part as Buffer);
      const made = hash.digest("base64url").slice(0, 22);
      hashes.set(name, made);
      return made;
    },
    async open(name, compressed) {
      const path = pathOf(compressed ? `${name}.gz` : name);
      return { size: await sizeOf(path), stream: createReadStream(path) };
    },
  };
}
