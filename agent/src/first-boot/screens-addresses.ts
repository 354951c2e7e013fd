import type { z } from "zod";
import { addressFamily, address as addressSchema, prefixedAddress } from "../configuration/fields.ts";
import { managementOf } from "./draft.ts";
import { WentBack } from "./prompts.ts";
import { complain, keys, type Step, title } from "./steps.ts";

/** The screens about addresses: IPv4, IPv6, DNS, and the test of all of them. */

function askFamily(number: number, family: "ipv4" | "ipv6"): Step {
  const name = family === "ipv4" ? "IPv4" : "IPv6";
  const own = <Schema extends z.ZodType<string>>(schema: Schema, like: string) =>
    schema.refine((each) => addressFamily(each) === family, `expected an ${name} address, like ${like}`);
  const addresses = own(prefixedAddress, family === "ipv4" ? "192.0.2.5/24" : "2001:db8::5/64");
  const gateways = own(addressSchema, family === "ipv4" ? "192.0.2.1" : "2001:db8::1");
  return async ({ prompts }, { draft, ...rest }) => {
    prompts.screen(title(number, name), [`Of ${managementOf(draft).name}. ${keys}`]);
    const learned = family === "ipv4" ? ("dhcp" as const) : ("automatic" as const);
    const label = family === "ipv4" ? "from DHCP" : "from router advertisements and DHCPv6";
    const choices = [
      { value: learned, label },
      { value: "static" as const, label: "static" },
      { value: "none" as const, label: "none" },
    ];
    const before = draft[family];
    const method = await prompts.choose(`${name} address`, choices, before.method);
    if (method !== "static") return { ...rest, draft: { ...draft, [family]: { method, addresses: [] } } };
    const typed = (text: string) => text.trim();
    const question = `${name} address with prefix length`;
    const address = await prompts.text(question, before.addresses[0] ?? "", (text) => complain(addresses, typed(text)));
    const gateway = await prompts.text(`${name} gateway (empty for none)`, before.gateway ?? "", (text) =>
      typed(text) === "" ? undefined : complain(gateways, typed(text)),
    );
    const settings = { method, addresses: [address], ...(gateway === "" ? {} : { gateway }) };
    return { ...rest, draft: { ...draft, [family]: settings } };
  };
}

export const askIpv4 = askFamily(5, "ipv4");
export const askIpv6 = askFamily(6, "ipv6");

export const askDns: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(7, "DNS"), [
    "Addresses of resolvers with blanks between, or empty: those of DHCP and",
    `router advertisements. ${keys}`,
  ]);
  const split = (text: string) => text.split(/[\s,]+/).filter((each) => each !== "");
  const text = await prompts.text("DNS servers", draft.dns.join(" "), (typed) => {
    const wrong = split(typed).find((each) => complain(addressSchema, each) !== undefined);
    return wrong === undefined ? undefined : `${wrong}: expected an IPv4 or IPv6 address`;
  });
  return { ...rest, draft: { ...draft, dns: split(text) } };
};

export const testNetwork: Step = async ({ prompts, testNetwork: run }, given) => {
  for (;;) {
    prompts.screen(title(8, "test"), [
      "Trying the addresses, the gateway and DNS. Nothing is kept of it.",
      "This takes up to a minute ...",
    ]);
    const found = await run(given.draft);
    prompts.screen(title(8, "test"), found);
    const next = await prompts.choose("And now?", [
      { value: "on", label: "go on" },
      { value: "again", label: "test again" },
      { value: "back", label: "change the network" },
    ]);
    if (next === "on") return given;
    if (next === "back") throw new WentBack();
  }
};
