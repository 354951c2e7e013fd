import { join } from "node:path";

/**
 * Pairs of cards of one guest that are wired to each other, frame by frame: a bond in the guest then has a real partner, in a
 * network namespace of the same guest. A bridge of the host would not do, for it keeps LACPDUs to itself (IEEE 802.1D, 7.12.6).
 */
export type CrossedPair = { near: CardEnd; far: CardEnd };
type CardEnd = { id: string; mac: string; socket: string };

export function crossedPairs(directory: string, name: string, count: number): CrossedPair[] {
  const end = (side: "near" | "far", at: number): CardEnd => ({
    id: `${side}${at}`,
    mac: `52:54:00:5e:${side === "near" ? "01" : "02"}:0${at}`,
    socket: join(directory, `${name}-${side}${at}`),
  });
  return Array.from({ length: count }, (_, at) => ({ near: end("near", at), far: end("far", at) }));
}

/** Arguments of QEMU: near ends first, so that the guest numbers them first; slots behind those of the lab's own cards. */
export function crossedArguments(pairs: readonly CrossedPair[]): string[] {
  const ends = [
    ...pairs.map(({ near, far }) => ({ own: near, other: far })),
    ...pairs.map(({ near, far }) => ({ own: far, other: near })),
  ];
  return ends.flatMap(({ own, other }, at) => [
    ...[
      "-netdev",
      `dgram,id=${own.id},local.type=unix,local.path=${own.socket},remote.type=unix,remote.path=${other.socket}`,
    ],
    ...[
      "-device",
      // LACP takes a link of unknown speed or duplex into no group.
      `virtio-net-pci,id=card-${own.id},netdev=${own.id},mac=${own.mac},romfile=,addr=0x${(0x14 + at).toString(16)},speed=10000,duplex=full`,
    ],
  ]);
}
