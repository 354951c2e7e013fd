import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor, withTimeout } from "../wait.ts";
import { Screen } from "./screen.ts";
import { stripControl } from "./serial-scan.ts";

/** A person at a serial console: reads what it shows, in order, and types. */
export class SerialDialogue {
  readonly #socket: Socket;
  /** What has come since the last thing that was waited for. */
  #unread = "";
  #wake: (() => void) | undefined;
  readonly #screen = new Screen();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      this.#unread += text;
      void this.#screen.write(text);
      this.#wake?.();
    });
    socket.on("error", () => socket.destroy());
  }

  /** `path` is the socket of QEMU's serial port; it takes one visitor at a time. */
  static async open(path: string): Promise<SerialDialogue> {
    const socket = connect(path);
    await once(socket, "connect");
    return new SerialDialogue(socket);
  }

  /** Waits until the console shows this, and returns all that came up to its end. Milliseconds, scaled to the machine. */
  async expect(pattern: RegExp, timeout: number): Promise<string> {
    const search = async () => {
      for (;;) {
        const text = stripControl(this.#unread);
        const found = pattern.exec(text);
        if (found) {
          const end = found.index + found[0].length;
          this.#unread = text.slice(end);
          return text.slice(0, end);
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    try {
      return await withTimeout(`${pattern} on the serial console`, timeout, search());
    } catch (error) {
      const shown = stripControl(this.#unread).slice(-500);
      throw new Error(`${error instanceof Error ? error.message : error}; it shows: ${shown}`, { cause: error });
    }
  }

  /** Waits until a terminal of 80x24 shows this, and returns its screen. Milliseconds, scaled to the machine. */
  async see(pattern: RegExp, timeout: number): Promise<string> {
    const found = async () => (pattern.test(this.#screen.text()) ? this.#screen.text() : undefined);
    try {
      return await waitFor(`${pattern} on the screen`, found, { timeout, interval: 100 });
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : error}; it shows:\n${this.#screen.text()}`, {
        cause: error,
      });
    }
  }

  /** Presses keys one after the other, as a hand does: a key that begins a sequence is told from Escape by the time that passes. */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) {
      this.#socket.write(key);
      await sleep(300);
    }
  }

  /** Types a line and presses Enter. */
  type(line: string): void {
    this.#socket.write(`${line}\r`);
  }

  close(): void {
    this.#socket.destroy();
  }
}
