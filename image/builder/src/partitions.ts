import { BuildError } from "./errors.ts";
import { runInTools } from "./tools-tree.ts";

/** A GPT partition; `start` and `sectors` count 512 bytes. */
export type Partition = { number: number; label: string; uuid: string; start: number; sectors: number };

type SfdiskTable = {
  partitiontable: { partitions: { node: string; start: number; size: number; uuid: string; name?: string }[] };
};

/** Reads the partition table of a disk image. `disk` is a path inside the tools tree. */
export async function readPartitions(tree: string, disk: string): Promise<Partition[]> {
  return parsePartitions(await runInTools(tree, ["sfdisk", "--json", disk]));
}

export function parsePartitions(json: string): Partition[] {
  const { partitiontable } = JSON.parse(json) as SfdiskTable;
  return partitiontable.partitions.map(({ node, start, size, uuid, name }) => ({
    number: Number(/(\d+)$/.exec(node)?.[1]),
    label: name ?? "",
    uuid: uuid.toLowerCase(),
    start,
    sectors: size,
  }));
}

export function findPartition(partitions: readonly Partition[], label: string): Partition {
  const found = partitions.find((partition) => partition.label === label);
  if (!found) throw new BuildError(`the disk has no partition ${label}`);
  return found;
}
