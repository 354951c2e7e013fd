import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { parseDocument, type YAMLParseError } from "yaml";
import { messageOf, SteelyardError } from "../errors.ts";
import type { Fields } from "./fields.ts";

/** The bytes of a file, or of standard input for `-`. Throws `bad-input` that names the file. */
export async function readBytes(path: string): Promise<Buffer> {
  // Not by /dev/stdin: sshd(8) hands over a socket where there is no terminal, and a socket cannot be opened by its path.
  return await (path === "-" ? buffer(process.stdin) : readFile(path)).catch((error: NodeJS.ErrnoException) => {
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

/** An object from YAML. Throws `bad-input` with every mistake and its line. */
export function parseObject(text: string, path: string): Fields {
  const refuse = (words: string[], cause?: unknown) =>
    new SteelyardError("bad-input", words.map((each) => `${path}: ${each}`).join("; "), {
      problems: words.map((message) => ({ path, message })),
      cause,
    });
  const document = parseDocument(text);
  if (document.errors.length > 0) throw refuse(document.errors.map(describe), document.errors[0]);
  let object: unknown;
  try {
    object = document.toJS();
  } catch (error) {
    // Aliases of nothing, or so many that they fill the memory.
    throw refuse([messageOf(error)], error);
  }
  if (typeof object !== "object" || object === null || Array.isArray(object))
    throw refuse(["expected fields and their values"]);
  return object as Fields;
}

function describe({ code, message, linePos }: YAMLParseError): string {
  if (code === "MULTIPLE_DOCS") return `line ${linePos?.[0].line ?? 1}: expected one document: another one begins here`;
  // Below the first line stands a picture of the place.
  return (message.split("\n")[0] ?? "").replace(
    / at line (\d+), column (\d+):?$/,
    (_, line, column) => ` (line ${line}, column ${column})`,
  );
}
