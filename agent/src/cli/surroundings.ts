import type { Surroundings } from "./context.ts";

type Process = Pick<typeof process, "env" | "stdin" | "stdout" | "stderr">;

/** The terminal or the pipes that the process was started with. */
export function findSurroundings({ env, stdin, stdout, stderr }: Process = process): Surroundings {
  // `steelyard … | head`: whoever reads may stop reading.
  stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    stderr.write(`steelyard: the output cannot be written: ${error.message}\n`);
    process.exit(1);
  });
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
