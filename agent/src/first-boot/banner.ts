import { addressFamily, splitPrefixed } from "../configuration/fields.ts";
import type { System } from "../system/schema.ts";

/** What the console shows above the login. 80 columns, plain ASCII. */

export type BannerFacts = {
  /** As in os-release: `Steelyard 0.1.0`. */
  product: string;
  system: Pick<System, "hostname" | "management">;
  links: readonly { name: string; addresses: readonly string[] }[];
  /** Addresses that farms listen on, `192.0.2.10/24`. They may move to another box, so nobody should manage this one by them. */
  virtualAddresses: readonly string[];
  /** SHA-256 of the API's certificate, `AB:CD:…`. */
  fingerprint: string | undefined;
};

export function renderBanner({ product, ...facts }: BannerFacts): string {
  const lines = describeManagement(facts).map((line) => `  ${line}`);
  return ["", `  ${product} - ${facts.system.hostname}`, "", ...lines, "", ""].join("\n");
}

/** Where the box is managed, and how to know it. */
export function describeManagement({
  system,
  links,
  virtualAddresses,
  fingerprint,
}: Omit<BannerFacts, "product">): string[] {
  const urls = listManagementUrls(system.management, links, virtualAddresses);
  const none =
    system.management.interfaces.length === 0
      ? "closed on every interface; manage the box from here"
      : `no address yet on ${system.management.interfaces.join(", ")}`;
  const [first = none, ...rest] = urls;
  const fingerprintLines = fingerprint === undefined ? ["no certificate yet"] : splitFingerprint(fingerprint);
  return [
    `Management   ${first}`,
    ...rest.map((url) => `             ${url}`),
    `Certificate  SHA-256 ${fingerprintLines[0]}`,
    ...fingerprintLines.slice(1).map((each) => `                     ${each}`),
  ];
}

/** The box's own addresses the API answers on. Link-local ones need a zone, which browsers do not take. */
export function listManagementUrls(
  { interfaces, port }: System["management"],
  links: BannerFacts["links"],
  virtualAddresses: BannerFacts["virtualAddresses"],
): string[] {
  const suffix = port === 443 ? "" : `:${port}`;
  return links
    .filter(({ name }) => interfaces.includes(name))
    .flatMap(({ addresses }) => addresses.filter((each) => !virtualAddresses.includes(each)))
    .map((each) => splitPrefixed(each).address)
    .filter((each) => !/^fe[89ab]/.test(each))
    .map((each) => `https://${addressFamily(each) === "ipv6" ? `[${each}]` : each}${suffix}/`);
}

/** 32 bytes make 95 characters; half of them fit beside the label. */
function splitFingerprint(fingerprint: string): string[] {
  const bytes = fingerprint.split(":");
  return [`${bytes.slice(0, 16).join(":")}:`, bytes.slice(16).join(":")];
}
