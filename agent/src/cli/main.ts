import { runCommandLine } from "./program.ts";

/** The `steelyard` command. */

// `steelyard … | head`: whoever reads may stop reading.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

const plain = process.env.TERM === "dumb";

process.exitCode = await runCommandLine(process.argv.slice(2), {
  environment: process.env,
  input: process.stdin,
  output: {
    print: (text) => void process.stdout.write(`${text}\n`),
    warn: (text) => void process.stderr.write(`${text}\n`),
    write: (bytes) => void process.stdout.write(bytes),
    redraw: process.stderr.isTTY && !plain ? (text) => void process.stderr.write(`\r\u001b[K${text}`) : undefined,
    colours: process.stdout.isTTY === true && !process.env.NO_COLOR && !plain,
    // A serial line does not tell its size (0).
    width: process.stdout.isTTY ? process.stdout.columns || undefined : undefined,
  },
});
