import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { test } from "tap";
import { Header } from "tar";
import { parse } from "yaml";
import { setUpServer } from "../api/testing.ts";
import type { LinkStatus } from "../network/status.ts";
import type { ImportResult } from "./routes.ts";

const fixture = join(dirname(fileURLToPath(import.meta.url)), "zevenet/fixtures/ce-5.0.yaml");
const url = "/api/v1/configuration/import/zevenet";
const headers = { "content-type": "application/gzip" };

function packFixture(): Buffer {
  const files = parse(readFileSync(fixture, "utf8")) as Record<string, string>;
  const blocks = Object.entries(files).flatMap(([path, text]) => {
    const content = Buffer.from(text);
    const block = Buffer.alloc(512);
    new Header({ path, size: content.length, type: "File", mode: 0o644 }).encode(block, 0);
    return [block, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)]));
}

const links = ["ens1", "ens2"].map((name) => ({ name }) as LinkStatus);
const status = { readLinks: async () => links } as never;

test("an import tells what it would take, and changes nothing until it is told to", async (t) => {
  const { server, control } = await setUpServer(t, { status });
  const before = control.current();
  const query = "?map=eth0:ens1&map=eth1:ens2";
  const response = await server.local.inject({ method: "POST", url: url + query, headers, payload: packFixture() });
  t.equal(response.statusCode, 200, response.body);
  const result = response.json<ImportResult>();
  t.match(result, { product: "zevenet", version: "5.0.2", committed: false });
  t.equal(result.summary.taken + result.summary.changed + result.summary.notSupported, result.report.length);
  t.match(
    result.differences.find(({ object }) => object === "farms/web"),
    { change: "added", text: /192\.0\.2\.10/ },
  );
  t.same(control.current(), before);

  const both = `${url}${query}&commit=true&dryRun=true`;
  const dry = await server.local.inject({ method: "POST", url: both, headers, payload: packFixture() });
  t.match(dry.json(), { committed: false });
  t.same(control.current(), before);
});

test("a committed import is one generation with the box's own things kept", async (t) => {
  const { server, control } = await setUpServer(t, { status });
  const target = `${url}?map=eth0:ens1,eth1:ens2&commit=true`;
  const response = await server.local.inject({ method: "POST", url: target, headers, payload: packFixture() });
  t.match(response.json(), { committed: true, plan: { generation: 2 } });
  const { generation, configuration } = control.current();
  t.equal(generation, 2);
  t.match(configuration.farms.web, { virtualAddresses: ["192.0.2.10"] });
  t.match(configuration.interfaces, { ens1: { ipv4: { gateway: "192.0.2.1" } } });
  t.ok(configuration.users.admin?.passwordHash, "users stay");
  t.match((await control.history())[0], { message: "import a backup of zevenet 5.0.2", author: "admin" });
});

test("what cannot be imported is refused and changes nothing", async (t) => {
  const { server, https, control } = await setUpServer(t, { status });
  const before = control.current();
  const post = (target: string, payload: Buffer | string, more = {}) =>
    server.local.inject({ method: "POST", url: target, headers: { ...headers, ...more }, payload });
  t.equal((await post(url, "no archive")).statusCode, 400);
  t.equal((await post(url, "")).statusCode, 400);
  t.match((await post(`${url}?map=eth0`, packFixture())).json(), { code: "bad-input", problems: [{ path: "map" }] });
  t.match((await post(`${url}?map=eth0:wlan9`, packFixture())).json(), { problems: [{ path: "map.eth0" }] });
  t.match((await post(`${url}?commit=perhaps`, packFixture())).json(), { problems: [{ path: "commit" }] });
  t.match((await post(url, "{}", { "content-type": "application/json" })).json(), {
    code: "unsupported-type",
    detail: /expected application\/gzip/,
  });
  t.equal((await https.inject({ method: "POST", url, headers, payload: packFixture() })).statusCode, 401);
  const farm = { method: "POST" as const, url: "/api/v1/farms", headers, payload: packFixture() };
  t.equal((await server.local.inject(farm)).statusCode, 415, "an archive is a request here only");
  t.same(control.current(), before);
});
