import { setTimeout as sleep } from "node:timers/promises";
import type { LinkAttributes } from "../adapters/link-info.ts";
import type { Machine } from "../adapters/machine.ts";
import type { Link, LinkAddress } from "../adapters/netlink.ts";
import { SteelyardError } from "../errors.ts";
import { changeWords, compareLinks, describeDifference } from "./link-differences.ts";
import type { Expectation } from "./plan.ts";

/** Waiting until the kernel is as a step wants it. */

/**
 * Milliseconds until what is not there counts as failed, and between two looks. networkd needs well under a second, duplicate
 * address detection of IPv6 one to two; an emulated machine under load ten times that.
 */
const patience = 30_000;
const pause = 100;

/**
 * Waits until the kernel is as expected. An IPv6 address that another host has, by the kernel's own detection, is given
 * back; it stands there unused. Changes what networkd leaves to us. Fails with `command-failed`, saying what is not.
 */
export async function settle(machine: Machine, expect: Expectation): Promise<string[]> {
  const name = expect.interface;
  const deadline = machine.now().getTime() + patience;
  let changed = false;
  for (;;) {
    const links = await machine.netlink.links();
    const link = links.find((each) => each.name === name);
    if (!link && !willCome(links, expect)) {
      machine.log.warn(`interface ${name} is not in this machine; its settings wait for it`);
      return [];
    }
    if (link && !changed) changed = await changeLink(machine, links, link, expect);
    const addresses = (await machine.netlink.addresses()).filter(({ index }) => index === link?.index);
    const open = link ? findOpen(links, link, addresses, expect) : ["it is not there"];
    if (open.length === 0) return addresses.filter(({ dadFailed }) => dadFailed).map(({ address }) => address);
    if (machine.now().getTime() >= deadline)
      throw new SteelyardError("command-failed", `${name}: ${open.join(", ")} after ${patience / 1000} s`);
    await sleep(pause);
  }
}

/** Whether networkd makes the link: it does unless a VLAN has no parent yet. */
function willCome(links: readonly Link[], { link }: Expectation): boolean {
  if (!link) return false;
  const { parent } = link.attributes;
  return link.kind !== "vlan" || links.some(({ name }) => name === parent);
}

/** Attributes of a link in the words of the configuration: names for indexes. */
export function attributesOf(link: Link, links: readonly Link[]): LinkAttributes {
  const nameOf = (index: number | undefined) => links.find((each) => each.index === index)?.name ?? "";
  const { attributes = {}, references = {} } = link.info ?? {};
  if (link.kind === "vlan") return { ...attributes, parent: nameOf(link.parent) };
  if (link.kind === "bond") return { ...attributes, primary: nameOf(references.primary) };
  return attributes;
}

/** networkd only creates: what a working link takes is changed here. True when all that can be changed is as wanted. */
async function changeLink(
  machine: Machine,
  links: readonly Link[],
  link: Link,
  { link: wanted, alias }: Expectation,
): Promise<boolean> {
  if ((link.alias ?? "") !== alias) await machine.run(["ip", "link", "set", "dev", link.name, "alias", alias]);
  if (!wanted) return true;
  const words = changeWords(findDifferences(links, link, wanted.attributes));
  if (words.length === 0) return true;
  await machine.run(["ip", "link", "set", "dev", link.name, "type", wanted.kind, ...words]);
  return false;
}

/** A member that is not one yet cannot be preferred: it will be when it comes. */
function findDifferences(links: readonly Link[], link: Link, wanted: LinkAttributes) {
  const isMember = (name: string) => links.some((each) => each.name === name && each.master === link.index);
  return compareLinks(attributesOf(link, links), wanted, isMember);
}

/** What is not yet as expected, in words; `addresses` are those of the link. */
function findOpen(
  links: readonly Link[],
  link: Link,
  addresses: readonly LinkAddress[],
  expect: Expectation,
): string[] {
  const { present, absent, up, master, mtu, alias } = expect;
  // Without carrier nobody answers the duplicate address detection, and it does not end. One that has failed stays tentative.
  const ready = addresses
    .filter(({ tentative, dadFailed }) => dadFailed || !tentative || !link.carrier)
    .map(({ address }) => address);
  const owner = links.find(({ index }) => index === link.master)?.name;
  return [
    ...present.filter((each) => !ready.includes(each)).map((each) => `${each} is not there`),
    ...absent.filter((each) => ready.includes(each)).map((each) => `${each} is still there`),
    ...(link.up === up ? [] : [`the interface is not ${up ? "up" : "down"}`]),
    ...(owner === master
      ? []
      : [master === undefined ? `it still belongs to ${owner}` : `it is no member of ${master}`]),
    ...(mtu === undefined || link.mtu === mtu ? [] : [`its MTU is ${link.mtu}, not ${mtu}`]),
    ...((link.alias ?? "") === alias ? [] : [`its alias is not ${alias || "empty"}`]),
    ...(expect.link ? findDifferences(links, link, expect.link.attributes).map(describeDifference) : []),
  ];
}
