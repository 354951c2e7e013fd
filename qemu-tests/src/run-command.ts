import { execa } from "execa";

/** A program and its arguments. */
export type Command = readonly [string, ...string[]];

export type CommandResult = { code: number; stdout: string; stderr: string };

export type CommandOptions = {
  /** Milliseconds until the command is killed. */
  timeout?: number;
  input?: string;
  /** Exit statuses that are no error; 0 alone unless told. */
  accept?: number[];
};

/** Runs a command of the host: an argv array, never a shell. Fails with the command's own words in the message. */
export async function runCommand(argv: Command, options: CommandOptions = {}): Promise<CommandResult> {
  const [file, ...args] = argv;
  const timeout = options.timeout ?? 60_000;
  const result = await execa(file, args, {
    reject: false,
    timeout,
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    maxBuffer: 64 * 1024 * 1024,
    stripFinalNewline: false,
  });
  if (result.timedOut) throw new Error(`${argv.join(" ")}: no answer in ${timeout} ms`);
  const code = result.exitCode ?? -1;
  const { stdout, stderr } = result;
  if (!(options.accept ?? [0]).includes(code)) {
    const words = (stderr || stdout || result.shortMessage || "no output").trim();
    throw new Error(`${argv.join(" ")}: exit status ${code}: ${words}`, { cause: result });
  }
  return { code, stdout, stderr };
}
