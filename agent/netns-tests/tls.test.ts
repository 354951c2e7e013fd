import * as fs from "node:fs/promises";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { fileURLToPath } from "node:url";
import t from "tap";
import { run } from "../src/adapters/process.ts";
import { findFreePort, setUpServer } from "../src/api/testing.ts";
import { enterBox } from "./lab.ts";

type Finding = { id: string; severity: string; finding: string };

/** Everything else (LOW, MEDIUM, HIGH, CRITICAL, and WARN: a check that could not be made) is a fault of ours. */
const harmless = new Set(["OK", "INFO"]);

/** What testssl.sh minds and we do not, each with its reason. */
const excused: Record<string, string> = {
  engine_problem: "GOST ciphers of the scanner's own OpenSSL, which no server of ours offers",
  sessionresumption_ticket: "a matter of speed alone, and on a busy machine the check does not get through",
  sessionresumption_ID: "the same",
  cert_revocation:
    "where a certificate is revoked is up to the authority that signs it; nobody can revoke a self-signed one",
};
const excusedSelfSigned: Record<string, string> = {
  ...excused,
  cert_chain_of_trust: "a self-signed certificate is known by its fingerprint, which the console shows",
  cert_extlifeSpan: "398 days hold for public authorities, and a new certificate is a new fingerprint to check",
  overall_grade: "is the lowest there is, T, where the chain of trust is not known",
};

/**
 * The HTTPS of the API under testssl.sh(1): once with the certificate the box has made for itself, once with one that an
 * authority has signed. STEELYARD_TLS_CHECKS=all runs every check there is (all weaknesses with a name, every cipher, what
 * clients of all ages get); left out, those that say the most in the least time.
 */
if (await enterBox(fileURLToPath(import.meta.url))) await test();

async function test(): Promise<void> {
  const all = process.env.STEELYARD_TLS_CHECKS === "all";
  await run(["ip", "link", "set", "lo", "up"]);
  // Of the box alone, so that its files end with it, however it ends. Not /tmp, which testssl.sh gets one of its own of.
  await run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]);
  const place = await fs.mkdtemp("/dev/shm/steelyard-tls-");
  t.teardown(() => fs.rm(place, { recursive: true }));
  const { server, clock } = await setUpServer(t);
  clock.time = Date.now();
  const port = await findFreePort();
  const change = async (method: "POST" | "PATCH", path: string, payload: object) => {
    const answer = await server.local.inject({ method, url: `/api/v1${path}`, payload });
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.body}`);
    await server.follow();
  };
  await change("PATCH", "/system", { management: { port } });
  await server.listen();
  const scan = (name: string, checks: string[]) => runTestssl(place, name, port, checks);
  const chain = await makeChain(place, "lb1.example.com");

  await t.test("testssl.sh finds no weakness behind the certificate the box has made for itself", async (t) => {
    const found = await scan("steelyard", all ? [] : ["-p", "-s", "-f", "-h", "-S"]);
    t.same(weaknesses(found, excusedSelfSigned), []);
    // It has looked: at this server, with these outcomes.
    t.match(byId(found), {
      SSLv3: /not offered/,
      TLS1: /not offered/,
      TLS1_1: /not offered/,
      TLS1_2: /offered/,
      TLS1_3: /offered/,
      HSTS_time: /365 days/,
      cert_keySize: /EC 256/,
      cert_chain_of_trust: /self signed/,
      cert_trust: /Ok/i,
    });
    if (all) t.ok(found.length > 100, `${found.length} findings`);
  });

  await t.test("testssl.sh finds no weakness behind an uploaded RSA certificate, and the chain is whole", async (t) => {
    await change("POST", "/certificates", { name: "mgmt", ...chain });
    await change("PATCH", "/system", { management: { certificate: "mgmt" } });
    const found = await scan("lb1.example.com", all ? [] : ["-s", "-S"]);
    t.same(weaknesses(found, excused), []);
    t.match(byId(found), {
      cert_keySize: /RSA 2048/,
      cert_chain_of_trust: /passed/,
      cert_trust: /Ok via SAN/i,
      certs_countServer: /2/,
      cipherlist_NULL: /not offered/,
      cipherlist_LOW: /not offered/,
    });
  });

  await t.test("the same eyes see a server that still speaks TLS 1.0, with the certificate of another", async (t) => {
    const weak = createServer({
      key: chain.key,
      cert: chain.certificate,
      minVersion: "TLSv1",
      ciphers: "DEFAULT@SECLEVEL=0",
    });
    const sockets = new Set<Socket>();
    weak.on("connection", (socket) => sockets.add(socket));
    await new Promise<void>((resolve) => weak.listen(0, "127.0.0.1", resolve));
    const found = await runTestssl(place, "weak.example.com", (weak.address() as AddressInfo).port, ["-p", "-S"]);
    // What the scanner left open would keep it, and this test, for ever.
    weak.close();
    for (const socket of sockets) socket.destroy();
    const words = weaknesses(found, excused).join("\n");
    for (const expected of [/TLS1:/, /TLS1_1:/, /cert_trust:/]) t.match(words, expected);
  });
}

/** `LOW TLS1: offered`: everything that has no excuse. */
function weaknesses(found: readonly Finding[], excused: Record<string, string>): string[] {
  return found
    .filter(({ id, severity }) => !harmless.has(severity) && !Object.hasOwn(excused, id))
    .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`);
}

function byId(found: readonly Finding[]): Record<string, string> {
  return Object.fromEntries(found.map(({ id, finding }) => [id, finding]));
}

/** What testssl.sh says of a port of this machine. It takes half a minute for some checks, and minutes for all. */
async function runTestssl(place: string, name: string, port: number, checks: string[]): Promise<Finding[]> {
  const file = join(place, `${name}.json`);
  await fs.rm(file, { force: true });
  const limits = ["--connect-timeout", "20", "--openssl-timeout", "20"];
  const output = ["--quiet", "--color", "0", "--warnings", "off", "--jsonfile", file];
  const target = ["--nodns", "none", "--ip", "127.0.0.1", `https://${name}:${port}/api/v1/openapi.json`];
  // A /tmp of its own: what it leaves there when its time is up goes with the mount.
  const alone = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh"] as const;
  // Exit statuses up to 245 count what it minds (testssl.sh(1)); whether it has come to the end, the file says.
  const accept = Array.from({ length: 246 }, (_, code) => code);
  const timeout = 540_000;
  // The one directory of authorities: it would try five lists of public ones as well, and takes seconds for each.
  // And seconds that it waits for an answer, which on a busy machine are more than its own five.
  const patience = { HEADER_MAXSLEEP: "60", MAX_WAITSOCK: "60" };
  const environment = { CA_BUNDLES_PATH: join(place, "authorities"), ...patience };
  await run([...alone, "testssl", ...output, ...limits, ...checks, ...target], { timeout, accept, environment });
  const found = JSON.parse(await fs.readFile(file, "utf8")) as Finding[];
  if (!found.some(({ id }) => id === "scanTime")) throw new Error(`testssl.sh did not come to the end: ${file}`);
  return found;
}

/** A server's RSA certificate, signed by an authority that the root has signed: as public authorities do it. */
async function makeChain(place: string, name: string): Promise<{ key: string; certificate: string }> {
  const path = (file: string) => join(place, file);
  await fs.mkdir(path("authorities"));
  const authority = [
    "-addext",
    "basicConstraints=critical,CA:TRUE",
    "-addext",
    "keyUsage=critical,keyCertSign,cRLSign",
  ];
  const newKey = ["-newkey", "rsa:2048", "-nodes"];
  const request = ["openssl", "req", "-new", "-sha256", ...newKey] as const;
  await run([
    ...request,
    "-x509",
    "-days",
    "300",
    "-subj",
    "/CN=root",
    ...authority,
    "-keyout",
    path("authorities/root.key"),
    "-out",
    path("authorities/root.pem"),
  ]);
  const sign = async (subject: string, by: string, extensions: string) => {
    const [key, csr, ext, out] = ["key", "csr", "ext", "pem"].map((end) => path(`${subject}.${end}`)) as [
      string,
      string,
      string,
      string,
    ];
    await run([...request, "-subj", `/CN=${subject}`, "-keyout", key, "-out", csr]);
    await fs.writeFile(ext, extensions);
    const signer = ["-CA", path(`${by}.pem`), "-CAkey", path(`${by}.key`), "-CAcreateserial"];
    await run([
      "openssl",
      "x509",
      "-req",
      "-sha256",
      "-days",
      "90",
      "-in",
      csr,
      "-extfile",
      ext,
      ...signer,
      "-out",
      out,
    ]);
  };
  await sign(
    "issuer",
    "authorities/root",
    "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n",
  );
  const use = "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n";
  await sign(name, "issuer", `basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:${name}\n${use}`);
  const read = (file: string) => fs.readFile(path(file), "utf8");
  return { key: await read(`${name}.key`), certificate: (await read(`${name}.pem`)) + (await read("issuer.pem")) };
}
