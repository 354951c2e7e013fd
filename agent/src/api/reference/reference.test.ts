import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import t from "tap";
import { layReference } from "../../../../image/builder/src/reference.ts";
import { password, setUpServer } from "../testing.ts";
import { makeInterceptor, type Outgoing, type ReferenceDocument, withoutPrefilledFields } from "./browser.ts";
import { referenceDirectory, referenceFiles } from "./files.ts";

const url = "/api/v1/reference";

t.test(
  "the reference is a page of this box alone: types, header fields, hashes, and nothing from elsewhere",
  async (t) => {
    const { https, machine } = await setUpServer(t);
    t.match(
      (await https.inject(url)).json(),
      { status: 404, detail: /no reference/ },
      "where the image's files are missing",
    );
    const directory = machine.path(referenceDirectory);
    await layReference(directory);

    const page = await https.inject(url);
    t.equal(page.statusCode, 200, "nobody has to log in to read");
    t.match(page.headers, {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "strict-transport-security": /max-age/,
    });
    const policy = String(page.headers["content-security-policy"]);
    t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
    t.notMatch(policy, /unsafe|https?:|\*/);
    t.notMatch(page.body, /<script(?![^>]* src=)|<style| style=| on\w+=|https?:/, "nothing inline, no other host");
    const addresses = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = ""]) => address);
    t.match(addresses, [
      "data:,",
      ...Object.keys(referenceFiles).map((name) => new RegExp(`^${url}/${name}\\?v=`)),
      "/api/v1/openapi.json",
    ]);

    for (const address of addresses.filter((each) => each.startsWith(`${url}/`))) {
      const name = address.slice(url.length + 1).split("?")[0] as keyof typeof referenceFiles;
      const content = await readFile(join(directory, name));
      const plain = await https.inject(address);
      t.match(plain.headers, {
        "content-type": referenceFiles[name],
        "cache-control": "public, max-age=31536000, immutable",
        vary: "Accept-Encoding",
      });
      t.ok(plain.rawPayload.equals(content), name);
      const packed = await https.inject({ url: address, headers: { "accept-encoding": "br, gzip;q=0.8" } });
      t.match(packed.headers, {
        "content-encoding": "gzip",
        "content-length": String((await stat(join(directory, `${name}.gz`))).size),
      });
      t.ok(gunzipSync(packed.rawPayload).equals(content), `${name}, compressed`);
      t.not(packed.headers.etag, plain.headers.etag);
      t.equal(
        (await https.inject({ url: address, headers: { "accept-encoding": "gzip;q=0" } })).headers["content-encoding"],
        undefined,
      );
      const again = await https.inject({
        url: address,
        headers: { "if-none-match": `"other", ${plain.headers.etag}` },
      });
      t.match(again, { statusCode: 304, body: "" });
      t.equal(
        (await https.inject(`${url}/${name}?v=other`)).headers["cache-control"],
        "no-cache",
        "another hash is not kept for ever",
      );
      t.equal((await https.inject({ method: "HEAD", url: address })).statusCode, 200);
      // Text of two megabytes is not for the report of a failure.
      const text = content.toString();
      const loads = [...text.matchAll(/url\(["']?(.{5})/g)].filter(([, begin]) => begin !== "data:");
      if (name === "swagger-ui.css") t.notOk(loads.length > 0 || text.includes("@import"), "the styles load nothing");
      // What is left of eval are ways out for engines without `globalThis` or `bind`: the policy would refuse it.
      else
        t.notOk(
          /[^\w.$]eval\(|createElement\("style"\)|setAttribute\("style"/.test(text),
          `${name} asks for no more than the policy allows`,
        );
    }
  },
);

t.test("nothing but the files of the page is handed out below its address", async (t) => {
  const { https, machine } = await setUpServer(t);
  await layReference(machine.path(referenceDirectory));
  for (const name of [
    "LICENSE",
    "start.js.gz",
    "..%2fagent.mjs",
    "%2e%2e%2f%2e%2e%2fetc%2fshadow",
    "..",
    "toString",
    "%00",
    "start.js%00.css",
    "",
  ])
    t.equal((await https.inject(`${url}/${name}`)).statusCode === 200, false, name);
  t.equal((await https.inject(`${url}/../../../../config/local/api/key.pem`)).statusCode, 404);
});

t.test("the page sends what a session by cookie or a token needs, and fills in no field by itself", async (t) => {
  const { https } = await setUpServer(t);
  const document = withoutPrefilledFields((await https.inject("/api/v1/openapi.json")).json() as ReferenceDocument);
  const parameters = Object.values(document.paths).flatMap((item) =>
    Object.values(item).flatMap((each) => each.parameters ?? []),
  );
  t.same(
    [...parameters, ...Object.values(document.components.parameters)].filter(
      (each) => !each.required && each.example !== undefined,
    ),
    [],
  );
  t.match(document.components.parameters, { IdempotencyKey: { description: /such as `8e03978e/ } });

  let asked = 0;
  let cookie = "";
  const browser = { "sec-fetch-site": "same-origin" };
  const ask = (async (path: string) => {
    asked += 1;
    const answer = await https.inject({ url: path, headers: { cookie } });
    return { ok: answer.statusCode === 200, json: async () => answer.json() };
  }) as unknown as typeof fetch;
  const intercept = makeInterceptor(ask);
  const send = async (
    method: "GET" | "POST" | "DELETE",
    path: string,
    payload?: object,
    headers: Record<string, string> = {},
  ) => {
    const request: Outgoing = await intercept({ url: `https://box:444${path}`, method, headers });
    return await https.inject({
      method,
      url: path,
      headers: { ...request.headers, ...browser, cookie },
      ...(payload ? { payload } : {}),
    });
  };
  const farm = { name: "web", profile: "l4xnat", virtualAddresses: ["192.0.2.1"], ports: ["80"] };
  t.equal((await send("POST", "/api/v1/farms", farm)).statusCode, 401, "before somebody logs in");
  const login = async () => {
    const answer = await send("POST", "/api/v1/sessions", { user: "admin", password, cookie: true });
    cookie = String(answer.headers["set-cookie"]).split(";")[0] ?? "";
    return answer.statusCode;
  };
  t.equal(await login(), 201);
  t.equal((await send("GET", "/api/v1/farms")).statusCode, 200);
  t.equal((await send("POST", "/api/v1/farms", farm)).statusCode, 201, "with the session's other token");
  t.equal((await send("DELETE", "/api/v1/farms/web")).statusCode, 204);
  t.equal(asked, 2, "which is asked for once, and again after a login alone");
  t.equal(await login(), 201);
  t.equal((await send("POST", "/api/v1/farms", farm)).statusCode, 201, "also that of the next session");
  const { token } = (
    await https.inject({ method: "POST", url: "/api/v1/sessions", payload: { user: "admin", password } })
  ).json();
  cookie = "";
  t.equal((await send("DELETE", "/api/v1/farms/web", undefined, { Authorization: `Bearer ${token}` })).statusCode, 204);
  t.equal(asked, 3);
});
