import type { Readable } from "node:stream";
import { execa } from "execa";
import { SteelyardError } from "../errors.ts";

export type RunOptions = {
  /** Milliseconds until the command is killed. */
  timeout?: number;
  /** Text or bytes for its standard input. */
  input?: string | Uint8Array;
  signal?: AbortSignal;
  environment?: Record<string, string>;
  /** Exit statuses that are not an error; 0 alone unless told. */
  accept?: number[];
  /** Takes standard output as the bytes that come, each time before the next ones; it is not kept then. */
  onBytes?(part: Uint8Array): void;
  /** Takes standard output line by line; it is not kept then, so that it may be of any length. */
  onLine?(line: string): void;
  /** Takes its words on standard error line by line as they come; they are kept all the same. */
  onErrorLine?(line: string): void;
};

export type RunResult = { code: number; stdout: string; stderr: string };

/** Runs a command: an argv array, never a shell. Fails with `command-failed`, the command's own words in the message. */
export type Run = (argv: readonly [string, ...string[]], options?: RunOptions) => Promise<RunResult>;

const defaultTimeout = 30_000;

export const run: Run = async (argv, options = {}) => {
  const [file, ...args] = argv;
  const child = execa(file, args, {
    reject: false,
    timeout: options.timeout ?? defaultTimeout,
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    ...(options.signal ? { cancelSignal: options.signal } : {}),
    ...(options.environment ? { env: options.environment } : {}),
    maxBuffer: 64 * 1024 * 1024,
    stripFinalNewline: false,
    buffer: { stdout: options.onLine === undefined && options.onBytes === undefined },
  });
  if (options.onBytes) child.stdout?.on("data", options.onBytes);
  const errors = options.onErrorLine && child.stderr && splitLines(child.stderr, options.onErrorLine);
  if (options.onLine && child.stdout) await splitLines(child.stdout, options.onLine);
  await errors;
  const result = await child;
  const code = result.exitCode ?? -1;
  const { stdout = "", stderr } = result;
  if (result.timedOut)
    throw new SteelyardError("command-failed", `${file}: no answer in ${options.timeout ?? defaultTimeout} ms`);
  if (!(options.accept ?? [0]).includes(code)) {
    const words = (stderr || stdout || result.shortMessage || "no output").trim();
    throw new SteelyardError("command-failed", `${argv.join(" ")}: exit status ${code}: ${words}`, { cause: result });
  }
  return { code, stdout, stderr };
};

async function splitLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  if (rest !== "") onLine(rest);
}
