import type { Surroundings } from "./context.ts";

/** The terminal or the pipes this process was started with. */
export function findSurroundings(): Surroundings {
  // `steelyard … | head`: whoever reads may stop reading.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  const { env, stdin, stdout, stderr } = process;
  const plain = env.TERM === "dumb";
  return {
    environment: env,
    input: stdin,
    output: {
      print: (text) => void stdout.write(`${text}\n`),
      warn: (text) => void stderr.write(`${text}\n`),
      write: (bytes) => void stdout.write(bytes),
      redraw: stderr.isTTY && !plain ? (text) => void stderr.write(`\r${text.padEnd(78).slice(0, 78)}`) : undefined,
      colours: stdout.isTTY === true && !env.NO_COLOR && !plain,
      // A serial line does not tell its size (0).
      width: stdout.isTTY ? stdout.columns || undefined : undefined,
    },
  };
}
