import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import * as http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "../../../qemu-tests/src/paths.ts";
import type { Answer, BoxAnswer, BoxOrder, Memory, Question, Ready } from "./protocol.ts";
import type { Tally } from "./trace.ts";

/** One request as its client saw it. */
export type Timed = { status: number; milliseconds: number; text: string };

const timeout = 900_000;

/** A box on this machine with an agent in it, and a client of the agent's local socket in a process of its own: this one. */
export class BenchAgent {
  readonly root: string;
  readonly #box: ChildProcess;
  readonly #connections = new http.Agent({ keepAlive: true });
  #waiting: ((answer: BoxAnswer) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  private constructor(root: string, program: string, farms: number) {
    this.root = root;
    const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const box = join(repository, "bench/src/control/box.ts");
    const node = [process.execPath, "--import", "./register.mjs", box, root, program, String(farms)];
    this.#box = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...namespaces, ...node], {
      cwd: repository,
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#box.on("message", (answer: BoxAnswer) => this.#waiting?.(answer));
    this.#box.on("error", (error) => this.#failed?.(error));
    this.#box.on("exit", (code) => this.#failed?.(new Error(`the box ended with ${code}`)));
  }

  /** The socket's path has room for 107 bytes, so the root is in /tmp or wherever TMPDIR says: on the disk that is measured. */
  static async create(program: string, farms: number): Promise<BenchAgent> {
    const root = await mkdtemp(join(tmpdir(), "steelyard-bench-"));
    const made = new BenchAgent(root, program, farms);
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => {
        rmSync(root, { recursive: true, force: true });
        process.exit(1);
      });
    await made.#next((answer) => ("up" in answer ? true : undefined));
    return made;
  }

  /** Starts an agent on what the one before left behind. */
  async start(nodeOptions: string[] = []): Promise<Ready> {
    return (await this.#order({ start: { arguments: nodeOptions } }, (answer) => pick(answer, "ready"))) as Ready;
  }

  /** Ends the agent; the data plane and the configuration stay. */
  async stop(): Promise<void> {
    await this.#order({ question: { ask: "stop" } }, (answer) => ("ended" in answer ? true : undefined));
    this.#connections.destroy();
  }

  async seed(count: number, enabled: number): Promise<Tally> {
    return (await this.#ask({ ask: "seed", count, enabled }, "tally")) as Tally;
  }

  /** What the agent did since it was asked the last time. */
  async take(): Promise<Tally> {
    return (await this.#ask({ ask: "take" }, "tally")) as Tally;
  }

  async memory(): Promise<Memory> {
    return (await this.#ask({ ask: "memory" }, "memory")) as Memory;
  }

  async request(method: string, path: string, body?: unknown): Promise<Timed> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const begin = performance.now();
    return await new Promise((resolve, reject) => {
      const socketPath = join(this.root, "run/steelyard/api.sock");
      const request = http.request(
        { socketPath, method, path: `/api/v1${path}`, headers, timeout, agent: this.#connections },
        (response) => {
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.on("end", () => {
            const milliseconds = performance.now() - begin;
            resolve({ status: response.statusCode ?? 0, milliseconds, text: Buffer.concat(parts).toString("utf8") });
          });
        },
      );
      request.on("error", reject);
      request.end(text);
    });
  }

  async close(): Promise<void> {
    this.#connections.destroy();
    this.#failed = undefined;
    const gone = new Promise((resolve) => this.#box.once("exit", resolve));
    if (this.#box.exitCode === null) {
      this.#box.disconnect();
      await gone;
    }
    await rm(this.root, { recursive: true, force: true });
  }

  async #ask(question: Question, key: "tally" | "memory"): Promise<unknown> {
    return await this.#order({ question }, (answer) => pick(answer, key));
  }

  async #order<Result>(order: BoxOrder, take: (answer: BoxAnswer) => Result | undefined): Promise<Result> {
    const answer = this.#next(take);
    this.#box.send(order);
    return await answer;
  }

  async #next<Result>(take: (answer: BoxAnswer) => Result | undefined): Promise<Result> {
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer from the agent in ${timeout} ms`)), timeout);
      const settle = (act: () => void) => {
        clearTimeout(timer);
        this.#waiting = undefined;
        this.#failed = undefined;
        act();
      };
      this.#failed = (error) => settle(() => reject(error));
      this.#waiting = (answer) => {
        const found = take(answer);
        if (found !== undefined) return settle(() => resolve(found));
        if ("answer" in answer && "failure" in answer.answer) {
          const { failure } = answer.answer;
          return settle(() => reject(new Error(failure)));
        }
        if ("ended" in answer) settle(() => reject(new Error(`the agent ended with ${answer.ended}`)));
      };
    });
  }
}

function pick(answer: BoxAnswer, key: "ready" | "tally" | "memory"): unknown {
  return "answer" in answer ? (answer.answer as Record<string, unknown>)[key as keyof Answer] : undefined;
}
