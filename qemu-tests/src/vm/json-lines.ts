import { EventEmitter, once } from "node:events";
import { connect, type Socket } from "node:net";

/**
 * A Unix socket on which each line is one JSON object: QMP and the test channel both speak that way. Emits `message` for
 * each object and `close` at the end. A line that is no JSON object is passed over: after a reset of the guest the first
 * one may begin in the middle.
 */
export class JsonLines extends EventEmitter<{ message: [Record<string, unknown>]; close: [] }> {
  readonly #socket: Socket;
  #rest = "";

  private constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#take(text));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.emit("close"));
  }

  static async connect(path: string): Promise<JsonLines> {
    const socket = connect(path);
    await once(socket, "connect");
    return new JsonLines(socket);
  }

  send(message: Record<string, unknown>): void {
    this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const message = parseObject(line);
      if (message) this.emit("message", message);
    }
  }
}

export function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
