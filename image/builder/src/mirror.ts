import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { BuildError } from "./errors.ts";

/** Where packages come from: the archive with the main Debian suites, and the one with the security suites. */
export type Mirror = { main: string; security: string };

type Source = { uri: string; suites: string[]; components: string[] };

/** One-line format, sources.list(5): `deb [options] uri suite component…`. */
function parseOneLine(text: string): Source[] {
  return text.split("\n").flatMap((line) => {
    const words = line
      .replace(/#.*/, "")
      .replace(/\[[^\]]*\]/, " ")
      .trim()
      .split(/\s+/);
    const [type, uri, suite, ...components] = words;
    return type === "deb" && uri && suite ? [{ uri, suites: [suite], components }] : [];
  });
}

/** deb822 format, sources.list(5): stanzas of fields; a field goes on in lines that begin with a space. */
function parseDeb822(text: string): Source[] {
  return text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .join("\n")
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const fields = new Map<string, string[]>();
      for (const [, name, value] of stanza.matchAll(/^([A-Za-z-]+):((?:.*(?:\n[ \t].*)*))/gm))
        fields.set((name ?? "").toLowerCase(), (value ?? "").trim().split(/\s+/));
      if (!fields.get("types")?.includes("deb") || fields.get("enabled")?.[0] === "no") return [];
      const suites = fields.get("suites") ?? [];
      const components = fields.get("components") ?? [];
      return (fields.get("uris") ?? []).map((uri) => ({ uri, suites, components }));
    });
}

const codenames = "(?:bookworm|trixie|stable|testing|oldstable|forky|sid)";
const mainSuite = new RegExp(`^${codenames}$`);
const securitySuite = new RegExp(`^${codenames}-security$`);

/**
 * Finds Debian's archive among all that a machine has in its apt sources. Others (cloud tools, vendors) are passed over: their suites
 * are not named after a Debian release, or they lack the component `main`.
 */
export function chooseMirror(files: readonly { name: string; text: string }[]): Partial<Mirror> {
  const sources = files
    .flatMap(({ name, text }) => (name.endsWith(".sources") ? parseDeb822(text) : parseOneLine(text)))
    .filter(({ components }) => components.includes("main"));
  const find = (suite: RegExp) => sources.find(({ suites }) => suites.some((name) => suite.test(name)))?.uri;
  const main = find(mainSuite);
  const security = find(securitySuite);
  return { ...(main ? { main } : {}), ...(security ? { security } : {}) };
}

/** Debian's cloud images name a file with a list of mirrors (`mirror+file:`, apt-transport-mirror(1)); the first one serves. */
async function resolveMirrorFile(uri: string, root: string): Promise<string> {
  const path = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
  if (!path) return uri;
  const text = await readFile(join(root, path), "utf8");
  const first = text.split("\n").find((line) => line.trim() && !line.startsWith("#"));
  return first?.trim().split(/\s+/)[0] ?? uri;
}

/** The mirror of `MIRROR=` (and `SECURITY_MIRROR=`), else the one the machine itself uses. */
export async function findMirror(root = "/", environment: NodeJS.ProcessEnv = process.env): Promise<Mirror> {
  const directory = join(root, "etc/apt/sources.list.d");
  const names = (await readdir(directory).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name)).sort();
  const paths = [join(root, "etc/apt/sources.list"), ...names.map((name) => join(directory, name))];
  const files = await Promise.all(
    paths.map(async (path) => ({ name: path, text: await readFile(path, "utf8").catch(() => "") })),
  );
  const found = chooseMirror(files);
  const main = environment.MIRROR || (found.main && (await resolveMirrorFile(found.main, root)));
  if (!main)
    throw new BuildError(
      "no Debian mirror in the apt sources of this machine: name one, for example make image MIRROR=http://…/debian",
    );
  const security =
    environment.SECURITY_MIRROR ||
    (environment.MIRROR || !found.security
      ? main.replace(/\/debian\/?$/, "/debian-security")
      : await resolveMirrorFile(found.security, root));
  return { main, security };
}

/** The apt sources of the image, deb822. Written into the build folder only: no mirror is ever named in the repository. */
export function renderSources(mirror: Mirror, keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"): string {
  const stanza = (uri: string, suites: string) =>
    `Types: deb\nURIs: ${uri}\nSuites: ${suites}\nComponents: main non-free-firmware\nSigned-By: ${keyring}\n`;
  return `${stanza(mirror.main, "trixie trixie-updates")}\n${stanza(mirror.security, "trixie-security")}`;
}
