import { readFile } from "node:fs/promises";
import { parse, YAMLParseError } from "yaml";
import { SteelyardError } from "../errors.ts";
import type { Fields } from "./fields.ts";

/** The bytes of a file, or of standard input for `-`. Throws `bad-input` that names the file. */
export async function readBytes(path: string): Promise<Buffer> {
  return await readFile(path === "-" ? "/dev/stdin" : path).catch((error: NodeJS.ErrnoException) => {
    const words = error.code === "ENOENT" ? "no such file" : error.message;
    throw new SteelyardError("bad-input", `${path}: ${words}`, { cause: error });
  });
}

/** The text of a file without its last line break: a password, a key, a certificate. */
export async function readTextFile(path: string): Promise<string> {
  return (await readBytes(path)).toString("utf8").replace(/\r?\n$/, "");
}

/** Reads an object from a YAML file (JSON is YAML), or from standard input for `-`. Throws `bad-input` that names the file. */
export async function readObjectFile(path: string): Promise<Fields> {
  return parseObject((await readBytes(path)).toString("utf8"), path);
}

/** An object from YAML. Throws `bad-input` with the line. */
export function parseObject(text: string, path: string): Fields {
  const refuse = (words: string, cause?: unknown) => new SteelyardError("bad-input", `${path}: ${words}`, { cause });
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
