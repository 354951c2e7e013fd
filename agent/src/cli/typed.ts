import { buffer } from "node:stream/consumers";
import type { Output } from "./output.ts";

/** What a command line takes from elsewhere: the text of a file, or what is typed or piped in. */

/** Fields that hold secrets, by their last word. */
const secret = /^(?:current|.*pass(?:word|phrase)|secretKey)$/i;

export function isSecret(path: string): boolean {
  return secret.test(path.split(".").at(-1) ?? "");
}

/** Whatever is on a command line stands in the list of processes, and most shells keep it. */
export function warnOfSecrets(output: Output, words: readonly string[]): void {
  for (const word of words) {
    const [, path = ""] = /^([A-Za-z0-9_.-]+)=./s.exec(word) ?? [];
    if (isSecret(path))
      output.warn(`warning: ${path}: others can read it in the list of processes; ${path}@=- asks for it`);
  }
}

/**
 * Reads what the fields `field@=file` name. `-` asks on a terminal, without an echo; of a pipe it is all there is, or a line for
 * each when several fields want one.
 */
export function makeTextReader(
  input: NodeJS.ReadStream,
  words: readonly string[],
): (file: string, path: string) => Promise<string> {
  const wanted = words.filter((each) => /^[A-Za-z0-9_.-]+@=-$/.test(each)).length;
  let lines: string[] | undefined;
  return async (file, path) => {
    if (file !== "-") return await (await import("./file.ts")).readTextFile(file);
    if (input.isTTY) return await (await import("./password.ts")).readSecret(input, `${path}: `);
    lines ??= splitInput((await buffer(input)).toString("utf8"), wanted);
    return lines.shift() ?? "";
  };
}

function splitInput(text: string, wanted: number): string[] {
  return wanted > 1 ? text.split(/\r?\n/) : [text.replace(/\r?\n$/, "")];
}
