import { withTimeout } from "../wait.ts";
import { JsonLines } from "./json-lines.ts";

/** QEMU's machine protocol: power, state and screen of the virtual machine, from outside the guest. */
export class Qmp {
  readonly #lines: JsonLines;
  readonly #events: string[] = [];

  private constructor(lines: JsonLines) {
    this.#lines = lines;
    lines.on("message", (message) => {
      if (typeof message.event === "string") this.#events.push(message.event);
    });
  }

  static async connect(path: string): Promise<Qmp> {
    const qmp = new Qmp(await JsonLines.connect(path));
    await qmp.execute("qmp_capabilities");
    return qmp;
  }

  /** Names of the events so far: RESET, SHUTDOWN, STOP and so on. */
  get events(): readonly string[] {
    return this.#events;
  }

  /** QMP answers in the order of the questions; this class asks one at a time per caller and tags each with an id. */
  async execute(command: string, parameters: Record<string, unknown> = {}): Promise<unknown> {
    const id = `${command}-${Math.random()}`;
    const answer = new Promise<unknown>((resolve, reject) => {
      const take = (message: Record<string, unknown>) => {
        if (message.id !== id) return;
        stop();
        if ("error" in message) reject(new Error(`QMP ${command}: ${JSON.stringify(message.error)}`));
        else resolve(message.return);
      };
      const close = () => {
        stop();
        reject(new Error(`QMP ${command}: QEMU closed the connection`));
      };
      const stop = () => {
        this.#lines.off("message", take);
        this.#lines.off("close", close);
      };
      this.#lines.on("message", take);
      this.#lines.on("close", close);
    });
    this.#lines.send({ execute: command, arguments: parameters, id });
    return withTimeout(`QMP ${command}`, 30_000, answer);
  }

  async status(): Promise<string> {
    return ((await this.execute("query-status")) as { status: string }).status;
  }

  close(): void {
    this.#lines.close();
  }
}
