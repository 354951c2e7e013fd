import type { VirtualMachine } from "../vm/virtual-machine.ts";

/** How exposed systemd finds a unit, from 0 (locked up) to 10. */
export async function readExposure(machine: VirtualMachine, unit: string): Promise<number> {
  const text = await machine.shell(`systemd-analyze security --no-pager ${unit} | tail -1`, machine.scale(20_000));
  const exposure = /\d+\.\d+/.exec(text)?.[0];
  if (exposure === undefined) throw new Error(`systemd-analyze says nothing of ${unit}: ${text}`);
  return Number(exposure);
}

/**
 * Runs a daemon of the image, which are all off, with configuration files of its own, and puts everything back: files by path. A
 * daemon that does not start fails with what the journal has of it.
 */
export async function withDaemon(
  machine: VirtualMachine,
  unit: string,
  files: Record<string, string>,
  body: () => Promise<void>,
): Promise<void> {
  const paths = Object.keys(files);
  for (const path of paths) await machine.shell(`[ ! -e ${path} ] || cp -a ${path} ${path}.kept`);
  try {
    for (const [path, text] of Object.entries(files)) await writeFile(machine, path, text);
    const { code } = await machine.guest(["systemctl", "start", unit], machine.scale(30_000));
    if (code !== 0) throw new Error(`${unit} does not start:\n${await readLastWords(machine, unit)}`);
    await body();
  } finally {
    await machine.run(["systemctl", "stop", unit], { timeout: machine.scale(30_000) });
    for (const path of paths) await machine.shell(`rm -f ${path}; [ ! -e ${path}.kept ] || mv ${path}.kept ${path}`);
    await machine.guest(["systemctl", "reset-failed", unit], machine.scale(10_000));
  }
}

export async function writeFile(machine: VirtualMachine, path: string, text: string): Promise<void> {
  await machine.run(["/bin/sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"', "-", path, text]);
}

async function readLastWords(machine: VirtualMachine, unit: string): Promise<string> {
  return await machine.shell(`journalctl --boot --no-pager --output=cat --lines=20 --unit=${unit}`);
}
