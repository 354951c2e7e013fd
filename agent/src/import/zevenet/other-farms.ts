import { type Draft, report } from "./draft.ts";
import { parseProxyFile } from "./proxy-file.ts";
import { later } from "./report.ts";
import { readText } from "./source.ts";

/** Farms of the profiles that have no subsystem yet: read, summed up and reported with all that they hold. */

export function readOtherFarms(draft: Draft): void {
  const paths = [...draft.source.configuration.keys()].sort();
  for (const path of paths) {
    const proxy = /^(.+)_(?:proxy|pound)\.cfg$/.exec(path)?.[1];
    if (proxy !== undefined) readProxy(draft, path, proxy, paths);
  }
  for (const name of new Set(paths.flatMap((path) => /^([^/]+)_gslb\.cfg(?:\/|$)/.exec(path)?.[1] ?? [])))
    readGslb(draft, name, paths);
}

function readProxy(draft: Draft, path: string, name: string, paths: readonly string[]): void {
  const item = { kind: "HTTP farm", name, file: path, result: "not-supported" as const, later: later.http };
  const beside = paths.filter((each) => each.startsWith(`${name}_`) && /_(?:Err\w+\.html|dh2048\.pem)$/.test(each));
  for (const each of beside) draft.seen.add(each);
  try {
    const farm = parseProxyFile(readText(draft.source.configuration, path) ?? "");
    const services = farm.listeners.flatMap((listener) => listener.services);
    const backends = services.flatMap((service) => service.backends);
    const where = farm.listeners.map(({ secure, address, port }) => `${secure ? "https" : "http"} ${address} ${port}`);
    const words = `${where.join(", ")}; services: ${services.map((each) => each.name).join(", ") || "none"}; backends: ${backends.length}`;
    const pages = beside.flatMap((each) => /_Err(\w+)\.html$/.exec(each)?.[1] ?? []);
    report(draft, { ...item, notes: [words], content: { ...farm, errorPages: pages } });
  } catch (error) {
    report(draft, { ...item, notes: [(error as Error).message] });
  }
}

/** A directory `<farm>_gslb.cfg/etc` with gdnsd's own files, among them `zones/<zone>`. */
function readGslb(draft: Draft, name: string, paths: readonly string[]): void {
  const directory = `${name}_gslb.cfg`;
  const files = paths.filter((path) => path === directory || path.startsWith(`${directory}/`));
  for (const each of files) draft.seen.add(each);
  const zones = Object.fromEntries(
    files.flatMap((path) => {
      const zone = /\/zones\/([^/]+)$/.exec(path)?.[1];
      return zone === undefined ? [] : [[zone, readText(draft.source.configuration, path) ?? ""]];
    }),
  );
  report(draft, {
    kind: "GSLB farm",
    name,
    file: directory,
    result: "not-supported",
    notes: [`zones: ${Object.keys(zones).join(", ") || "none"}`],
    later: later.gslb,
    content: { zones },
  });
}
