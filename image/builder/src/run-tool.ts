import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { BuildError } from "./errors.ts";
import { build } from "./paths.ts";
import type { Progress } from "./progress.ts";

export type Tool = {
  /** What the person reads while it runs. */
  title: string;
  /** Name of the log under build/logs/. */
  log: string;
  argv: readonly [string, ...string[]];
  environment?: Record<string, string>;
  /** A remark for the finished stage. */
  note?: () => Promise<string>;
};

/** Reasons for a failure that are the machine's and not ours, told by the tool's own words. */
const knownFailures: readonly (readonly [RegExp, string])[] = [
  [
    /Could not resolve|Temporary failure resolving|Unable to connect|Cannot initiate the connection|Connection (refused|timed out)|Network is unreachable/i,
    "the package mirror cannot be reached: check the network, or name another with MIRROR=…",
  ],
  [
    /404 +Not Found|does not have a Release file/i,
    "the package mirror does not have what is asked for: name another with MIRROR=…",
  ],
  [/NO_PUBKEY|not signed|invalid signature/i, "the package mirror's signature does not match the Debian keyring"],
  [/No space left on device/i, "the disk is full"],
];

/** A sentence for a failure whose cause the tool's output gives away. */
export function explainFailure(output: string): string | undefined {
  return knownFailures.find(([pattern]) => pattern.test(output))?.[1];
}

let interrupted = false;

/** True once the person pressed Ctrl-C or someone asked us to end. */
export function wasInterrupted(): boolean {
  return interrupted;
}

/**
 * Runs a tool to its end with its output in a log. On SIGINT the terminal has told the tool as well; on SIGTERM we do. Either way we
 * wait for it, for it cleans up after itself, and only then fail.
 */
export async function runTool(tool: Tool, progress: Progress): Promise<void> {
  const directory = join(build, "logs");
  await mkdir(directory, { recursive: true });
  const path = join(directory, tool.log);
  const log = createWriteStream(path);
  const stage = progress.stage(tool.title);
  const started = Date.now();
  const [file, ...args] = tool.argv;
  log.write(`$ ${tool.argv.join(" ")}\n`);
  const child = execa(file, args, {
    all: true,
    buffer: false,
    reject: false,
    stdin: "ignore",
    cleanup: false,
    ...(tool.environment ? { env: tool.environment } : {}),
  });
  const onInterrupt = () => {
    interrupted = true;
  };
  const onTerminate = () => {
    interrupted = true;
    child.kill("SIGTERM");
  };
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  const tail: string[] = [];
  try {
    for await (const line of child.iterable({ from: "all" })) {
      const text = String(line);
      log.write(`[${((Date.now() - started) / 1000).toFixed(1).padStart(6)}] ${text}\n`);
      tail.push(text);
      if (tail.length > 200) tail.shift();
      stage.line(text);
    }
    const result = await child;
    if (interrupted)
      throw new BuildError("interrupted; the next run starts where this one can be trusted", { log: path });
    if (result.exitCode !== 0) {
      const reason = explainFailure(tail.join("\n"));
      const words = tail.filter((text) => text.trim()).slice(-8);
      throw new BuildError(
        `${tool.title}: ${reason ?? `${file} failed (exit status ${result.exitCode ?? result.signal ?? "unknown"})`}\n${words.map((text) => `    ${text}`).join("\n")}`,
        { log: path },
      );
    }
    stage.done(await tool.note?.());
  } catch (error) {
    stage.failed();
    throw error;
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onTerminate);
    log.end();
  }
}
