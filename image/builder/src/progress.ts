/** Tells the person at the terminal what is going on: one live line on a TTY, one line a stage elsewhere. */
export type Progress = {
  stage(title: string): Stage;
};

export type Stage = {
  /** The last line the tool said. */
  line(text: string): void;
  done(note?: string): void;
  failed(): void;
};

type Output = { isTTY?: boolean; columns?: number; write(text: string): unknown };

function formatElapsed(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// Tools colour their output and draw bars; on our one line that would be noise.
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters
const escapes = /\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f]/g;

export function makeProgress(output: Output = process.stderr, now: () => number = Date.now): Progress {
  return {
    stage(title) {
      const started = now();
      let last = "";
      const draw = () => {
        const text = `  ${formatElapsed(now() - started).padStart(5)}  ${title}${last ? `: ${last}` : ""}`;
        output.write(`\r\u001b[K${text.slice(0, (output.columns ?? 80) - 1)}`);
      };
      const timer = output.isTTY ? setInterval(draw, 250) : undefined;
      timer?.unref();
      if (output.isTTY) draw();
      else output.write(`${title} …\n`);
      const end = (mark: string, note: string) => {
        clearInterval(timer);
        const elapsed = formatElapsed(now() - started);
        output.write(
          `${output.isTTY ? "\r\u001b[K" : ""}${mark} ${elapsed.padStart(5)}  ${title}${note ? `: ${note}` : ""}\n`,
        );
      };
      return {
        line(text) {
          last = text.replaceAll(escapes, " ").trim() || last;
        },
        done: (note = "") => end("✓", note),
        failed: () => end("✗", "failed"),
      };
    },
  };
}
