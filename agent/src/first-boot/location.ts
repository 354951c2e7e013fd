import { createHash } from "node:crypto";
import { readTextIfExists } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { readOemStrings } from "../adapters/smbios.ts";
import { SteelyardError } from "../errors.ts";
import { proxySettings } from "../system/fields.ts";

/** Where a machine is told to fetch its answers, and by what it knows that they are the right ones. */
export type Location = {
  /** Undefined: DHCP says it, in the option {@link answersOption}. */
  url: URL | undefined;
  /** SHA-256 of the file, in small hexadecimal letters. */
  content?: string;
  /** SHA-256 of the server's certificate, the same way. */
  certificate?: string;
  proxy?: string;
  /** For people: `the kernel command line`. */
  origin: string;
};

/** Of DHCP: the first of those for use by a site (224 to 254, RFC 3942). */
export const answersOption = 224;

const prefix = "steelyard.answers";
const table = "/sys/firmware/dmi/tables/DMI";

/** On the kernel's command line, or in the OEM strings of SMBIOS. Throws `bad-input` for what cannot be meant. */
export async function findLocation(machine: Machine): Promise<Location | undefined> {
  const words = ((await readTextIfExists(machine.path("/proc/cmdline"))) ?? "").trim().split(/\s+/);
  return (
    parseLocation(words, "the kernel command line") ??
    parseLocation(await readOemStrings(machine.path(table)), "SMBIOS")
  );
}

export function parseLocation(words: readonly string[], origin: string): Location | undefined {
  const value = (key: string) =>
    words.find((each) => each.startsWith(`${prefix}${key}=`))?.slice(prefix.length + key.length + 1);
  const where = value("");
  if (where === undefined) return undefined;
  const content = readHash(value(".sha256"), `${prefix}.sha256`, origin);
  const certificate = readHash(value(".certificate"), `${prefix}.certificate`, origin);
  const proxy = value(".proxy");
  if (proxy !== undefined && !proxySettings.shape.url.safeParse(proxy).success)
    throw bad(`${prefix}.proxy`, origin, "the address of an HTTP proxy, like http://192.0.2.8:3128");
  const known = {
    ...(content === undefined ? {} : { content }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(proxy === undefined ? {} : { proxy }),
    origin,
  };
  return where === "dhcp" ? { url: undefined, ...known } : checkPins({ url: readUrl(where, origin), ...known });
}

/**
 * What the DHCP option says: an address, and perhaps `sha256:…` or `certificate:…` after it. A pin that the machine was
 * given otherwise stays: a server that anybody can set up must not replace it.
 */
export function completeLocation(told: Location, option: string): Location {
  const [where = "", ...pins] = option.trim().split(/\s+/);
  const origin = `DHCP option ${answersOption}`;
  const given = (kind: string) => pins.find((each) => each.startsWith(`${kind}:`))?.slice(kind.length + 1);
  const content = told.content ?? readHash(given("sha256"), "sha256:", origin);
  const certificate = told.certificate ?? readHash(given("certificate"), "certificate:", origin);
  return checkPins({
    url: readUrl(where, origin),
    ...(content === undefined ? {} : { content }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(told.proxy === undefined ? {} : { proxy: told.proxy }),
    origin,
  });
}

/** Without TLS anybody on the way can write the answers, and with them the administrator's password. */
function checkPins(location: Location): Location {
  if (location.url?.protocol === "http:" && location.content === undefined)
    throw bad(`${prefix}.sha256`, location.origin, "the SHA-256 of the file, for http:// proves nothing by itself");
  return location;
}

function readUrl(text: string, origin: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === "" && url.hostname !== "") return url;
  throw bad(prefix, origin, "an address that begins with https:// or http://, or dhcp");
}

/** With or without colons, in any case, as tools print it. */
function readHash(text: string | undefined, key: string, origin: string): string | undefined {
  if (text === undefined) return undefined;
  const digits = text.replaceAll(":", "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(digits)) return digits;
  throw bad(key, origin, "a SHA-256 of 64 hexadecimal digits");
}

function bad(key: string, origin: string, expected: string): SteelyardError {
  const message = `expected ${expected}`;
  return new SteelyardError("bad-input", `${key} (${origin}): ${message}`, {
    problems: [{ path: `${key} (${origin})`, message }],
  });
}

export function hashOf(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
