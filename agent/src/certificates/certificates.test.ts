import { readFile, stat, writeFile } from "node:fs/promises";
import { connect, type TLSSocket } from "node:tls";
import t from "tap";
import { run } from "../adapters/process.ts";
import { findFreePort, setUpServer } from "../api/testing.ts";
import { findProblems } from "./inspect.ts";
import { readManagementFingerprint } from "./management.ts";
import { makePrivateKey } from "./request.ts";
import { certificate } from "./schema.ts";
import { describeState, stateOf } from "./validity.ts";

/** Certificates made by openssl(1), as an operator's authority would make them. */

type Made = { certificate: string; key: string };
type Wishes = {
  name?: string;
  days?: number;
  key?: string[];
  extensions?: string;
  digest?: string;
  by?: Made;
  authority?: boolean;
};

async function make(directory: string, wishes: Wishes = {}): Promise<Made> {
  const { name = "lb1.example.com", days = 90, digest = "sha256", by, authority = false } = wishes;
  const file = (kind: string) => `${directory}/${Math.random().toString(36).slice(2)}.${kind}`;
  const [key, request, out, extensions] = [file("key"), file("csr"), file("pem"), file("cnf")];
  await run([
    "openssl",
    "genpkey",
    ...(wishes.key ?? ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    "-out",
    key,
  ]);
  await run(["openssl", "req", "-new", "-key", key, "-subj", `/CN=${name}`, "-out", request]);
  await writeFile(
    extensions,
    authority ? "basicConstraints=critical,CA:TRUE\n" : (wishes.extensions ?? `subjectAltName=DNS:${name}\n`),
  );
  let signer = ["-signkey", key];
  if (by) {
    const [authorityFile, authorityKey] = [file("ca"), file("cakey")];
    await writeFile(authorityFile, by.certificate);
    await writeFile(authorityKey, by.key);
    signer = ["-CA", authorityFile, "-CAkey", authorityKey, "-CAcreateserial"];
  }
  await run([
    "openssl",
    "x509",
    "-req",
    "-in",
    request,
    ...signer,
    "-days",
    String(days),
    `-${digest}`,
    "-extfile",
    extensions,
    "-out",
    out,
  ]);
  return { certificate: await readFile(out, "utf8"), key: await readFile(key, "utf8") };
}

const problemsOf = (chain: string, key: string) =>
  findProblems(certificate.parse({ certificate: chain, key })).map(({ path, message }) => `${path}: ${message}`);

t.test("a certificate is checked with its key and its chain, field by field", async (t) => {
  const directory = t.testdir();
  const root = await make(directory, { name: "root", authority: true });
  const middle = await make(directory, { name: "middle", authority: true, by: root });
  const leaf = await make(directory, { by: middle });
  const other = await make(directory);
  const rsa = await make(directory, { key: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] });
  const ed25519 = await make(directory, { key: ["-algorithm", "ED25519"] });
  for (const [what, chain, key] of [
    ["a leaf alone", leaf.certificate, leaf.key],
    ["a chain without its root", leaf.certificate + middle.certificate, leaf.key],
    ["a chain with its root", leaf.certificate + middle.certificate + root.certificate, leaf.key],
    ["self-signed", other.certificate, other.key],
    ["RSA of 2048 bits", rsa.certificate, rsa.key],
    ["Ed25519", ed25519.certificate, ed25519.key],
    [
      "remarks and line ends of another system",
      `Bag Attributes\r\n${leaf.certificate.replaceAll("\n", "\r\n")}`,
      leaf.key,
    ],
  ] as const)
    t.same(problemsOf(chain, key), [], what);

  t.same(problemsOf(leaf.certificate, other.key), ["certificate: the key does not belong to it"]);
  t.match(problemsOf(middle.certificate + leaf.certificate, leaf.key), [
    "certificate: expected the server's certificate first: the key belongs to certificate 2",
    /expected the chain in order: certificate 2 \(CN=lb1.example.com\) did not sign certificate 1/,
  ]);
  t.match(problemsOf(leaf.certificate + root.certificate, leaf.key), [
    /CN=root\) did not sign certificate 1, which says CN=middle did/,
  ]);
  const weak = await make(directory, { key: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"] });
  t.match(problemsOf(weak.certificate, weak.key), [
    /^key: expected RSA of 2048 bits or more.* not RSA 1024/,
    /^certificate: certificate 1 has a weak key/,
  ]);
  const curve = await make(directory, { key: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"] });
  t.match(problemsOf(curve.certificate, curve.key), [/^key: .*not ECDSA secp256k1/, /weak key/]);
  const sha1 = await make(directory, { digest: "sha1" });
  t.match(problemsOf(sha1.certificate, sha1.key), [/signed with ECDSA with SHA-1, which clients refuse/]);
  const client = await make(directory, { extensions: "extendedKeyUsage=clientAuth\n" });
  t.match(problemsOf(client.certificate, client.key), [/does not have serverAuth/]);
  t.match(problemsOf(leaf.certificate.replace(/\n[A-Za-z0-9+/]{20}/, "\nAAAA"), leaf.key), [/^certificate: /]);
  const damaged = problemsOf(leaf.certificate, leaf.key.replace(/\n[A-Za-z0-9+/]{20}/, "\nAAAA"));
  t.same(damaged, ["key: expected a private key that OpenSSL can read: it is damaged"]);

  const refused = (fields: object) =>
    certificate.safeParse(fields).error?.issues.map(({ path, message }) => `${path}: ${message}`);
  const sealed = await run(["openssl", "pkey", "-aes256", "-passout", "pass:secret"], { input: leaf.key });
  t.match(refused({ key: sealed.stdout }), [/key: expected a key without a passphrase/]);
  t.match(refused({ key: leaf.key, certificate: leaf.certificate + leaf.key }), [
    /certificate: expected certificates alone/,
  ]);
  t.match(refused({ key: leaf.certificate, certificate: "x" }), [
    /certificate: expected certificates in PEM/,
    /key: expected one private key/,
  ]);
});

t.test("the time that is left is told in good time, and in less for what is short-lived", async (t) => {
  const notBefore = "2026-01-01T00:00:00.000Z";
  const state = (notAfter: string, now: string) => stateOf({ notBefore, notAfter }, new Date(now));
  t.equal(state("2026-04-01T00:00:00.000Z", "2026-02-28T00:00:00.000Z"), "valid");
  t.equal(state("2026-04-01T00:00:00.000Z", "2026-03-03T00:00:00.000Z"), "expiring");
  t.equal(state("2026-04-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z"), "expired");
  t.equal(state("2026-04-01T00:00:00.000Z", "2025-12-31T00:00:00.000Z"), "not-yet-valid");
  t.equal(state("2026-01-07T00:00:00.000Z", "2026-01-04T00:00:00.000Z"), "valid", "a week's certificate");
  t.equal(state("2026-01-07T00:00:00.000Z", "2026-01-05T12:00:00.000Z"), "expiring");
  const tell = (now: string) => describeState("it", { notBefore, notAfter: "2026-04-01T00:00:00.000Z" }, new Date(now));
  t.same(tell("2026-03-30T12:00:00.000Z"), ["it expires in 1 day, on 2026-04-01T00:00:00.000Z"]);
  t.same(tell("2026-05-01T00:00:00.000Z"), ["it expired on 2026-04-01T00:00:00.000Z"]);
});

/** A connection that stays open, and what is asked on it. */
function open(port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => resolve(socket));
    socket.on("error", reject);
  });
}

async function ask(socket: TLSSocket): Promise<string> {
  const answer = new Promise<string>((resolve) => socket.once("data", (data) => resolve(data.toString())));
  socket.write("GET /api/v1/openapi.json HTTP/1.1\r\nHost: lb\r\n\r\n");
  return (await answer).split("\r\n")[0] ?? "";
}

t.test(
  "the API shows the configured certificate, without a word lost, and its own again when there is none",
  async (t) => {
    const { server, control, machine, clock, log } = await setUpServer(t);
    clock.time = Date.now();
    const send = async (line: string, payload?: object) => {
      const [method, path] = line.split(" ") as ["GET", string];
      const answer = await server.local.inject({ method, url: `/api/v1${path}`, ...(payload ? { payload } : {}) });
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: answer.body === "" ? undefined : answer.json(),
      };
    };
    const directory = t.testdir();
    const authority = await make(directory, { name: "authority", authority: true });
    const made = await make(directory, { name: "steelyard", by: authority });
    const port = await findFreePort();
    t.equal((await send("PATCH /system", { management: { port } })).status, 200);
    await server.listen();
    const shownNow = async () => {
      const socket = await open(port);
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const own = await shownNow();
    t.match((await send("GET /system/certificate")).body, {
      source: "self-signed",
      fingerprint: own,
      selfSigned: true,
      names: ["steelyard"],
    });

    const chain = made.certificate + authority.certificate;
    t.match(await send("POST /certificates", { name: "mgmt", certificate: chain }), {
      status: 400,
      body: { problems: [{ path: "certificates.mgmt.key", message: /expected the private key/ }] },
    });
    t.match(await send("POST /certificates", { name: "mgmt", certificate: chain, key: authority.key }), {
      status: 422,
      body: { problems: [{ path: "certificates.mgmt.certificate", message: /the key belongs to certificate 2/ }] },
    });
    const ended = await make(directory, { days: 1 });
    clock.time += 2 * 86_400_000;
    t.match(await send("POST /certificates", { name: "mgmt", ...ended }), {
      status: 400,
      body: { problems: [{ path: "certificates.mgmt.certificate", message: /^expired on 20/ }] },
    });
    clock.time = Date.now();
    const created = await send("POST /certificates", { name: "mgmt", certificate: chain, key: made.key });
    t.match(created, { status: 201 });
    t.notOk("key" in created.body, "the key does not come back");
    t.match(await send("PATCH /system", { management: { certificate: "none" } }), {
      status: 422,
      body: {
        problems: [{ path: "system.management.certificate", message: /expected one of the certificates: mgmt/ }],
      },
    });

    // A request under way, and a connection kept alive, through the change of certificates.
    const kept = await open(port);
    t.match(await ask(kept), "HTTP/1.1 200 OK");
    const halfway = await open(port);
    halfway.write("GET /api/v1/openapi.json HTTP/1.1\r\nHost: lb\r\n");
    const change = await send("PATCH /system?confirmWithin=0", {
      hostname: "lb1",
      management: { certificate: "mgmt" },
    });
    t.match(change, { status: 200 });
    t.match(JSON.parse(String(change.headers["steelyard-warnings"])).at(-1), {
      path: "system.management.certificate",
      message: /mgmt is for steelyard, not for lb1/,
    });
    await server.follow();
    const answer = new Promise<string>((resolve) => halfway.once("data", (data) => resolve(data.toString())));
    halfway.write("\r\n");
    t.match(await answer, /^HTTP\/1.1 200 /, "the request under way is answered");
    t.match(await ask(kept), "HTTP/1.1 200 OK", "the connection goes on");
    kept.destroy();
    halfway.destroy();
    const status = (await send("GET /certificates/mgmt/status")).body;
    t.match(status, {
      state: "valid",
      uses: ["system.management"],
      key: "ECDSA P-256",
      issuer: "CN=authority",
      daysLeft: 89,
    });
    t.equal(await shownNow(), status.fingerprint);
    t.equal(await readManagementFingerprint(machine), status.fingerprint, "the console tells of this one");
    t.match((await send("GET /system/certificate")).body, { source: "configured", name: "mgmt" });
    t.match(await send("DELETE /certificates/mgmt"), { status: 422 }, "it is in use");

    const { generation } = control.current();
    const file = machine.path(`/config/generations/${generation}/certificates/mgmt.yaml`);
    t.equal((await stat(file)).mode & 0o777, 0o600);
    const secret = made.key.split("\n")[1] ?? "";
    t.ok((await readFile(file, "utf8")).includes(secret), "the key is kept");
    for (const path of [
      "/certificates",
      "/certificates/mgmt",
      "/configuration",
      `/configuration/diff?from=0&to=${generation}`,
      "/access/audit?limit=100",
      "/system/certificate",
    ]) {
      const { status: code, body } = await send(`GET ${path}`);
      t.equal(code, 200, path);
      t.notOk(JSON.stringify(body).includes(secret), `no key in ${path}`);
    }
    t.notOk(log.join("\n").includes(secret), "nor in the log");

    clock.time = Date.now() + 70 * 86_400_000;
    t.match((await send("GET /system/status")).body.warnings, [/certificate of the API \(mgmt\) expires in 19 days/]);
    clock.time = Date.now();

    t.match(await send("PATCH /system?confirmWithin=0", { management: { certificate: null } }), { status: 200 });
    await server.follow();
    t.equal(await shownNow(), own, "the box's own again");
    const renewed = (await send("POST /system/certificate/regenerate")).body;
    t.match(renewed, { source: "self-signed", names: ["lb1"], selfSigned: true });
    t.not(renewed.fingerprint, own);
    t.equal(await shownNow(), renewed.fingerprint);
    t.equal(await readManagementFingerprint(machine), renewed.fingerprint);
    t.equal((await stat(machine.path("/config/local/api/key.pem"))).mode & 0o777, 0o600);
  },
);

t.test("a certificate that turns out unusable gives way to the box's own, and the status says so", async (t) => {
  const { makeManagementCertificates } = await import("./management.ts");
  const { emptyConfiguration } = await import("../configuration/schema.ts");
  const { machine, log } = await setUpServer(t);
  const [one, other] = [await make(t.testdir()), await make(t.testdir())];
  const empty = emptyConfiguration();
  const management = { ...empty.system.management, certificate: "mgmt" };
  const bad = certificate.parse({ certificate: one.certificate, key: other.key });
  const choice = makeManagementCertificates(machine, () => ({
    system: { ...empty.system, management },
    certificates: { mgmt: bad },
  }));
  const shown = await choice.choose();
  t.match(shown, { reason: /mgmt: the key does not belong to it/ });
  t.equal(shown.name, undefined);
  await choice.note(shown);
  t.match(choice.describe(new Date()), { problems: [/cannot be used: mgmt: the key does not belong/] });
  t.match(log.join("\n"), /the self-signed one is shown/);
});

t.test("a key and its request are made on the box; the authority's answer completes the certificate", async (t) => {
  const { server, machine, clock } = await setUpServer(t);
  clock.time = Date.now();
  const send = async (method: "GET" | "POST" | "PATCH", path: string, payload?: object) =>
    await server.local.inject({ method, url: `/api/v1${path}`, ...(payload ? { payload } : {}) });
  const wish = {
    names: ["lb1.example.com", "192.0.2.5", "*.lb.example.com"],
    organization: "Berg / Söhne + Co",
    country: "DE",
  };
  const answer = await send("POST", "/certificates/mgmt/request", wish);
  t.equal(answer.statusCode, 201, answer.body);
  const { request } = answer.json();
  t.notMatch(answer.body, /PRIVATE KEY/);
  const { stdout } = await run(["openssl", "req", "-noout", "-text", "-verify", "-nameopt", "utf8"], {
    input: request,
  });
  t.match(stdout, /C ?= ?DE, O ?= ?Berg \/ Söhne \+ Co, CN ?= ?lb1\.example\.com/);
  t.match(stdout, /DNS:lb1\.example\.com, IP Address:192\.0\.2\.5, DNS:\*\.lb\.example\.com/);
  t.match((await send("GET", "/certificates/mgmt/status")).json(), { state: "requested", uses: [] });
  t.equal((await send("POST", "/certificates/mgmt/request", wish)).statusCode, 409, "a request is not overwritten");
  t.match((await send("PATCH", "/system", { management: { certificate: "mgmt" } })).json(), {
    problems: [{ path: "system.management.certificate", message: /is a request still/ }],
  });

  const directory = t.testdir({ "request.pem": request });
  const authority = await make(directory, { name: "authority", authority: true });
  await writeFile(`${directory}/ca.pem`, authority.certificate);
  await writeFile(`${directory}/ca.key`, authority.key);
  const signed = await run([
    "openssl",
    "x509",
    "-req",
    "-in",
    `${directory}/request.pem`,
    "-CA",
    `${directory}/ca.pem`,
    "-CAkey",
    `${directory}/ca.key`,
    "-CAcreateserial",
    "-days",
    "60",
  ]);
  const done = await send("PATCH", "/certificates/mgmt", { certificate: signed.stdout });
  t.equal(done.statusCode, 200, done.body);
  t.match((await send("GET", "/certificates/mgmt/status")).json(), { state: "valid", issuer: "CN=authority" });
  const { stdout: left } = await machine.run(["find", machine.path("/run/steelyard"), "-name", "key-*"]);
  t.equal(left, "", "no key is left lying about");
  for (const type of ["rsa-2048", "ecdsa-p384", "ed25519"] as const)
    t.match(await makePrivateKey(type), /^-----BEGIN PRIVATE KEY-----/);
});
