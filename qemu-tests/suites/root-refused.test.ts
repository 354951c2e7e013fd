import type { Test } from "tap";
import type { Box } from "../src/box/box.ts";
import type { Suite } from "../src/suite.ts";
import { type Partition, readBlocks, readPartitions, writeBlocks } from "../src/vm/disk-blocks.ts";
import { waitFor } from "../src/wait.ts";

/** Bytes; what dm-verity reads and checks at once. */
const block = 4096;

/** A root that is not the one that was built. The box is not set up yet, so these boots cost only their first seconds. */
export const rootRefused: Suite = {
  name: "root-refused",
  machine: "blank",
  setup: { blank: true },
  run: async ({ box, check }) => {
    const { machine } = box;
    const partitions = await readPartitions(machine.disk);
    const root = findPartition(partitions, "steelyard-root-a");
    const whole = await readBlocks(machine.disk, root.offset, block);
    const environment = await findEnvironment(machine.disk, findPartition(partitions, "steelyard-esp"));

    await check(
      "a root with one changed bit is not booted, the console says so, and the slot has lost a try",
      async (t) => {
        const damaged = Buffer.from(whole);
        // Behind the superblock's own fields: nothing but the hash can notice.
        damaged.writeUInt8((damaged[block - 1] ?? 0) ^ 1, block - 1);
        await writeBlocks(machine.disk, root.offset, damaged);
        await expectRefusal(t, box, /device-mapper: verity: .*data block 0 is corrupted/);
        t.match(await readEnvironment(machine.disk, environment), { a_tries: "2" });
        await writeBlocks(machine.disk, root.offset, whole);
      },
    );
    await check("a root hash that is not the root's is not booted either, and takes the next try", async (t) => {
      const wrong = "0123456789abcdef".repeat(4);
      const before = await readEnvironment(machine.disk, environment);
      // Where an attacker could write: GRUB takes more kernel arguments from its environment, and the last root hash counts.
      await writeEnvironment(machine.disk, environment, { ...before, extra: `roothash=${wrong}` });
      await expectRefusal(t, box, /slot a: the root does not match its hash|verity: .*is corrupted/);
      const after = await readEnvironment(machine.disk, environment);
      t.match(after, { a_tries: "1" });
      const { extra, ...mended } = after;
      await writeEnvironment(machine.disk, environment, mended);
    });
  },
};

/** Boots until the box starts itself again, and turns it off. Nothing of the root may have run. */
async function expectRefusal(t: Test, box: Box, reason: RegExp): Promise<void> {
  const { machine } = box;
  const before = (await machine.serialText()).length;
  await machine.start();
  const restarted = async () => machine.qmp.events.includes("RESET");
  try {
    await waitFor("the box to start itself again", restarted, { timeout: machine.scale(30_000), interval: 200 });
  } finally {
    await machine.cutPower();
  }
  const text = (await machine.serialText()).slice(before);
  t.match(text, reason);
  t.match(text, /Steelyard, slot a/, "the boot loader had chosen slot a");
  t.notMatch(text, /Welcome to|login:|Reached target/, "systemd was not started");
}

function findPartition(partitions: readonly Partition[], label: string): Partition {
  const found = partitions.find((each) => each.label === label);
  if (!found) throw new Error(`there is no partition ${label}`);
  return found;
}

const environmentLength = 1024;
const headline = "# GRUB Environment Block\n";

/** Where GRUB's environment block is on the disk: a file of one cluster, found by its first line. */
async function findEnvironment(disk: string, { offset, length }: Partition): Promise<number> {
  const at = (await readBlocks(disk, offset, length)).indexOf(headline);
  if (at < 0) throw new Error("the EFI system partition holds no GRUB environment");
  return offset + at;
}

async function readEnvironment(disk: string, at: number): Promise<Record<string, string>> {
  const text = (await readBlocks(disk, at, environmentLength)).toString("latin1");
  return Object.fromEntries([...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]));
}

async function writeEnvironment(disk: string, at: number, variables: Record<string, string>): Promise<void> {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
  await writeBlocks(disk, at, Buffer.from(`${headline}${lines.join("")}`.padEnd(environmentLength, "#"), "latin1"));
}
