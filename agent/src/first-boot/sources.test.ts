import { execFileSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import { type AddressInfo, connect, type Server } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { chooseProxy } from "../adapters/fetch.ts";
import { type Machine, makeMachine } from "../adapters/machine.ts";
import { parseOemStrings } from "../adapters/smbios.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { hashOf, parseLocation } from "./location.ts";
import { makeSources } from "./sources.ts";

const text = "#steelyard\nversion: 1\n";
const patience = { network: 40, interval: 1, request: 1 };

/** An SMBIOS table with one structure of OEM strings among others. */
function makeTable(strings: string[]): Buffer {
  const system = Buffer.from([1, 8, 1, 0, 1, 0, 0, 0, ...Buffer.from("QEMU\0\0")]);
  const oem = Buffer.from([11, 5, 2, 0, strings.length, ...Buffer.from(`${strings.join("\0")}\0\0`)]);
  return Buffer.concat([system, oem, Buffer.from([127, 4, 3, 0, 0, 0])]);
}

/** A box before its first boot, with one card that gets an address as soon as networkd is told to. */
async function setUp(t: Test, options: { commandLine?: string; oemStrings?: string[]; lease?: string } = {}) {
  const commands: string[] = [];
  const fetched: string[] = [];
  const root = t.testdir({ proc: { cmdline: `quiet ${options.commandLine ?? ""}\n` } });
  const settings = join(root, "run/systemd/network/05-steelyard-first-boot.network");
  let up = false;
  const machine: Machine = makeMachine({
    root,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    run: async (argv) => {
      commands.push(argv.join(" "));
      if (argv[0] === "networkctl") {
        up = await fs.access(settings).then(
          () => true,
          () => false,
        );
        const leases = join(root, "run/systemd/netif/leases");
        await fs.mkdir(leases, { recursive: true });
        if (options.lease !== undefined && up)
          await fs.writeFile(
            join(leases, "2"),
            `ADDRESS=192.0.2.7\nOPTION_224=${Buffer.from(options.lease).toString("hex")}\n`,
          );
      }
      return { code: 0, stdout: argv[0] === "lsblk" ? '{"blockdevices":[]}' : "", stderr: "" };
    },
    netlink: fakeNetlink({
      links: async () =>
        [
          { index: 1, name: "lo", up: true, loopback: true, kind: undefined },
          { index: 2, name: "eth0", up: false, loopback: false, kind: undefined },
        ] as never,
      addresses: async () =>
        (up ? [{ index: 2, address: "192.0.2.7/24", scope: "global", tentative: false }] : []) as never,
    }),
  });
  if (options.oemStrings) {
    await fs.mkdir(machine.path("/sys/firmware/dmi/tables"), { recursive: true });
    await fs.writeFile(machine.path("/sys/firmware/dmi/tables/DMI"), makeTable(options.oemStrings));
  }
  const read = makeSources({ machine, patience, onFetch: async (source) => fetched.push(source) });
  const isTakenBack = async () => !(await fs.readdir(join(root, "run/systemd/network")).catch(() => [])).length;
  return { machine, read, commands, fetched, isTakenBack };
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

const answer =
  (status = 200, body = text) =>
  (_: unknown, response: http.ServerResponse) =>
    void response.writeHead(status, { Location: "/elsewhere" }).end(body);

/** A server with a certificate of its own making, and the certificate's SHA-256. */
async function startTls(t: Test) {
  const directory = t.testdir();
  const [key, certificate] = [join(directory, "key.pem"), join(directory, "certificate.pem")];
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"];
  execFileSync("openssl", [...request, "-subj", "/CN=answers", "-keyout", key, "-out", certificate], {
    stdio: "ignore",
  });
  const server = https.createServer({ key: await fs.readFile(key), cert: await fs.readFile(certificate) }, answer());
  const shown = execFileSync("openssl", ["x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"], {
    encoding: "utf8",
  });
  return { port: await listen(t, server), fingerprint: shown.trim().split("=")[1] ?? "" };
}

t.test("an address on the kernel command line is fetched over a network that is taken back", async (t) => {
  const port = await listen(t, http.createServer(answer()));
  const url = `http://127.0.0.1:${port}/lb1.yaml?token=hidden`;
  const { read, commands, fetched, isTakenBack } = await setUp(t, {
    commandLine: `steelyard.answers=${url} steelyard.answers.sha256=${hashOf(text)}`,
  });
  t.same(await read(), {
    source: `answers from 127.0.0.1:${port} (the kernel command line)`,
    text,
    hostname: undefined,
  });
  t.same(fetched, [`answers from 127.0.0.1:${port} (the kernel command line)`], "the token is not told");
  const own = commands.filter((each) => !each.startsWith("lsblk"));
  t.same(own, [
    "networkctl reload",
    "networkctl reload",
    "ip address flush dev eth0 scope global",
    "ip link set dev eth0 down",
  ]);
  t.ok(await isTakenBack());
  t.ok(await read(), "and is known at the next look");
  t.equal(fetched.length, 1);
});

t.test("a file that is not the pinned one is refused, and what cannot be trusted is not fetched", async (t) => {
  let asked = 0;
  const server = http.createServer((request, response) => {
    asked += 1;
    answer()(request, response);
  });
  const port = await listen(t, server);
  const url = `http://127.0.0.1:${port}/`;
  const wrong = await setUp(t, { commandLine: `steelyard.answers=${url} steelyard.answers.sha256=${"0".repeat(64)}` });
  await t.rejects(wrong.read(), { code: "bad-input", message: /has the SHA-256 [0-9a-f]{64}, not the pinned one/ });
  await t.rejects(wrong.read(), { code: "bad-input" }, "it stays told");
  t.equal(asked, 1, "once in a boot");
  t.ok(await wrong.isTakenBack());
  const plain = await setUp(t, { commandLine: `steelyard.answers=${url}` });
  await t.rejects(plain.read(), { message: /steelyard.answers.sha256 .*expected the SHA-256 of the file/ });
  t.equal(asked, 1);
  for (const words of ["ftp://example.com/x", "lb1.yaml", "https://me:secret@example.com/"])
    t.throws(() => parseLocation([`steelyard.answers=${words}`], "here"), { code: "bad-input" }, words);
  t.throws(
    () => parseLocation(["steelyard.answers=dhcp", "steelyard.answers.certificate=AB"], "here"),
    /64 hexadecimal/,
  );
  t.throws(() => parseLocation(["steelyard.answers=dhcp", "steelyard.answers.proxy=proxy"], "here"), /HTTP proxy/);
});

t.test("https is known by the pinned certificate, and else by the authorities", async (t) => {
  const { port, fingerprint } = await startTls(t);
  const where = `steelyard.answers=https://127.0.0.1:${port}/`;
  const pinned = await setUp(t, { oemStrings: ["hello", where, `steelyard.answers.certificate=${fingerprint}`] });
  t.match(await pinned.read(), { text, source: /\(SMBIOS\)$/ });
  const another = await setUp(t, { oemStrings: [where, `steelyard.answers.certificate=${"ab".repeat(32)}`] });
  await t.rejects(another.read(), { message: /its certificate has the SHA-256 [0-9a-f]{64}, not the pinned one/ });
  const open = await setUp(t, { commandLine: where });
  await t.rejects(open.read(), { message: /self-signed certificate/ });
});

t.test("a DHCP option says where, when the machine was told to ask", async (t) => {
  const port = await listen(t, http.createServer(answer()));
  const option = `http://127.0.0.1:${port}/ sha256:${hashOf(text)}\0`;
  const asked = await setUp(t, { commandLine: "steelyard.answers=dhcp", lease: option });
  t.match(await asked.read(), { text, source: /\(DHCP option 224\)$/ });
  const pin = `steelyard.answers.sha256=${"1".repeat(64)}`;
  const kept = await setUp(t, { commandLine: `steelyard.answers=dhcp ${pin}`, lease: option });
  await t.rejects(kept.read(), { message: /not the pinned one/ }, "the option does not replace the machine's own pin");
  const silent = await setUp(t, { commandLine: "steelyard.answers=dhcp" });
  await t.rejects(silent.read(), { message: /no DHCP server sent option 224/ });
  t.ok(await silent.isTakenBack());
  const untold = await setUp(t, { lease: option });
  t.equal(await untold.read(), undefined, "nobody asks a network that nobody vouches for");
  t.same(untold.commands, ["lsblk --json --paths --output NAME,LABEL,FSTYPE,DISK-SEQ"]);
});

t.test("redirects, errors and floods are told with the host alone", async (t) => {
  for (const [handler, words] of [
    [answer(302), /answers 302 Found, and redirects are not followed/],
    [answer(404), /answers 404 Not Found/],
    [answer(200, "x".repeat(1024 * 1024 + 1)), /sends more than 1048576 bytes/],
  ] as const) {
    const port = await listen(t, http.createServer(handler));
    const url = `http://127.0.0.1:${port}/secret-path`;
    const { read } = await setUp(t, {
      commandLine: `steelyard.answers=${url} steelyard.answers.sha256=${hashOf(text)}`,
    });
    const error = await read().catch((each: Error) => each);
    t.match(error, { message: words });
    t.notMatch(String(error), /secret-path/);
  }
});

t.test("a proxy is asked by CONNECT for https and by the whole address for http", async (t) => {
  const { port, fingerprint } = await startTls(t);
  const seen: string[] = [];
  const proxy = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    answer()(request, response);
  });
  proxy.on("connect", (request, socket) => {
    seen.push(`CONNECT ${request.url}`);
    const server = connect(port, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(socket).pipe(server);
    });
    server.on("error", () => socket.destroy());
    socket.on("error", () => server.destroy());
  });
  const through = `steelyard.answers.proxy=http://127.0.0.1:${await listen(t, proxy)}`;
  const secure = await setUp(t, {
    commandLine: `steelyard.answers=https://answers.example.com/a steelyard.answers.certificate=${fingerprint} ${through}`,
  });
  t.match(await secure.read(), { text });
  const plain = await setUp(t, {
    commandLine: `steelyard.answers=http://answers.example.com/a steelyard.answers.sha256=${hashOf(text)} ${through}`,
  });
  t.match(await plain.read(), { text });
  t.same(seen, ["CONNECT answers.example.com:443", "GET http://answers.example.com/a"]);
  const rules = { url: "http://192.0.2.8:3128", bypass: ["example.com", "198.51.100.0/24", "2001:db8::/32"] };
  const isDirect = (url: string) => chooseProxy(new URL(url), rules) === undefined;
  for (const url of [
    "http://example.com/",
    "https://a.example.com",
    "http://198.51.100.7",
    "http://[2001:db8::1]/",
    "http://[::1]",
  ])
    t.ok(isDirect(url), url);
  for (const url of ["http://badexample.com/", "http://203.0.113.1", "http://[2001:db9::1]/"])
    t.notOk(isDirect(url), url);
});

t.test("a systemd credential is an answer file, and SMBIOS strings are read as they stand", async (t) => {
  const { machine, read } = await setUp(t);
  t.equal(await read(), undefined);
  const directory = machine.path("/run/credentials/steelyard-agent.service");
  await fs.mkdir(directory, { recursive: true });
  await fs.writeFile(join(directory, "steelyard.answers"), text);
  t.same(await read(), { source: "systemd credential steelyard.answers", text, hostname: undefined });
  t.same(parseOemStrings(makeTable(["one", "two=2"])), ["one", "two=2"]);
  t.same(parseOemStrings(Buffer.from([11, 0, 1])), [], "a table that ends too soon");
});
