import { SteelyardError } from "../../errors.ts";

/** The files of a backup, sorted: those of the product's configuration directory, and those of the system beside it. */

export type Source = {
  product: "zevenet" | "skudonet";
  /** As the backup says, such as `5.0.2`; undefined when it does not. */
  version: string | undefined;
  /** Files of `/usr/local/zevenet/config` by their path below it. */
  configuration: Map<string, Buffer>;
  /** The other files of the backup: `etc/hostname`. */
  system: Map<string, Buffer>;
  /** The path in the backup, for the report. */
  pathOf(file: string): string;
};

const usualPlace = /^(.*?usr\/local\/(?:zevenet|zenloadbalancer|skudonet|relianoid)\/config\/)/;

/** Finds the configuration directory, wherever the archive was packed from. Throws `bad-input` when there is none. */
export function sortFiles(files: ReadonlyMap<string, Buffer>): Source {
  const directory = findDirectory(files);
  const configuration = new Map<string, Buffer>();
  const system = new Map<string, Buffer>();
  for (const [path, content] of files) {
    if (path.startsWith(directory)) configuration.set(path.slice(directory.length), content);
    else system.set(path, content);
  }
  const globalSettings = readText(configuration, "global.conf") ?? "";
  const product = /skudonet|relianoid/.test(directory + globalSettings) ? "skudonet" : "zevenet";
  return {
    product,
    version: findVersion(system, globalSettings),
    configuration,
    system,
    pathOf: (file) => directory + file,
  };
}

function findDirectory(files: ReadonlyMap<string, Buffer>): string {
  for (const path of files.keys()) {
    const directory = usualPlace.exec(path)?.[1];
    if (directory !== undefined) return directory;
  }
  // The directory itself, or one that somebody packed under a name of their own.
  for (const path of files.keys()) {
    const directory = /^((?:.*\/)?)global\.conf$/.exec(path)?.[1];
    if (directory !== undefined) return directory;
  }
  throw new SteelyardError(
    "bad-input",
    "expected a backup of ZEVENET or SKUDONET: there is no usr/local/zevenet/config, usr/local/skudonet/config or global.conf in it",
  );
}

function findVersion(system: ReadonlyMap<string, Buffer>, globalSettings: string): string | undefined {
  for (const [path, content] of system) {
    if (/(?:^|\/)(?:zevenet|skudonet)_version$/.test(path)) {
      const version = /\d+(?:\.\d+)*/.exec(content.toString("utf8"))?.[0];
      if (version !== undefined) return version;
    }
  }
  return /^\$version\s*=\s*"(\d[^"]*)"/m.exec(globalSettings)?.[1];
}

/** A file as text; undefined when there is none. */
export function readText(files: ReadonlyMap<string, Buffer>, path: string): string | undefined {
  return files.get(path)?.toString("utf8");
}
