import type { Machine } from "../adapters/machine.ts";
import type { Link } from "../adapters/netlink.ts";
import { messageOf } from "../errors.ts";
import { stateOf } from "./inventory.ts";

export type LinkWatchOptions = {
  /** Takes `link-state` with {link, state, before} and `link-renamed` with {link, before}. */
  publish(kind: string, data: object): void;
  /** Called when a link has carrier that had none, or was not there. */
  onCarrier?(name: string): Promise<void>;
  /** Called some time after a link has appeared that may be a card without its name. */
  onNewCard(): Promise<void>;
  signal: AbortSignal;
  /** Milliseconds: cards come together, as the ports of one board do, and udev first has its turn. */
  patience?: number;
};

type Known = { name: string; state: string };

/**
 * Tells of links as the kernel does: one that appears (no `before`), changes its state, its name, or is gone. Rejects when the
 * kernel refuses to tell; after that it never throws.
 */
export async function watchLinks(
  machine: Machine,
  { publish, onCarrier, onNewCard, signal, patience = 300 }: LinkWatchOptions,
): Promise<void> {
  const known = new Map<number, Known>();
  let timer: NodeJS.Timeout | undefined;
  // What happens before the first list is complete is in the list.
  let listed = false;

  function see(link: Link): void {
    if (link.loopback) return;
    const [before, state] = [known.get(link.index), stateOf(link)];
    known.set(link.index, { name: link.name, state });
    if (!listed) return;
    if (state === "up" && before?.state !== "up")
      onCarrier?.(link.name).catch((error) => machine.log.warn(`${link.name} has carrier: ${messageOf(error)}`));
    if (before === undefined) {
      publish("link-state", { link: link.name, state });
      if (link.kind === undefined && link.ethernet) expectCard();
      return;
    }
    if (before.name !== link.name) publish("link-renamed", { link: link.name, before: before.name });
    if (before.state !== state) publish("link-state", { link: link.name, state, before: before.state });
  }

  function miss(index: number): void {
    const before = known.get(index);
    known.delete(index);
    if (before && listed) publish("link-state", { link: before.name, state: "gone", before: before.state });
  }

  function expectCard(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      onNewCard().catch((error) => machine.log.error(`a new network card: ${messageOf(error)}`));
    }, patience).unref();
  }

  async function compare(): Promise<void> {
    const links = await machine.netlink.links();
    const present = new Set(links.map(({ index }) => index));
    for (const index of [...known.keys()]) if (!present.has(index)) miss(index);
    for (const link of links) see(link);
  }

  machine.followLinks((event) => {
    if (event.kind === "changed") see(event.link);
    else if (event.kind === "removed") miss(event.link.index);
    else compare().catch((error) => machine.log.warn(`network links: ${messageOf(error)}`));
  }, signal);
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  await compare();
  listed = true;
}
