import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { BondProposal } from "../network/propose-bonds.ts";
import { describeBond, keyOf, managementOf, type PlannedBond } from "./draft.ts";
import { fold, type Prompts, WentBack } from "./prompts.ts";
import { complain, keys, type ScreensOptions, type ShownLink, type Step, title } from "./steps.ts";
import { askWhileWatching } from "./watching.ts";

/** The screens about links: the card for management, the bonds that the cabling suggests, the VLAN. */

/** Seconds: a switch that nobody answers sends LACP every 30. */
const longest = 31;

/** Begun as soon as the cards are up, so that it is over by the time the question comes. */
type Listening = { cards: string; proposals: Promise<readonly BondProposal[]> };
const listenings = new WeakMap<ScreensOptions, Listening>();

function listen(options: ScreensOptions, links: readonly ShownLink[]): Listening | undefined {
  const cards = links.filter(({ carrier }) => carrier).map(({ name }) => name);
  if (cards.length < 2) return undefined;
  const before = listenings.get(options);
  if (before?.cards === cards.join()) return before;
  const proposals = options.proposeBonds(longest);
  proposals.catch(() => undefined);
  const listening = { cards: cards.join(), proposals };
  listenings.set(options, listening);
  return listening;
}

/** Lights change while somebody plugs in a cable to find out which port it is, so the list is drawn anew when they do. */
export const askInterface: Step = async (options, { draft, ...rest }) => {
  const { prompts, readLinks, interval = 2_000 } = options;
  for (;;) {
    const links = await readLinks();
    listen(options, links);
    prompts.screen(title(2, "management interface"), [
      "Which card is the box managed by? Lights are shown as they change:",
      `plug in a cable to find its port. ${keys}`,
    ]);
    if (links.length === 0) {
      await prompts.confirm("No network interface was found. Look again?", true);
      continue;
    }
    const first = links.find(({ carrier }) => carrier) ?? links[0];
    const chosen = links.find(({ name }) => name === draft.interface) ?? first;
    const choices = links.map((link) => ({ value: link.name, label: describeLink(link) }));
    const shown = links.map(describeLink).join();
    const hasChanged = async () => (await readLinks().catch(() => links)).map(describeLink).join() !== shown;
    const name = await askWhileWatching(interval, hasChanged, (changed) =>
      prompts.choose("Management interface", choices, chosen?.name, changed).catch((error) => {
        if (error instanceof WentBack && changed.aborted) return undefined;
        throw error;
      }),
    );
    if (name !== undefined) return { ...rest, draft: { ...draft, interface: name } };
  }
};

/** `[*] nic0   up 1000   52:54:00:5e:00:01 virtio_net  switch1 port 7`: at most 70 columns. */
function describeLink({ name, mac, driver, carrier, speed, neighbour }: ShownLink): string {
  const light = carrier ? "[*]" : "[ ]";
  const state = carrier ? (speed === undefined ? "up" : `up ${speed}`) : "no link";
  const cells = [
    light,
    name.padEnd(8),
    state.padEnd(9),
    (mac ?? "-").padEnd(17),
    (driver ?? "-").padEnd(10),
    neighbour ? `${neighbour.system ?? neighbour.chassis} ${neighbour.port}` : "",
  ];
  return cells.join(" ").trimEnd().slice(0, 70);
}

/** Each proposal with its reason, to take or to decline; then, when there is no bond, whether one is to be made by hand. */
export const askBonds: Step = async (options, given) => {
  const { prompts } = options;
  const { draft, ...rest } = given;
  const links = await options.readLinks();
  const proposals = await hear(options, links);
  const keysOf = proposals.map(keyOf);
  const own = draft.bonds.filter((bond) => !keysOf.includes(keyOf(bond)));
  const bonds: PlannedBond[] = [];
  const declined: string[] = [];
  for (const proposal of proposals) {
    const { name, mode, members, reason } = proposal;
    if (own.some((bond) => bond.members.some((member) => members.includes(member)))) continue;
    prompts.screen(title(3, "bonds"), [...fold(`${reason}.`), "", ...about({ name, mode, members }), "", keys]);
    const answer = await prompts.choose(
      `Make the bond ${describeBond(proposal)}?`,
      [
        { value: "take", label: "make it" },
        { value: "leave", label: "no, leave these cards as they are" },
      ],
      draft.declined.includes(keyOf(proposal)) ? "leave" : "take",
    );
    if (answer === "take") bonds.push({ name, mode, members });
    else declined.push(keyOf(proposal));
  }
  const next = { ...draft, bonds, declined };
  if (bonds.length > 0) return { ...rest, draft: { ...next, bonds: [...bonds, ...own] } };
  return { ...rest, draft: { ...next, bonds: await askOwnBonds(options, links, own, proposals.length) } };
};

function about({ mode, members }: PlannedBond): string[] {
  const words = {
    "802.3ad": "LACP: all cards carry traffic, and a cable may fail.",
    "active-backup": "One card carries traffic, another takes over when it fails.",
  };
  return [words[mode], `A management address on ${members.join(" or ")} goes to the bond.`];
}

/** What was heard; a person in a hurry need not wait for all of it. */
async function hear(options: ScreensOptions, links: readonly ShownLink[]): Promise<readonly BondProposal[]> {
  const { prompts } = options;
  const listening = listen(options, links);
  if (!listening) return [];
  const over = new AbortController();
  const proposals = listening.proposals.finally(() => over.abort());
  proposals.catch(() => undefined);
  // What is over already needs no screen.
  await Promise.race([proposals.catch(() => undefined), sleep(50)]);
  if (!over.signal.aborted) {
    prompts.screen(title(3, "bonds"), [
      "Listening for switches that offer a bond (LACP). Such a switch may speak only",
      "every 30 seconds.",
    ]);
    try {
      await prompts.choose("Listening ...", [{ value: "skip", label: "do not wait" }], undefined, over.signal);
      return await options.proposeBonds(0);
    } catch (error) {
      if (!(error instanceof WentBack) || !over.signal.aborted) throw error;
    }
  }
  try {
    return await proposals;
  } catch {
    // A broken look is made again when it is asked for; the agent has logged why.
    listenings.delete(options);
    return [];
  }
}

async function askOwnBonds(
  options: ScreensOptions,
  links: readonly ShownLink[],
  before: readonly PlannedBond[],
  proposed: number,
): Promise<PlannedBond[]> {
  const { prompts } = options;
  const [kept] = before;
  const words =
    links.length < 2
      ? "There is one card, so there is nothing to bond."
      : proposed > 0
        ? "No bond will be made of what the cabling suggests."
        : "The cabling suggests no bond: no switch offers LACP to two cards, or tells by LLDP that two of them lead to it.";
  prompts.screen(title(3, "bonds"), [...fold(words), keys]);
  const answer = await prompts.choose(
    "Bonds",
    [
      ...(kept ? [{ value: "kept", label: `keep ${describeBond(kept)}` }] : []),
      { value: "none", label: "go on without a bond" },
      ...(links.length > 1 ? [{ value: "own", label: "choose cards for a bond" }] : []),
    ],
    kept ? "kept" : "none",
  );
  if (answer === "own") return [await askOwnBond(prompts, links, kept)];
  return answer === "kept" ? [...before] : [];
}

async function askOwnBond(
  prompts: Prompts,
  links: readonly ShownLink[],
  before: PlannedBond | undefined,
): Promise<PlannedBond> {
  let members = before?.members ?? [];
  for (let complaint: string[] = []; ; complaint = ["", "Expected at least two cards: Space marks one."]) {
    prompts.screen(title(3, "bonds"), ["Space marks a card, Enter goes on, Escape goes back.", ...complaint]);
    // Without the light, which looks like the mark.
    const choices = links.map((link) => ({ value: link.name, label: describeLink(link).slice(4) }));
    members = await prompts.several("Cards of the bond", choices, members);
    if (members.length > 1) break;
  }
  const mode = await prompts.choose(
    "Mode",
    [
      { value: "802.3ad", label: "802.3ad (LACP): the switch has a LACP group of these ports" },
      { value: "active-backup", label: "active-backup: nothing is needed of the switch" },
    ],
    before?.mode ?? "802.3ad",
  );
  let number = 0;
  while (links.some(({ name }) => name === `bond${number}`)) number += 1;
  return { name: `bond${number}`, mode, members };
}

const expectedVlan = "expected a whole number from 1 to 4094";
export const vlanId = z.coerce.number(expectedVlan).int(expectedVlan).min(1, expectedVlan).max(4094, expectedVlan);

export const askVlan: Step = async ({ prompts }, { draft, ...rest }) => {
  const { base } = managementOf(draft);
  prompts.screen(title(4, "VLAN"), [
    `Does the switch tag the frames of the management network (802.1Q) on ${base}?`,
    `Empty: it does not. ${keys}`,
  ]);
  const typed = await prompts.text("VLAN tag", draft.vlan === undefined ? "" : String(draft.vlan), (text) =>
    text.trim() === "" ? undefined : complain(vlanId, text.trim()),
  );
  return { ...rest, draft: { ...draft, vlan: typed === "" ? undefined : Number(typed) } };
};
