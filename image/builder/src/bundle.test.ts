import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { parse } from "yaml";
import { setUpServer } from "../../../agent/src/api/testing.ts";
import { bundleForMeasuring } from "./bundle.ts";
import { repository } from "./paths.ts";
import { readVersion } from "./version.ts";

const execute = promisify(execFile);

t.test("the command works as it is bundled, with the parts that only some of its words load", async (t) => {
  const { server, machine } = await setUpServer(t);
  await server.listen();
  const place = await mkdtemp(join(tmpdir(), "steelyard-bundle-"));
  t.teardown(() => rm(place, { recursive: true }));
  const command = await bundleForMeasuring("cli", join(repository, "agent/src/cli/main.ts"), place);
  const env = { ...process.env, STEELYARD_SOCKET: machine.path("/run/steelyard/api.sock") };
  const run = async (...words: string[]) => (await execute(process.execPath, [command, ...words], { env })).stdout;
  await run("farm", "create", "web", "--vip", "192.0.2.10", "--port", "80");
  t.match(parse(await run("--yaml", "farm", "list")), [{ name: "web", ports: ["80"] }], "as YAML");
  t.match(JSON.parse(await run("--json", "farm", "list")), [{ name: "web" }]);
  t.equal(await run("__complete", "farm", "show", ""), "web\n");
  t.equal(await run("--version"), `${await readVersion()}\n`);
  const key = join(place, "key");
  t.match(await run("backup", "new-key", "--output", key), /^age1[a-z0-9]{58}$/m, "with the package that makes keys");
});
