import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Ctrl-], as in telnet(1) and `virsh console`. */
const escapeCode = 0x1d;

/**
 * Joins this terminal and a serial console until Ctrl-], the end of standard input, SIGTERM, or the end of the machine. The
 * terminal is raw meanwhile, so that Ctrl-C and the arrow keys go to the guest.
 */
export async function attachConsole(path: string): Promise<void> {
  const serial = connect(path);
  await once(serial, "connect");
  const { stdin, stdout } = process;
  const isTerminal = stdin.isTTY === true;
  if (isTerminal) stdin.setRawMode(true);
  serial.on("data", (data: Buffer) => stdout.write(data));
  try {
    await waitForEnd(serial, isTerminal);
  } finally {
    if (isTerminal) stdin.setRawMode(false);
    stdin.pause();
    serial.destroy();
  }
}

function waitForEnd(serial: Socket, isTerminal: boolean): Promise<void> {
  return new Promise((resolve) => {
    process.stdin.on("data", (data: Buffer) => {
      if (isTerminal && data.includes(escapeCode)) resolve();
      else serial.write(data);
    });
    // Input from a file or /dev/null ends at once; the console is still worth watching.
    if (isTerminal) process.stdin.once("end", resolve);
    process.once("SIGTERM", () => resolve());
    serial.once("close", () => resolve());
    serial.once("error", () => resolve());
  });
}
