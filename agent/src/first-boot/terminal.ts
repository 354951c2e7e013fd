import type { ReadStream } from "node:tty";

/** A dialogue on a terminal, one line at a time: the same on VGA, on a serial line and in a test. */
export type Terminal = {
  write(text: string): void;
  /** The line a person typed, without white space around it. Rejects with the signal's reason, or when the line hangs up. */
  ask(question: string, signal?: AbortSignal): Promise<string>;
  /** The same without an echo, and as typed. Ctrl-U clears the line, Ctrl-C rejects with {@link Interrupted}. */
  askSecret(question: string, signal?: AbortSignal): Promise<string>;
  close(): void;
};

type Input = Pick<ReadStream, "on" | "off" | "pause" | "resume" | "setEncoding"> &
  Partial<Pick<ReadStream, "setRawMode">>;
type Output = { write(text: string): unknown };

const [backspace, rubOut, killLine, interrupt, endOfFile] = ["\b", "\x7f", "\x15", "\x03", "\x04"];

/** Ctrl-C where the kernel does not make SIGINT of it. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}

/**
 * The kernel edits and echoes a line (termios(3), canonical mode), so no control sequence is sent and any terminal will do;
 * only for a secret is it told not to, and then backspace is ours.
 */
export function openTerminal(input: Input, output: Output): Terminal {
  let buffer = "";
  let ended = false;
  let wake: (() => void) | undefined;
  const onData = (text: string) => {
    buffer += text;
    wake?.();
  };
  const onEnd = () => {
    ended = true;
    wake?.();
  };
  input.setEncoding("utf8");
  input.on("data", onData);
  input.on("end", onEnd);
  input.on("error", onEnd);

  async function readLine(signal: AbortSignal | undefined, raw = false): Promise<string> {
    const onAbort = () => wake?.();
    signal?.addEventListener("abort", onAbort);
    try {
      input.resume();
      for (;;) {
        signal?.throwIfAborted();
        if (raw) steer();
        const end = buffer.search(/[\r\n]/);
        if (end >= 0) {
          const line = buffer.slice(0, end);
          buffer = buffer.slice(end + 1);
          return line;
        }
        if (ended) throw new Error("the terminal was closed");
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** What the kernel does with these keys outside raw mode: the first line feed may stand before them. */
  function steer(): void {
    const [typed = ""] = buffer.split(/[\r\n]/);
    if (typed.includes(interrupt)) throw new Interrupted();
    if (typed.startsWith(endOfFile)) ended = true;
  }

  return {
    write: (text) => void output.write(text),
    ask: async (question, signal) => {
      output.write(question);
      return (await readLine(signal)).trim();
    },
    askSecret: async (question, signal) => {
      // The echo ends before the question shows, for people and programs may type ahead of it.
      input.setRawMode?.(true);
      try {
        output.write(question);
        return editLine(await readLine(signal, true));
      } finally {
        input.setRawMode?.(false);
        output.write("\n");
      }
    },
    close: () => {
      input.off("data", onData);
      input.off("end", onEnd);
      input.off("error", onEnd);
      input.pause();
    },
  };
}

/** What a line typed without the kernel's help comes to. */
function editLine(typed: string): string {
  let line: string[] = [];
  for (const character of typed) {
    if (character === backspace || character === rubOut) line.pop();
    else if (character === killLine) line = [];
    else if (character >= " ") line.push(character);
  }
  return line.join("");
}
