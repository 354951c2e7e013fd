import { type Readable, Writable } from "node:stream";
import * as clack from "@clack/prompts";

/**
 * Questions on a terminal that knows a cursor, each on a screen of its own: 80x24, keyboard only, plain ASCII where TERM is linux. The same on
 * VGA, a serial line and SSH.
 */

export type Choice<Value> = { value: Value; label: string; hint?: string };

export type Prompts = {
  /** Clears the screen, and writes a heading and what is to be said before the question. */
  screen(title: string, lines?: readonly string[]): void;
  /** Writes one of those lines anew while a question stands below, whose cursor stays where it is. */
  replaceLine(at: number, text: string): void;
  text(question: string, initial: string, check: (typed: string) => string | undefined): Promise<string>;
  secret(question: string, check: (typed: string) => string | undefined): Promise<string>;
  choose<Value extends string>(
    question: string,
    choices: readonly Choice<Value>[],
    initial?: Value,
    until?: AbortSignal,
  ): Promise<Value>;
  /** Some of them: Space marks. */
  several(question: string, choices: readonly Choice<string>[], initial: readonly string[]): Promise<string[]>;
  /** Of many: what is typed narrows them down. */
  search(question: string, values: readonly string[], initial: string): Promise<string>;
  confirm(question: string, initial: boolean): Promise<boolean>;
};

type Terminal = Writable & { columns?: number; rows?: number; isTTY?: boolean };

/** What the library draws beyond ASCII, in it: consoles and serial lines have fonts of their own. */
const plain: Record<string, string> = {
  ...{ "█": "_", "↑": "Up", "↓": "Down", "•": "-", "…": "...", "▪": "*" },
  ...{ "◆": "*", "◇": "o", "■": "x", "▲": "!", "●": ">", "○": " ", "│": "|", "└": "-", "┌": "-" },
};

function inAscii(terminal: Terminal): Writable {
  const output = new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      terminal.write(String(chunk).replace(/[\u0080-\uffff]/g, (each) => plain[each] ?? "?"));
      done();
    },
  });
  // A serial line that does not know its size says 0.
  return Object.defineProperties(output, {
    isTTY: { value: true },
    columns: { get: () => terminal.columns || 80 },
    rows: { get: () => terminal.rows || 24 },
  });
}

/** Lines of words that fit the screen. */
export function fold(text: string, width = 74): string[] {
  return text.match(new RegExp(`.{1,${width}}(?:\\s|$)|\\S{${width}}`, "g"))?.map((line) => line.trim()) ?? [];
}

/** Escape or Ctrl-C: one screen back. */
export class WentBack extends Error {
  constructor() {
    super("went back");
  }
}

/** Ends the process's part in the dialogue: somebody else has answered, or the line has hung up. */
export function makePrompts(input: Readable, terminal: Terminal, signal?: AbortSignal): Prompts {
  const output = inAscii(terminal);
  const common = (until?: AbortSignal) => ({
    input,
    output,
    withGuide: false,
    ...(signal || until ? { signal: AbortSignal.any([signal, until].filter((each) => each !== undefined)) } : {}),
  });
  const settle = async <Value>(asked: Promise<unknown>): Promise<Value> => {
    const answer = await asked;
    signal?.throwIfAborted();
    if (clack.isCancel(answer)) throw new WentBack();
    return answer as Value;
  };
  const validate = (check: (typed: string) => string | undefined) => (typed: string | undefined) => check(typed ?? "");
  return {
    screen(title, lines = []) {
      const heading = [
        "",
        `  Steelyard - ${title}`,
        "",
        ...lines.map((line) => `  ${line}`.trimEnd()),
        ...(lines.length > 0 ? [""] : []),
      ];
      output.write(`\x1b[H\x1b[2J${heading.map((line) => `${line}\r\n`).join("")}`);
    },
    replaceLine(at, text) {
      // Behind the empty line, the heading and another empty line. DECSC, cursor position, erase, DECRC: VT100 and every console.
      output.write(`\x1b7\x1b[${at + 4};1H\x1b[2K  ${text}\x1b8`);
    },
    text: (message, initialValue, check) =>
      settle<string | undefined>(clack.text({ ...common(), message, initialValue, validate: validate(check) })).then(
        (typed) => (typed ?? "").trim(),
      ),
    secret: (message, check) => settle(clack.password({ ...common(), message, mask: "*", validate: validate(check) })),
    choose: (message, choices, initialValue, until) =>
      settle(
        clack.select({
          ...common(until),
          message,
          options: choices.map((each) => ({ ...each })) as never,
          ...(initialValue === undefined ? {} : { initialValue }),
          maxItems: 10,
          showInstructions: false,
        }),
      ),
    several: (message, choices, initialValues) =>
      settle(
        clack.multiselect({
          ...common(),
          message,
          options: choices.map((each) => ({ ...each })),
          initialValues: [...initialValues],
          required: false,
          maxItems: 10,
          showInstructions: false,
        } as never),
      ),
    search: (message, values, initialValue) =>
      settle(
        clack.autocomplete({
          ...common(),
          message,
          options: values.map((value) => ({ value, label: value })),
          initialValue,
          maxItems: 8,
        }),
      ),
    confirm: (message, initialValue) => settle(clack.confirm({ ...common(), message, initialValue })),
  };
}
