import { writeFile } from "node:fs/promises";
import { SteelyardError } from "../errors.ts";

/** Writes an answer to a file of its own: never over one, and for its owner alone, for it may hold keys. */
export async function saveAnswer(file: string, body: unknown): Promise<void> {
  const content = Buffer.isBuffer(body) ? body : `${JSON.stringify(body, null, 2)}\n`;
  await writeFile(file, content, { mode: 0o600, flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    const words = error.code === "EEXIST" ? "there is such a file already" : error.message;
    throw new SteelyardError("bad-input", `--output ${file}: ${words}`, { cause: error });
  });
}
