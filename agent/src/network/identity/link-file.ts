import type { Binding } from "./assign.ts";

/**
 * A binding as the `.link` file that makes udev use the name (systemd.link(5)). udev itself only names a card that is certain, by
 * MAC and place; the agent, which sees all cards together, names the others. The section X-Steelyard is the binding;
 * systemd passes over it.
 */

/** In /config/local/links, from where the initrd copies them, and in /run/systemd/network. Sorts before the image's own. */
export const linkFileOf = (name: string): string => `10-${name}.link`;

export function renderLinkFile({ name, by, mac, path, port }: Binding): string {
  const fields = { Name: name, By: by, PermanentMACAddress: mac, Path: path, Port: String(port) };
  const match = by === "mac" ? { PermanentMACAddress: mac, Path: path } : { Path: path };
  return `# Binds the name to a network card. "steelyard link adopt" binds it to another one.
[Match]
${lines(port > 0 && by === "path" ? { OriginalName: "!*" } : match)}
[Link]
Name=${name}
AlternativeNamesPolicy=database onboard slot path mac
MACAddressPolicy=persistent

[X-Steelyard]
${lines(fields)}`;
}

function lines(fields: Record<string, string | undefined>): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `${field}=${value}\n`)
    .join("");
}

/** Undefined for a file that holds no binding. */
export function parseLinkFile(text: string): Binding | undefined {
  const [, section = ""] = text.split(/^\[X-Steelyard\]$/m);
  const fields = new Map([...section.matchAll(/^(\w+)=(.+)$/gm)].map(([, field = "", value = ""]) => [field, value]));
  const [name, by, port] = [fields.get("Name"), fields.get("By"), Number(fields.get("Port") ?? "0")];
  if (name === undefined || (by !== "mac" && by !== "path") || !Number.isInteger(port)) return undefined;
  return { name, by, mac: fields.get("PermanentMACAddress"), path: fields.get("Path"), port };
}
