import { setTimeout as sleep } from "node:timers/promises";
import { getSystemErrorName } from "node:util";
import {
  Flags,
  FlagsGet,
  formatMessage,
  MessageType,
  type NetlinkMessage,
  Protocol,
  parseMessages,
  RawNetlinkSocket,
} from "node-netlink";
import { messageOf, SteelyardError } from "../errors.ts";

/**
 * Everything the kernel has of one kind: the messages of a dump of rtnetlink(7), each a header of its kind and attributes. `request` is such
 * a header, `what` stands in the error. Fails with `command-failed`.
 */
export type Dump = (what: string, type: number, request: Buffer) => Promise<Buffer[]>;

/** Milliseconds for one answer. */
const timeout = 10_000;
/** How often a dump is asked that something changed under, and milliseconds by which each wait is longer than the one before: 0.9 s in all. */
const [attempts, pause] = [10, 20];
/**
 * Bytes: the kernel fills datagrams of up to 32 KiB once it has seen such a buffer, and of 4 KiB before. A route of 250 hops does not fit into those: it is
 * left out without a word, together with all that follow in its table (Linux 6.18; what `ip` shows ends there as well). Now that are 2,000 hops.
 * Of rules the kernel does not tell that one went between two datagrams, and leaves out another then: three hundred fit into one.
 */
const receiveBuffer = 32 * 1024;

/**
 * One socket for several dumps, one after the other. The requests of node-netlink hide the last message of a dump, and that is the one which
 * says that the dump is not whole: by an error, or by the flag that something changed meanwhile.
 */
export async function withDumps<Answer>(work: (dump: Dump) => Promise<Answer>): Promise<Answer> {
  // 0: as the kernel makes them. It waits with the rest of a dump until what is there was read, so nothing is lost.
  const buffers = { recvBufferSize: 0, sendBufferSize: 0, messagePeeking: false, msgBufferSize: receiveBuffer };
  const socket = new RawNetlinkSocket(Protocol.ROUTE, buffers);
  let sequence = 0;
  try {
    // It shows the kernel our buffer.
    await ask(socket, ++sequence, MessageType.NOOP, Flags.ACK);
    return await work(async (what, type, request) => {
      try {
        for (let attempt = 0; attempt < attempts; attempt++) {
          const found = await ask(socket, ++sequence, type, FlagsGet.DUMP, request);
          if (found !== "interrupted") return found;
          await sleep(attempt * pause);
        }
        throw new Error(`they changed while they were listed, ${attempts} times in a row`);
      } catch (error) {
        const words = `netlink: the kernel did not list its ${what}: ${messageOf(error)}`;
        throw new SteelyardError("command-failed", words, { cause: error });
      }
    });
  } finally {
    socket.close();
  }
}

function ask(
  socket: RawNetlinkSocket,
  sequence: number,
  type: number,
  flags: number,
  data: Buffer = Buffer.alloc(0),
): Promise<Buffer[] | "interrupted"> {
  return new Promise((resolve, reject) => {
    const collect = makeCollector(sequence);
    const timer = setTimeout(() => fail(new Error(`no answer in ${timeout} ms`)), timeout);
    const fail = (error: Error) => end(() => reject(error));
    const truncated = () => fail(new Error(`a message is longer than ${receiveBuffer} bytes`));
    const receive = (datagram: Buffer) => {
      try {
        const found = collect(parseMessages(datagram));
        if (found) end(() => resolve(found));
      } catch (error) {
        fail(error as Error);
      }
    };
    function end(settle: () => void): void {
      clearTimeout(timer);
      socket.off("message", receive).off("truncatedMessage", truncated).off("error", fail);
      settle();
    }
    socket.on("message", receive).on("truncatedMessage", truncated).on("error", fail);
    const { port } = socket.address();
    const message = formatMessage({ type, flags: flags | Flags.REQUEST, seq: sequence, port, data });
    socket.send(message, {}, (error) => error && fail(error));
  });
}

/** Takes messages as they come, of any number of datagrams; gives what the dump is when it ends. Throws what the kernel says. */
export function makeCollector(
  sequence: number,
): (messages: readonly NetlinkMessage[]) => Buffer[] | "interrupted" | undefined {
  const found: Buffer[] = [];
  let interrupted = false;
  return (messages) => {
    for (const { type, flags, seq, data } of messages) {
      if (seq !== sequence) continue;
      if (flags & Flags.DUMP_INTR) interrupted = true;
      if (type === MessageType.DONE || type === MessageType.ERROR) {
        // Both begin with an errno, negative; that of DONE is 0 when the dump is whole.
        const error = data.length < 4 ? 0 : data.readInt32LE();
        if (error < 0) throw new Error(getSystemErrorName(error));
        return interrupted ? "interrupted" : found;
      }
      found.push(data);
    }
    return undefined;
  };
}
