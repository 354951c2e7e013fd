import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { repository } from "./paths.ts";

/** Of the image, and of the command that is made with it. */
export async function readVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(join(repository, "package.json"), "utf8")) as { version: string };
  return version;
}
