import xterm from "@xterm/headless";

/** A terminal of 80 columns and 24 lines: what a person would see of the bytes that come over a line. */
export class Screen {
  // The kernel's terminal sends a carriage return before each line feed (ONLCR of termios(3)); a stream in a test has no kernel.
  readonly #terminal = new xterm.Terminal({
    cols: 80,
    rows: 24,
    allowProposedApi: true,
    scrollback: 0,
    convertEol: true,
  });

  async write(bytes: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#terminal.write(bytes, resolve));
  }

  /** Its lines without the blanks at their ends. */
  text(): string {
    const { active } = this.#terminal.buffer;
    const lines = Array.from(
      { length: 24 },
      (_, at) => active.getLine(active.viewportY + at)?.translateToString(true) ?? "",
    );
    return lines.join("\n").trimEnd();
  }
}
