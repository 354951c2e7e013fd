import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";

/** The rules of the house that a reader relies on, held by a test: who may do I/O, and who may know whom. */

const source = dirname(fileURLToPath(import.meta.url));

/** Rooms that stand between the subsystems and are open to all of them. */
const shared = ["adapters", "configuration", "commit", "health"];

/** Modules that reach out of the process. */
const reachesOut =
  /^(?:node:(?:fs|fs\/promises|child_process|net|tls|http|https|dgram|dns|dns\/promises)|execa|ldapts|node-netlink|systemd-notify)$/;

/** Files beside adapters/, apply.ts and status.ts that do I/O, each with its reason. */
const mayReachOut: Record<string, string> = {
  "configuration/store.ts": "it is the configuration file system",
  "commit/testing.ts": "it is of tests alone: a subsystem that is files",
};
const outermost = [/^main\.ts$/, /^api\//, /^client\//, /^cli\//, /^first-boot\//];

type Import = { from: string; specifier: string; typeOnly: boolean };

function listSources(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return listSources(path);
    return entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

function readImports(path: string): Import[] {
  const from = relative(source, path);
  const text = readFileSync(path, "utf8");
  return [...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|import\("([^"]+)"\)/gm)].map(
    (match) => ({
      from,
      specifier: match[2] ?? match[3] ?? "",
      typeOnly: match[1] !== undefined,
    }),
  );
}

/** `lslb/l4` for `lslb/l4/render.ts`; undefined for files that stand at the top. */
function roomOf(path: string): string | undefined {
  const [first, second, third] = path.split("/");
  if (second === undefined) return undefined;
  return first === "lslb" && third !== undefined ? `${first}/${second}` : first;
}

const imports = listSources(source).flatMap(readImports);

t.test("only adapters, apply.ts, status.ts and the outermost files reach out of the process", async (t) => {
  const found = imports.filter(({ from, specifier, typeOnly }) => {
    if (typeOnly || !reachesOut.test(specifier)) return false;
    if (from.startsWith("adapters/") || /\/(?:apply|status)\.ts$/.test(from)) return false;
    return !(from in mayReachOut) && !outermost.some((pattern) => pattern.test(from));
  });
  t.same(
    found.map(({ from, specifier }) => `${from} imports ${specifier}`),
    [],
  );
  t.ok(
    imports.some(({ specifier }) => reachesOut.test(specifier)),
    "the pattern still matches what the adapters import",
  );
});

t.test(
  "a subsystem imports its own files, the configuration, the commit's contract and adapters; never another subsystem",
  async (t) => {
    const composes = [
      /^main\.ts$/,
      /^subsystems\.ts$/,
      /^api\//,
      /^client\//,
      /^cli\//,
      /^first-boot\//,
      /[/-]routes\.ts$/,
    ];
    const found = imports.filter(({ from, specifier, typeOnly }) => {
      if (typeOnly || !specifier.startsWith(".") || composes.some((pattern) => pattern.test(from))) return false;
      const target = relative(source, join(source, dirname(from), specifier));
      const [own, other] = [roomOf(from), roomOf(target)];
      if (other === undefined || other === own || shared.includes(other)) return false;
      // Schemas of the subsystems make up the configuration's own.
      return !target.endsWith("/schema.ts");
    });
    t.same(
      found.map(({ from, specifier }) => `${from} imports ${specifier}`),
      [],
    );
  },
);

t.test("no file is so long that nobody reads it", async (t) => {
  const written = listSources(source).filter((path) => relative(source, path) !== "client/types.ts");
  const long = written.filter((path) => readFileSync(path, "utf8").split("\n").length > 400);
  t.same(
    long.map((path) => relative(source, path)),
    [],
  );
});

t.test("a source that changed is run as it is now, and an error names its line", async (t) => {
  const root = join(source, "../..");
  const path = join(t.testdir({}), "changing.ts");
  const run = (text: string) => {
    writeFileSync(path, text);
    const argv = ["--enable-source-maps", "--no-warnings", "--import", "./register.mjs", path];
    return execFileSync(process.execPath, argv, { cwd: root, encoding: "utf8" });
  };
  const first = "type Long = {\n  text: string;\n};\nconsole.log(({ text: '1' } satisfies Long).text);\n";
  t.equal(run(first), "1\n");
  t.equal(run(first), "1\n");
  t.equal(run(first.replace("'1'", "'2'")), "2\n");
  const failing =
    "type Long = {\n  text: string;\n};\nconsole.log(new Error((({ text: 'x' }) satisfies Long).text).stack);\n";
  for (const time of ["stripped anew", "from the cache"]) t.match(run(failing), /changing\.ts:4:/, time);
});
