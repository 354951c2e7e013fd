import type { Machine } from "../adapters/machine.ts";
import { addressFamily } from "../configuration/fields.ts";
import { messageOf } from "../errors.ts";
import type { Draft } from "./draft.ts";
import { usualPatience, withTemporaryNetwork } from "./temporary-network.ts";
import { withTrialLinks } from "./trial-links.ts";

/** Tries what a person has answered before anything is kept: address, gateway, DNS. Root; everything is taken back. */
export async function testNetwork(machine: Machine, draft: Draft): Promise<string[]> {
  const fixed = [draft.ipv4, draft.ipv6].filter(({ method }) => method === "static");
  const learns = draft.ipv4.method === "dhcp" || draft.ipv6.method === "automatic";
  try {
    if (fixed.length === 0 && !learns) return ["There is no address to test."];
    return await withTrialLinks(machine, draft, async (name) => {
      const found: string[] = [];
      if (fixed.length > 0)
        found.push(...(await withFixed(machine, name, fixed, () => askGateways(machine, name, fixed, draft.dns))));
      if (learns) found.push(...(await testLearned(machine, name, draft)));
      return found;
    });
  } catch (error) {
    return [`The test could not be made: ${messageOf(error)}`];
  }
}

type Fixed = { addresses: string[]; gateway?: string | undefined };

async function withFixed<Result>(
  machine: Machine,
  name: string,
  families: readonly Fixed[],
  use: () => Promise<Result>,
): Promise<Result> {
  const tolerant = { accept: [0, 1, 2] };
  const each = families.flatMap(({ addresses }) => addresses);
  await machine.run(["ip", "link", "set", "dev", name, "up"], tolerant);
  for (const address of each)
    await machine.run(
      ["ip", "address", "replace", address, "dev", name, ...(address.includes(":") ? ["nodad"] : [])],
      tolerant,
    );
  for (const { gateway } of families)
    if (gateway !== undefined)
      await machine.run(["ip", "route", "replace", "default", "via", gateway, "dev", name], tolerant);
  try {
    return await use();
  } finally {
    // Routes go with their addresses.
    for (const address of each) await machine.run(["ip", "address", "del", address, "dev", name], tolerant);
  }
}

async function askGateways(
  machine: Machine,
  name: string,
  families: readonly Fixed[],
  dns: readonly string[],
): Promise<string[]> {
  const lines: string[] = [];
  for (const { addresses, gateway } of families) {
    const [address = ""] = addresses;
    const [own = ""] = address.split("/");
    if (addressFamily(own) === "ipv4") {
      const { code } = await machine.run(["arping", "-D", "-q", "-c", "2", "-w", "3", "-I", name, own], {
        accept: [0, 1, 2],
      });
      lines.push(code === 1 ? `${own}: ANOTHER HOST HAS THIS ADDRESS` : `${own}: nobody else has it`);
    }
    if (gateway !== undefined) lines.push(await ping(machine, name, gateway));
  }
  for (const server of dns) lines.push(await lookUp(machine, server));
  return lines;
}

async function ping(machine: Machine, name: string, gateway: string): Promise<string> {
  const argv = ["ping", "-n", "-q", "-c", "3", "-i", "0.5", "-W", "2", "-w", "6", "-I", name, gateway] as const;
  const { code } = await machine.run(argv, { accept: [0, 1, 2] });
  return `gateway ${gateway}: ${code === 0 ? "answers" : "DOES NOT ANSWER"}`;
}

/** The root zone: any resolver that can resolve knows it, and one without a way out says so. */
async function lookUp(machine: Machine, server: string): Promise<string> {
  const argv = ["dig", `@${server}`, "+time=2", "+tries=2", "+noall", "+comments", ".", "NS"] as const;
  const { stdout } = await machine.run(argv, { accept: [0, 9, 10], timeout: 15_000 });
  const status = /status: (\w+)/.exec(stdout)?.[1];
  return `DNS ${server}: ${status === undefined ? "DOES NOT ANSWER" : status === "NOERROR" ? "answers" : `answers ${status}`}`;
}

async function testLearned(machine: Machine, name: string, draft: Draft): Promise<string[]> {
  const patience = { ...usualPatience, network: 30_000 };
  return await withTemporaryNetwork(machine, { option: false, only: name, patience }, async () => {
    const [links, addresses, routes] = await Promise.all([
      machine.netlink.links(),
      machine.netlink.addresses(),
      machine.netlink.defaultRoutes(),
    ]);
    const index = links.find((each) => each.name === name)?.index;
    const own = addresses.filter((each) => each.index === index && each.scope === "global");
    if (own.length === 0) return [`${name}: NO ADDRESS CAME in 30 seconds`];
    const lines = own.map(({ address }) => `${name} gets ${address}`);
    for (const { gateway } of routes.filter((each) => each.index === index)) {
      // A router's link-local address is good for the link it was heard on.
      lines.push(await ping(machine, name, gateway));
    }
    const { stdout } = await machine.run(["resolvectl", "dns", name], { accept: [0, 1] });
    const learned = stdout
      .split(": ")
      .slice(1)
      .join(": ")
      .trim()
      .split(/\s+/)
      .filter((each) => each !== "");
    for (const server of draft.dns.length > 0 ? draft.dns : learned) lines.push(await lookUp(machine, server));
    return lines;
  });
}
