import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import t from "tap";
import { runCommand } from "../run-command.ts";
import { Api } from "./api.ts";
import { findFingerprint } from "./box.ts";
import { plainFingerprint } from "./pin.ts";

t.test("a fingerprint is the same in every spelling", async (t) => {
  for (const text of ["AB:CD", "abcd", "SHA256:abcd", "sha-256 AB:CD"]) t.equal(plainFingerprint(text), "abcd");
});

t.test("the last fingerprint of a console's text is found", async (t) => {
  const print = (byte: string) => Array.from({ length: 32 }, () => byte).join(":");
  t.equal(findFingerprint(`SHA-256 ${print("AA")}\nagain ${print("BB")}\nlogin:`), print("BB"));
  t.equal(findFingerprint(print("CC").replace(":CC:CC", ":\n      CC:CC")), print("CC"), "also on two lines");
  t.equal(findFingerprint("SHA-1 AA:BB:CC"), undefined);
});

t.test("the client talks to the pinned certificate and to no other", async (t) => {
  const directory = t.testdir();
  const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  await runCommand([
    ...[
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      "/CN=box",
    ],
    ...["-days", "2", "-keyout", key, "-out", cert],
  ] as [string, ...string[]]);
  const { stdout } = await runCommand(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"]);
  const fingerprint = findFingerprint(stdout) ?? "";
  let requests = 0;
  const server = createServer({ key: await readFile(key), cert: await readFile(cert) }, (_, response) => {
    requests++;
    response.end('{"name":"box"}');
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const target = { address: "127.0.0.1", port: (server.address() as AddressInfo).port, timeout: 5_000 };

  const api = new Api({ ...target, fingerprint });
  t.teardown(() => api.close());
  t.match(await api.get("/system"), { name: "box" });
  await t.rejects(api.expect(404, "GET", "/system"), /status 200 where 404 was expected: {"name":"box"}/);

  const before = requests;
  const stranger = new Api({ ...target, fingerprint: fingerprint.replace(/^../, "00") });
  await t.rejects(stranger.get("/system"), /another certificate/);
  t.equal(requests, before, "nothing reached the stranger");
});
