import { chmod, cp, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build as bundleWithEsbuild } from "esbuild";
import { BuildError } from "./errors.ts";
import { build, repository } from "./paths.ts";
import { layReference } from "./reference.ts";
import { readVersion } from "./version.ts";

const entries = { agent: "agent/src/main.ts", cli: "agent/src/cli/main.ts" };

/** Packages with native code: not bundled, but laid beside the bundle with the files they load at run time. */
const nativeFiles: Record<string, RegExp> = {
  "node-netlink": /^\/(package\.json|LICENSE|dist\/.*\.js|prebuilds\/linux-x64\/.*\.node)$/,
  "node-gyp-build": /^\/(package\.json|LICENSE|[a-z-]+\.js)$/,
};

// CommonJS dependencies inside an ESM bundle ask for `require`, `__filename` and `__dirname`, which ESM does not have.
const banner = `import { createRequire as __makeRequire } from "node:module";
import { dirname as __directoryOf } from "node:path";
import { fileURLToPath as __pathOf } from "node:url";
const require = __makeRequire(import.meta.url);
const __filename = __pathOf(import.meta.url);
const __dirname = __directoryOf(__filename);`;

/** Bundles the agent and the `steelyard` command into build/bundle, which becomes /usr/lib/steelyard. */
export async function bundleAgent(): Promise<string> {
  const output = join(build, "bundle");
  await rm(output, { recursive: true, force: true });
  await mkdir(output, { recursive: true });
  const placeholder = process.env.STEELYARD_WITHOUT_AGENT === "1";
  for (const [name, entry] of Object.entries(entries)) {
    if (placeholder) await writePlaceholder(join(output, `${name}.mjs`), name);
    else await bundleProgram(name, join(repository, entry), output);
  }
  await chmod(join(output, "cli.mjs"), 0o755);
  await copyNative(output);
  await layReference(join(output, "reference"));
  return output;
}

/** What the command says of itself: the version of the image it is made with. */
async function defineVersion(): Promise<Record<string, string>> {
  return { steelyardVersion: JSON.stringify(await readVersion()) };
}

/** Bundles a program as the image has its own: `<name>.mjs` and its parts in `output`. Native packages are not among them. */
async function bundleProgram(name: string, entry: string, output: string): Promise<void> {
  await bundleWithEsbuild({
    entryPoints: [entry],
    outdir: output,
    entryNames: name,
    outExtension: { ".js": ".mjs" },
    // Parts that only some commands need are files of their own: the command line starts in half the time without them.
    splitting: true,
    chunkNames: `${name}-[hash]`,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: true,
    sourcemap: "external",
    sourcesContent: false,
    external: Object.keys(nativeFiles),
    define: await defineVersion(),
    banner: { js: `${name === "cli" ? "#!/usr/bin/node\n" : ""}${banner}` },
    legalComments: "none",
    logLevel: "silent",
  }).catch((error: unknown) => {
    throw new BuildError(`${entry} cannot be bundled: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
}

/** A program beside the image's, bundled in the same way with all it needs, for measurements: its path. */
export async function bundleForMeasuring(name: string, entry: string, output: string): Promise<string> {
  await mkdir(output, { recursive: true });
  await bundleProgram(name, entry, output);
  await copyNative(output);
  return join(output, `${name}.mjs`);
}

/** The `steelyard` command as one file for any computer with Node 20: build/cli/steelyard.mjs. */
export async function bundleCommand(): Promise<string> {
  const outfile = join(build, "cli", "steelyard.mjs");
  const entry = "agent/src/cli/remote.ts";
  await bundleWithEsbuild({
    entryPoints: [join(repository, entry)],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    minifySyntax: true,
    minifyWhitespace: true,
    keepNames: true,
    define: await defineVersion(),
    banner: { js: `#!/usr/bin/env node\n${banner}` },
    legalComments: "eof",
    logLevel: "silent",
  }).catch((error: unknown) => {
    throw new BuildError(`${entry} cannot be bundled: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  });
  await chmod(outfile, 0o755);
  return outfile;
}

/** For working on the image alone: an agent that says it is ready, a console that shows a login. Never in a released image. */
async function writePlaceholder(path: string, name: string): Promise<void> {
  const agent = `import { execFileSync } from "node:child_process";
execFileSync("systemd-notify", ["--ready", "--status=placeholder"]);
setInterval(() => execFileSync("systemd-notify", ["WATCHDOG=1"]), 10000);
`;
  const cli = `#!/usr/bin/node
import { spawnSync } from "node:child_process";
spawnSync("/sbin/agetty", ["--noclear", "-"], { stdio: "inherit" });
`;
  await writeFile(path, name === "agent" ? agent : cli, { mode: 0o755 });
}

/** Only what `require("node-netlink")` opens: its JavaScript, the binary for this architecture, and the loader that finds it. */
async function copyNative(output: string): Promise<void> {
  for (const [name, wanted] of Object.entries(nativeFiles)) {
    const source = join(repository, "node_modules", name);
    await cp(source, join(output, "node_modules", name), {
      recursive: true,
      filter: async (path) => (await stat(path)).isDirectory() || wanted.test(path.slice(source.length)),
    });
  }
}
