import type { NftTable } from "../adapters/nft-table.ts";
import { arrivalLabel, clearSlot, setSlot } from "../adapters/route-numbers.ts";
import { addressFamily } from "../configuration/fields.ts";
import type { Vrf } from "../configuration/vrf.ts";

export const marksTable = "steelyard_routing";

/**
 * Rules that send an answer back by the interface through which the connection came in. A connection gets the label of its
 * interface with its first packet; packets of the answering direction get the mark that picks the interface's table. A source
 * address alone cannot say it: the answer of a backend is translated back only after it was routed.
 *
 * Our bits of the packet mark are cleared when a packet arrives and before it leaves, because nftlb copies marks between
 * packets and connections and compares them as a whole.
 */
export function renderMarks(
  slots: readonly { name: string; slot: number }[],
  vrfs: readonly Vrf[] = [],
): NftTable | undefined {
  const guards = vrfs.flatMap(renderGuards);
  if (slots.length === 0 && guards.length === 0) return undefined;
  return {
    name: marksTable,
    chains: [
      { name: "answer", rules: slots.map(({ slot }) => `ct label ${arrivalLabel(slot)} ${setSlot(slot)} return`) },
      {
        name: "arrival",
        rules: slots.map(({ name, slot }) => `iifname "${name}" ct label set ${arrivalLabel(slot)} return`),
      },
      {
        // After nftlb's chain at -150, before the routing decision.
        name: "prerouting",
        base: "type filter hook prerouting priority -140; policy accept;",
        rules: [clearSlot, "ct direction reply jump answer", "ct direction original ct state new jump arrival"],
      },
      {
        // Answers of the box itself: `route` asks the tables again when the mark was changed.
        name: "output",
        base: "type route hook output priority -140; policy accept;",
        rules: ["ct direction reply jump answer"],
      },
      {
        // Before nat at 100, where nftlb would take the packet's mark over into the connection's.
        name: "postrouting",
        base: "type filter hook postrouting priority 90; policy accept;",
        rules: [clearSlot],
      },
      // Before translations: whom the box answers through a VRF must come by it, or a stranger could send through it.
      ...(guards.length === 0
        ? []
        : [{ name: "guard", base: "type filter hook prerouting priority -145; policy accept;", rules: guards }]),
    ],
  };
}

/** The packets of a VRF come past twice: by the card, and by the VRF. */
function renderGuards({ name, members, destinations }: Vrf): string[] {
  const inside = ["lo", name, ...members].map((each) => `"${each}"`).join(", ");
  return destinations.map((each) => {
    const protocol = addressFamily(each) === "ipv4" ? "ip" : "ip6";
    return `iifname != { ${inside} } ${protocol} saddr ${each} counter drop`;
  });
}
