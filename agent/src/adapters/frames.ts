import type { Machine } from "./machine.ts";

/**
 * Ethernet frames in and out of a link. Node has no packet sockets (packet(7)): socat(1) sends, tcpdump(8) listens, with a filter in
 * the kernel. Needs CAP_NET_RAW.
 */

/** Frames per process: what the queue of a card takes at once. */
const greatestBurst = 250;

/** Sends frames, which have one length, in their order. Fails with `command-failed`. */
export async function sendFrames(machine: Machine, link: string, frames: readonly Buffer[]): Promise<void> {
  const [first] = frames;
  if (!first) return;
  for (let at = 0; at < frames.length; at += greatestBurst) {
    const input = Buffer.concat(frames.slice(at, at + greatestBurst));
    // A pipe keeps no boundaries: what is read at a time is one frame.
    await machine.run(["socat", "-u", "-b", String(first.length), "-", `INTERFACE:${link}`], { input, timeout: 5_000 });
  }
}

export type Capture = {
  /** In the language of pcap-filter(7). */
  filter: string;
  /** Bytes a frame must have to be worth a look, in rising order; one that has more comes again for each, and cut off up to 15 bytes later. */
  least: readonly number[];
  onFrame(frame: Buffer): void;
  /** Called once frames are heard. */
  onReady(): void;
  signal: AbortSignal;
};

/** Listens to what comes in by a link, until the signal. Fails with `command-failed`. */
export async function captureFrames(machine: Machine, link: string, capture: Capture): Promise<void> {
  // -Z root: the agent may not change its user. -1 is what a command ends with that was stopped.
  const options = ["-Z", "root", "-p", "-Q", "in", "-nlqxx", "-s", "128", "--immediate-mode"];
  const readers = capture.least.map((least) => makeFrameReader(capture.onFrame, least));
  await machine.run(["tcpdump", "-i", link, ...options, capture.filter], {
    timeout: 60_000,
    signal: capture.signal,
    accept: [0, -1],
    onLine: (line) => {
      for (const read of readers) read(line);
    },
    onErrorLine: (line) => {
      if (line.startsWith("listening on")) capture.onReady();
    },
  });
}

/** Puts frames together from the lines of `tcpdump -xx`: `\t0x0000:  0180 c200 0002 …`; anything else begins another one. */
export function makeFrameReader(onFrame: (frame: Buffer) => void, least: number): (line: string) => void {
  let bytes = "";
  return (line) => {
    const [, offset, hexadecimal = ""] = /^\s+0x([0-9a-f]+): {2}((?:[0-9a-f]{2,4} ?)+)\s*$/.exec(line) ?? [];
    if (offset === undefined || Number.parseInt(offset, 16) * 2 !== bytes.length) bytes = "";
    if (offset === undefined) return;
    bytes += hexadecimal.replaceAll(" ", "");
    // tcpdump prints 16 bytes in a line.
    if (bytes.length >= least * 2 && bytes.length < least * 2 + 32) onFrame(Buffer.from(bytes, "hex"));
  };
}
