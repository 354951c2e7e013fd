import { readFile } from "node:fs/promises";
import { parse, YAMLParseError } from "yaml";
import { SteelyardError } from "../errors.ts";
import type { Fields } from "./fields.ts";

/** Reads an object from a YAML file (JSON is YAML), or from standard input for `-`. Throws `bad-input` that names the file. */
export async function readObjectFile(path: string): Promise<Fields> {
  const refuse = (words: string, cause?: unknown) => new SteelyardError("bad-input", `${path}: ${words}`, { cause });
  const text = await readFile(path === "-" ? "/dev/stdin" : path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw refuse(error.code === "ENOENT" ? "no such file" : error.message, error);
  });
  let object: unknown;
  try {
    object = parse(text);
  } catch (error) {
    throw refuse(error instanceof YAMLParseError ? (error.message.split("\n")[0] ?? "") : String(error), error);
  }
  if (typeof object !== "object" || object === null || Array.isArray(object))
    throw refuse("expected fields and their values");
  return object as Fields;
}
