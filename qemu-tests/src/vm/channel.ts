import { withTimeout } from "../wait.ts";
import { JsonLines } from "./json-lines.ts";

export type GuestResult = { code: number; stdout: string; stderr: string };

/**
 * Root commands in the guest over the virtio-serial port `org.steelyard.lab`: one line of JSON in, one out (docs/develop.md,
 * The test channel). It works without network and without a login, so it also reaches a box that is not set up.
 */
export class GuestChannel {
  readonly #lines: JsonLines;
  readonly #answers = new Map<number, (result: GuestResult) => void>();
  readonly #refusals = new Set<(error: Error) => void>();
  #nextId = Math.floor(Math.random() * 1_000_000) * 1000;

  private constructor(lines: JsonLines) {
    this.#lines = lines;
    lines.on("message", (message) => {
      if (typeof message.id !== "number") return;
      const { code = -1, stdout = "", stderr = "", error = "" } = message as Partial<GuestResult> & { error?: string };
      // A command that could not run, or was stopped, comes back with an error and perhaps without a status.
      this.#answers.get(message.id)?.({ code: error === "" ? code : -1, stdout, stderr: `${stderr}${error}` });
    });
    lines.on("close", () => {
      for (const refuse of this.#refusals) refuse(new Error("the test channel closed: QEMU ended"));
    });
  }

  static async connect(path: string): Promise<GuestChannel> {
    return new GuestChannel(await JsonLines.connect(path));
  }

  /** Runs a command; any exit status is an answer. `timeout` in milliseconds of the host, for the way there and back. */
  async ask(argv: readonly string[], timeout: number): Promise<GuestResult> {
    const id = this.#nextId++;
    let refuse: ((error: Error) => void) | undefined;
    const answer = new Promise<GuestResult>((resolve, reject) => {
      refuse = reject;
      this.#refusals.add(reject);
      this.#answers.set(id, resolve);
    });
    this.#lines.send({ id, argv, timeout: Math.ceil(timeout / 1000) });
    try {
      return await withTimeout(`guest: ${argv.join(" ").slice(0, 200)}`, timeout, answer);
    } finally {
      this.#answers.delete(id);
      if (refuse) this.#refusals.delete(refuse);
    }
  }

  close(): void {
    this.#lines.close();
  }
}
