import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { setUpCommand } from "./testing.ts";

const fixture = new URL("../import/zevenet/fixtures/ce-5.0.yaml", import.meta.url);

t.test("a backup of ZEVENET is looked at, then taken, from a directory", async (t) => {
  const { run: runLine, control, machine } = await setUpCommand(t);
  const run = (...words: string[]) => runLine(words);
  const directory = machine.path("/backup");
  for (const [path, text] of Object.entries(parse(await readFile(fixture, "utf8")) as Record<string, string>)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  const look = await run("import", "zevenet", directory, "--diff");
  t.equal(look.status, 0, look.err);
  t.match(look.out, /^RESULT +KIND +NAME +BECOMES +NOTES$/m);
  t.match(look.out, /^changed +l4xnat farm +Web +farms\.web +names here/m);
  t.match(look.out, /^not-supported +HTTP farm +site .*comes with: HTTP farms$/m);
  t.match(look.out, /^\+profile: l4xnat$/m);
  t.match(look.out, /nothing was changed: --commit takes it$/);
  t.equal(control.current().generation, 2);

  const asked = await run("import", "zevenet", directory, "--commit", "--dry-run", "--force", "--confirm-within", "5");
  t.match(asked, { status: 0, out: /nothing was changed/ });
  t.equal(control.current().generation, 2);
  t.match(await run("import", "zevenet", directory, "--commit", "--confirm-within", "soon"), { status: 2 });
  t.match(await run("import", "zevenet", directory, "--commit", "--force"), {
    status: 0,
    out: /taken over as generation 3$/,
  });
  t.ok(control.current().configuration.farms.web);
  t.match(await run("--json", "import", "zevenet", directory), { status: 0, out: /"committed": false/ });
  t.match(await run("import", "zevenet", "/nowhere.tar.gz"), { status: 2, err: /no such file/ });
});
