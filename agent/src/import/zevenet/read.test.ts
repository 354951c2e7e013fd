import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { parse } from "yaml";
import { findProblems } from "../../certificates/inspect.ts";
import { configuration as configurationSchema, emptyConfiguration } from "../../configuration/schema.ts";
import { verifyUplinks } from "../../dslb/verify.ts";
import type { SteelyardError } from "../../errors.ts";
import { verifyFarms } from "../../lslb/l4/verify.ts";
import { networkInterface } from "../../network/schema.ts";
import { verifyNetwork } from "../../network/verify.ts";
import { verifyRouting } from "../../routing/verify.ts";
import { parseGlobalSettings, parseTiny } from "./formats.ts";
import { type ImportOptions, type Reading, readZevenetBackup, withoutBlamed } from "./read.ts";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "fixtures");

function loadFixture(name: string): Map<string, Buffer> {
  const files = parse(readFileSync(join(fixtures, `${name}.yaml`), "utf8")) as Record<string, string>;
  return new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]));
}

const old = (options: ImportOptions = {}) => readZevenetBackup(loadFixture("ce-5.0"), emptyConfiguration(), options);
const recent = (options: ImportOptions = {}) => readZevenetBackup(loadFixture("ce-7.0"), emptyConfiguration(), options);

function itemOf({ report }: Reading, kind: string, name: string) {
  const found = report.filter((each) => each.kind === kind && each.name === name);
  if (found.length !== 1) throw new Error(`${found.length} items ${kind} ${name}`);
  return found[0] as NonNullable<(typeof found)[0]>;
}

test("interfaces of CE 5 are taken with both families, masks and the one default gateway", async (t) => {
  const reading = old();
  t.same([reading.product, reading.version], ["zevenet", "5.0.2"]);
  t.match(reading.candidate.interfaces, {
    eth0: {
      enabled: true,
      ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" },
      ipv6: { method: "static", addresses: ["2001:db8::5/64"] },
    },
    eth1: {
      ipv4: { method: "static", addresses: ["198.51.100.5/24"], gateway: "198.51.100.1", defaultRoute: false },
      ipv6: { method: "none" },
    },
  });
  t.equal(itemOf(reading, "interface", "eth0").result, "taken");
  t.equal(reading.candidate.interfaces.eth0?.ipv4.defaultRoute, undefined);
  t.equal(itemOf(reading, "interface", "eth1").result, "taken", "its gateway is that of its own table");
});

test("virtual interfaces become virtual addresses, with names of their own", async (t) => {
  const reading = old();
  t.same(reading.candidate.virtualAddresses, {
    web: { description: "", enabled: true, interface: "eth0", address: "192.0.2.10/24" },
    mail: { description: "", enabled: false, interface: "eth0", address: "192.0.2.11/24" },
    "web-eth1": { description: "", enabled: true, interface: "eth1", address: "198.51.100.10/24" },
    six: { description: "", enabled: true, interface: "eth0", address: "2001:db8::10/64" },
    shop: { description: "", enabled: true, interface: "eth0.100", address: "203.0.113.10/24" },
  });
  t.match(itemOf(reading, "virtual interface", "eth0:Mail"), { result: "changed", notes: [/Mail is mail/] });
  t.match(itemOf(reading, "virtual interface", "eth1:web"), { result: "changed", target: "virtualAddresses.web-eth1" });
});

test("VLANs stand on what their card is here, and what stands on them comes along", async (t) => {
  const reading = old();
  t.match(reading.candidate.interfaces["eth0.100"], {
    kind: "vlan",
    vlan: { parent: "eth0", id: 100, protocol: "802.1Q" },
    ipv4: { method: "static", addresses: ["203.0.113.5/24"] },
  });
  t.equal(itemOf(reading, "VLAN", "eth0.100").result, "taken");
  t.match(reading.candidate.virtualAddresses.shop, { interface: "eth0.100", address: "203.0.113.10/24" });
  t.equal(itemOf(reading, "l4xnat farm", "shop").result, "taken");

  const moved = old({ map: new Map([["eth0", "nic4"]]), links: ["nic4"] });
  t.match(moved.candidate.interfaces["nic4.100"], { vlan: { parent: "nic4", id: 100 } });
  t.match(itemOf(moved, "VLAN", "eth0.100"), { result: "changed", notes: ["eth0.100 is nic4.100 here"] });
  t.match(moved.candidate.virtualAddresses.shop, { interface: "nic4.100" });

  const mapped = old({ map: new Map([["eth0.100", "ens3"]]), links: ["eth0", "eth1", "ens3"] });
  t.match(mapped.candidate.interfaces.ens3, { kind: "ethernet" });
  t.match(itemOf(mapped, "VLAN", "eth0.100"), { result: "changed", notes: [/ens3/, /without its tag/] });

  const lost = old({ links: ["eth1"] });
  t.match(itemOf(lost, "VLAN", "eth0.100"), { result: "not-supported", notes: [/stands on eth0, which has no place/] });
  t.match(itemOf(lost, "l4xnat farm", "shop"), { notes: [/203\.0\.113\.10 is that of eth0\.100/] });
});

test("bonds are made of the cards that take the place of their members; VLANs stand on them", async (t) => {
  const reading = recent();
  t.match(reading.candidate.interfaces.bond0, {
    kind: "bond",
    bond: { mode: "active-backup", members: ["eth2", "eth3"], mii: { interval: 100 } },
    ipv4: { addresses: ["192.0.2.5/24"], gateway: "192.0.2.1", defaultRoute: false },
  });
  t.equal(itemOf(reading, "bond", "bond0").result, "taken");
  t.match(reading.candidate.interfaces["bond0.200"], { kind: "vlan", vlan: { parent: "bond0", id: 200 } });
  t.match(itemOf(reading, "interface", "eth2"), { result: "not-supported", notes: [/member of bond0/] });
  t.equal(reading.candidate.interfaces.eth2, undefined, "a member has no settings of its own");
  t.match(reading.candidate.virtualAddresses.vip, { interface: "bond0" });

  const map = new Map([
    ["eth2", "nic2"],
    ["eth3", "nic3"],
  ]);
  const links = ["eth0", "eth1", "nic2", "nic3"];
  t.match(recent({ map, links }).candidate.interfaces.bond0, { bond: { members: ["nic2", "nic3"] } });
  const poor = recent({ map: new Map([["eth2", "nic2"]]), links });
  t.match(itemOf(poor, "bond", "bond0"), { result: "not-supported", notes: [/no eth3, which is a member/] });
  t.match(itemOf(poor, "VLAN", "bond0.200"), { result: "not-supported", notes: [/bond0, which has no place/] });
});

test("routes, rules and aliases of the Enterprise Edition; what has no place is told", async (t) => {
  const reading = recent();
  t.match(reading.candidate.routingRoutes, {
    "bond0-1024": { destination: "198.51.100.0/24", via: "192.0.2.254", interface: "bond0", table: "bond0", metric: 5 },
  });
  t.match(itemOf(reading, "route", "bond0 1023"), { result: "not-supported", notes: ["eth9 has no place here"] });
  t.match(reading.candidate.routingRules, {
    "rule-1023": { priority: 29_500, from: "10.2.4.0/24", table: "bond0" },
    "rule-1024": { priority: 29_502, from: "10.1.0.0/16", table: "bond0" },
  });
  t.match(itemOf(reading, "rule", "1022"), { result: "not-supported" });
  t.match(itemOf(reading, "routes", "isolate"), { result: "not-supported" });
  t.equal(reading.candidate.interfaces.bond0?.alias, "to the servers");
  t.match(itemOf(reading, "alias", "backend 198.51.100.21"), { result: "not-supported" });
  t.match(itemOf(reading, "floating address", "bond0"), { notes: [/bond0:vip is a virtual address here/] });
});

test("farms of uplinks are taken with weights, priorities and states", async (t) => {
  const reading = old();
  t.match(reading.candidate.uplinkFarms.lines, {
    enabled: true,
    interfaces: ["eth0"],
    algorithm: "priority",
    uplinks: {
      "uplink-1": {
        interface: "eth1",
        gateway: "198.51.100.1",
        weight: 255,
        priority: 1,
        state: "up",
        translation: "none",
      },
      "uplink-2": { interface: "eth0.100", gateway: "203.0.113.1", priority: 2, state: "maintenance" },
    },
  });
  t.match(itemOf(reading, "datalink farm", "lines"), {
    result: "changed",
    target: "uplinkFarms.lines",
    notes: [
      /weight 300 is 255/,
      /10\.9\.9\.1 is not taken: eth9 has no place/,
      /192\.0\.2\.10 as their gateway/,
      /probes/,
    ],
  });
  t.match(itemOf(old({ links: ["eth1"] }), "datalink farm", "lines"), { result: "not-supported" });
});

test("a card this box does not have must be mapped; a map must make sense", async (t) => {
  const reading = old({ links: ["ens1", "ens2"], map: new Map([["eth0", "ens1"]]) });
  t.match(reading.candidate.interfaces, { ens1: { ipv4: { gateway: "192.0.2.1" } } });
  t.match(itemOf(reading, "interface", "eth1"), { result: "not-supported", notes: [/no eth1.*one of ens1, ens2/] });
  t.equal(itemOf(reading, "virtual interface", "eth1:web").result, "not-supported");
  t.match(reading.candidate.virtualAddresses.web, { interface: "ens1" });

  const refused = (map: [string, string][]) => {
    try {
      old({ links: ["ens1", "ens2"], map: new Map(map) });
    } catch (error) {
      return (error as SteelyardError).problems.map(({ path, message }) => `${path}: ${message}`);
    }
    return [];
  };
  t.same(refused([["eth0", "ens9"]]), ["map.eth0: this box has no ens9: expected one of ens1, ens2"]);
  t.match(
    refused([
      ["eth0", "ens1"],
      ["eth1", "ens1"],
    ]),
    [/map\.eth1: ens1 takes the place of eth0/],
  );
});

test("the box's own addresses can stay while the old box is there", async (t) => {
  const current = emptyConfiguration();
  const own = networkInterface.parse({ description: "mine", ipv4: { method: "dhcp" } });
  current.interfaces = { eth0: own };
  const { candidate } = readZevenetBackup(loadFixture("ce-5.0"), current, { interfaces: "keep" });
  t.same(candidate.interfaces.eth0, own);
  t.match(candidate.virtualAddresses.web, { interface: "eth0" });
});

test("farms of CE 5: columns, ports and ranges, algorithms, states", async (t) => {
  const reading = old();
  const { farms } = reading.candidate;
  t.match(farms.web, {
    enabled: true,
    virtualAddresses: ["192.0.2.10"],
    ports: ["80", "8000-8010"],
    protocol: "tcp",
    natType: "nat",
    algorithm: "weight",
    backends: {
      bck0: { address: "198.51.100.21", weight: 3, priority: 1, state: "up" },
      bck1: { state: "maintenance" },
      bck2: { state: "up" },
    },
  });
  t.equal(farms.web?.backends.bck0?.port, undefined, "a backend without a port has the client's");
  t.match(itemOf(reading, "l4xnat farm", "Web"), {
    result: "changed",
    notes: [/Web is web/, /bck2: the limit of 25/, /bck2: was fgDOWN/],
  });
  t.match(farms.dns, {
    enabled: false,
    protocol: "udp",
    natType: "dnat",
    backends: { bck1: { priority: 2, port: 53 } },
  });
  t.match(itemOf(reading, "l4xnat farm", "dns"), { result: "changed", notes: [/priority is no algorithm/] });
  t.match(farms.sticky, { algorithm: "hash-source-address" });
  t.match(itemOf(reading, "l4xnat farm", "sticky").notes, [/persistence by srcip.*300 s/]);
  t.match(farms.six, { virtualAddresses: ["2001:db8::10"], backends: { bck0: { address: "2001:db8:1::21" } } });
  t.equal(itemOf(reading, "l4xnat farm", "six").result, "taken");
});

test("farms that cannot be taken say why", async (t) => {
  const reading = old();
  const notes = (name: string) => itemOf(reading, "l4xnat farm", name).notes.join();
  t.match(itemOf(reading, "l4xnat farm", "ftp"), { result: "not-supported", later: "helpers of L4 farms" });
  t.match(notes("everything"), /protocol all/);
  t.match(notes("broken"), /damaged: expected a line of nine columns/);
  t.match(notes("empty"), /empty/);
  const next = recent({ map: new Map([["bond0", "eth2"]]) });
  const later = (name: string) => itemOf(next, "l4xnat farm", name).notes.join();
  t.match(later("direct"), /NAT type DSR/);
  t.match(later("phones"), /sip needs a helper/);
  t.match(later("torn"), /damaged/);
});

test("farms of CE 7: JSON of nftlb, with the comma the product leaves behind", async (t) => {
  const reading = recent({ map: new Map([["bond0", "eth2"]]) });
  t.same([reading.product, reading.version], ["skudonet", "7"]);
  const { farms } = reading.candidate;
  t.match(farms.web, {
    ports: ["80", "443"],
    algorithm: "round-robin",
    backends: { bck0: { state: "up" }, bck1: { weight: 2, priority: 2, state: "maintenance" } },
  });
  t.equal(itemOf(reading, "l4xnat farm", "web").result, "taken");
  t.match(farms.api, {
    enabled: false,
    virtualAddresses: ["2001:db8::10"],
    ports: ["8000-8010"],
    protocol: "udp",
    natType: "dnat",
    algorithm: "hash-source-address-port",
    backends: { bck0: { weight: 255, priority: 9, state: "up" } },
  });
  t.match(itemOf(reading, "l4xnat farm", "api").notes, [
    /not logged/,
    /weight 300 is 255/,
    /priority 12 is 9/,
    /was down/,
  ]);
  t.match(farms.old, { algorithm: "hash-source-address", backends: { bck0: { weight: 3, port: 90 } } });
  t.same(Object.keys(farms.old?.backends ?? {}), ["bck0"]);
  t.match(farms.least, { algorithm: "weight" });
  t.match(itemOf(reading, "l4xnat farm", "least").notes, [/least connections/]);
});

test("interfaces of CE 7: sections, DHCP, a link-local gateway, the mask of the interface below", async (t) => {
  const reading = recent({ map: new Map([["bond0", "eth2"]]) });
  t.match(reading.candidate.interfaces, {
    eth0: { ipv6: { method: "static", addresses: ["2001:db8::5/64"], gateway: "fe80::1" } },
    eth1: { ipv4: { method: "dhcp", addresses: [] } },
    eth2: { ipv4: { method: "static", addresses: ["192.0.2.5/24"] } },
  });
  t.match(reading.candidate.virtualAddresses.vip, { interface: "eth2", address: "192.0.2.10/24" });
});

test("settings: host name, name servers, time servers; secrets are named, never shown", async (t) => {
  const reading = old();
  t.match(reading.candidate.system, {
    hostname: "zlb01",
    dns: { servers: ["192.0.2.53", "2001:db8::53"], search: ["example.com"] },
    ntp: { servers: ["pool.ntp.org"] },
  });
  t.match(itemOf(reading, "setting", "$zapikey"), { result: "not-supported" });
  t.notMatch(JSON.stringify(reading), /averysecretkey/);
  const next = recent();
  t.equal(next.candidate.system.hostname, "steelyard", "skd_01 is no host name");
  t.match(itemOf(next, "setting", "host name skd_01"), { result: "not-supported", notes: [/expected a host name/] });
});

test("HTTP farms are reported with all that the HTTP farms will need", async (t) => {
  const pound = itemOf(old(), "HTTP farm", "site");
  t.match(pound, {
    result: "not-supported",
    later: "HTTP farms",
    notes: [/http 192\.0\.2\.10 8080; services: app; backends: 2/],
  });
  t.match(pound.content, {
    enabled: false,
    settings: { Timeout: "45", Client: "30" },
    errorPages: ["414"],
    listeners: [
      {
        secure: false,
        address: "192.0.2.10",
        port: 8080,
        directives: ["xHTTP 4", "RewriteLocation 1"],
        services: [
          {
            name: "app",
            url: ["^/app"],
            session: { Type: "COOKIE", TTL: "120", ID: "JSESSIONID" },
            directives: ["DynScale 1"],
            backends: [
              { address: "198.51.100.31", port: 8080, secure: false, settings: { Priority: "5" } },
              { address: "198.51.100.32", settings: { TimeOut: "10" } },
            ],
          },
        ],
      },
    ],
  });
  t.match(itemOf(recent(), "HTTP farm", "shop").content, {
    enabled: true,
    listeners: [
      {
        secure: true,
        certificates: ["shop.pem"],
        services: [
          {
            hosts: ["shop.example.com"],
            directives: ['Redirect 301 "https://www.example.com"'],
            backends: [{ secure: true }],
          },
        ],
      },
    ],
  });
});

test("everything else is reported too: GSLB, checks, protection, cluster, users, certificates", async (t) => {
  const reading = old();
  t.match(itemOf(reading, "health check", "web_"), { notes: [/check_tcp every 15 s; farm: web/] });
  const next = recent();
  t.match(itemOf(next, "GSLB farm", "names"), { later: "GSLB", notes: ["zones: example.com"] });
  t.match(itemOf(next, "health check", "check_tcp"), { content: { farms: ["web", "old"] } });
  t.match(itemOf(next, "health check", "1 checks that come with the product"), { result: "not-supported" });
  t.match(itemOf(next, "protection", "waf"), { later: "IPDS", notes: [/anew/, "2 files"] });
  for (const [kind, name] of [
    ["cluster", "cluster.conf"],
    ["access", "users"],
    ["certificate", "shop.pem"],
  ] as const)
    t.equal(itemOf(next, kind, name).result, "not-supported");
});

test("certificates are taken with their keys, which the report never tells", async (t) => {
  const [server, other] = [makeCertificate("shop.example.com"), makeCertificate("mail.example.com")];
  const key = (name: string) => `usr/local/skudonet/config/certificates/${name}`;
  const files = loadFixture("ce-7.0");
  const put = (name: string, ...parts: string[]) => files.set(key(name), Buffer.from(parts.join("")));
  put("shop.pem", "Bag Attributes\r\n", server.key, server.certificate);
  put("Mail_2024.pem", other.certificate);
  put("Mail_2024.key", other.key);
  put("lonely.pem", other.certificate);
  put("locked.pem", other.certificate, server.key.replaceAll("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"));
  put("left.key", other.key);
  put("skdcert.pem", other.certificate);
  const reading = readZevenetBackup(files, emptyConfiguration());
  t.same(Object.keys(reading.candidate.certificates).sort(), ["mail_2024", "shop"]);
  t.same(Object.values(reading.candidate.certificates).flatMap(findProblems), []);
  t.match(itemOf(reading, "certificate", "shop.pem"), {
    result: "taken",
    target: "certificates.shop",
    content: { subjectAltName: /shop/ },
  });
  t.match(itemOf(reading, "certificate", "Mail_2024.pem"), { result: "changed", notes: [/Mail_2024 is mail_2024/] });
  for (const [name, words] of [
    ["lonely.pem", /private key is not in the backup/],
    ["locked.pem", /without a passphrase/],
    ["left.key", /without a certificate/],
    ["skdcert.pem", /own web interface/],
  ] as const) {
    const { result, notes } = itemOf(reading, "certificate", name);
    t.equal(result, "not-supported");
    t.match(notes.join("; "), words);
  }
  for (const { key: secret } of [server, other])
    t.notOk(JSON.stringify(reading.report).includes(secret.split("\n")[1] ?? ""), "no key in the report");
  const again = readZevenetBackup(files, reading.candidate);
  t.same(again.candidate, reading.candidate, "twice is once");
});

test("a farm whose name is good as it stands keeps it, whatever is called almost the same", async (t) => {
  const farm = (name: string, port: string) =>
    [
      `usr/local/skudonet/config/${name}_l4xnat.cfg`,
      Buffer.from(
        JSON.stringify({
          farms: [
            { name, "virtual-addr": "192.0.2.10", "virtual-ports": port, mode: "snat", protocol: "tcp", state: "up" },
          ],
        }),
      ),
    ] as const;
  const files = new Map([
    ["usr/local/skudonet/config/global.conf", Buffer.from("")] as const,
    farm("WEB", "81"),
    farm("Web", "82"),
    farm("web", "80"),
  ]);
  const { farms } = readZevenetBackup(files, emptyConfiguration()).candidate;
  t.same(
    Object.entries(farms)
      .map(([name, { ports }]) => `${name} ${ports}`)
      .sort(),
    ["web 80", "web-2 81", "web-3 82"],
  );
});

test("what nobody here knows is named: keys of nftlb, a proxy, values in single quotes", async (t) => {
  const files = loadFixture("ce-7.0");
  const place = "usr/local/skudonet/config/";
  const farm = {
    ...{
      name: "ee",
      "virtual-addr": "192.0.2.10",
      "virtual-ports": "8081",
      mode: "snat",
      protocol: "tcp",
      scheduler: "rr",
      state: "up",
    },
    ...{
      "new-rtlimit": "10",
      "new-rtlimit-burst": "5",
      "log-prefix": "x",
      "limits-ttl": "120",
      responsettl: "0",
      iface: "eth0",
    },
    sessions: [{ client: "10.0.0.1", backend: "bck0", expiration: "-1" }],
    backends: [
      { name: "bck0", "ip-addr": "198.51.100.21", port: "", weight: "1", state: "up", mark: "0x200", shiny: "new" },
    ],
  };
  files.set(`${place}ee_l4xnat.cfg`, Buffer.from(JSON.stringify({ farms: [farm] })));
  files.set(
    `${place}global.conf`,
    Buffer.from(
      '$ntp=\'192.0.2.77\';\n$http_proxy="proxy.example.com:3128";\n$https_proxy="http://other.example.com:3128";\n$session_timeout="60";\n$waf_max_body="32000";\n',
    ),
  );
  const reading = readZevenetBackup(files, emptyConfiguration());
  const { notes } = itemOf(reading, "l4xnat farm", "ee");
  t.ok(notes.includes("not taken, for it has no meaning here: sessions"), notes.join("; "));
  t.ok(notes.includes("backend bck0: not taken, for it has no meaning here: shiny"));
  t.equal(notes.filter((each) => /rtlimit/.test(each)).length, 1, "what goes with a limit is no thing of its own");
  t.match(reading.candidate.system, {
    ntp: { servers: ["192.0.2.77"] },
    proxy: { url: "http://proxy.example.com:3128" },
  });
  t.match(itemOf(reading, "setting", "$http_proxy"), { result: "taken", target: "system.proxy" });
  t.match(itemOf(reading, "setting", "$https_proxy"), { result: "not-supported", notes: [/taken for both/] });
  t.match(itemOf(reading, "setting", "$session_timeout"), { result: "not-supported" });
  t.notOk(
    reading.report.some(({ name }) => name === "$waf_max_body"),
    "nobody set that",
  );
});

/** Of a day, self-signed. */
function makeCertificate(host: string): { key: string; certificate: string } {
  const subject = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host}`];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"];
  const argv = ["req", "-x509", ...kind, ...subject, "-keyout", "-", "-out", "-"];
  const both = execFileSync("openssl", argv, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const at = both.indexOf("-----BEGIN CERTIFICATE-----");
  return { key: both.slice(0, at), certificate: both.slice(at) };
}

test("no file of a backup is dropped without a word", async (t) => {
  for (const [files, reading] of [
    [loadFixture("ce-5.0"), old()],
    [loadFixture("ce-7.0"), recent()],
  ] as const) {
    const words = reading.report.map(({ source }) => source);
    // What belongs to a thing that is reported under its main file.
    const covered = /bonding\.conf$|_Err\d+\.html$|_gslb\.cfg\/|ipds\/waf\/sets\/|l4sd\.cfg$/;
    for (const path of files.keys()) t.ok(words.includes(path) || covered.test(path), path);
    for (const { notes, result, kind, name } of reading.report)
      t.ok(result === "taken" || notes.length > 0, `${kind} ${name} says why`);
  }
});

test("what was read is a valid configuration, once what its rules refuse is left out and reported", async (t) => {
  for (const [reading, refused] of [
    [old(), ["nowhere"]],
    [recent({ map: new Map([["bond0", "eth2"]]) }), []],
  ] as [Reading, string[]][]) {
    t.ok(configurationSchema.safeParse(reading.candidate).success);
    const errorsOf = ({ candidate }: Reading) =>
      [
        ...verifyNetwork(candidate),
        ...verifyFarms(candidate),
        ...verifyRouting(candidate),
        ...verifyUplinks(candidate),
      ].filter(({ severity }) => severity === "error");
    const settled = withoutBlamed(reading, emptyConfiguration(), errorsOf(reading)) ?? reading;
    t.same(errorsOf(settled), []);
    for (const name of refused) {
      t.equal(settled.candidate.farms[name], undefined);
      t.match(itemOf(settled, "l4xnat farm", name), { result: "not-supported", notes: [/the box does not have/] });
    }
    t.equal(withoutBlamed(settled, emptyConfiguration(), [{ path: "users.admin", message: "is wrong" }]), undefined);
  }
});

test("reading a backup twice changes nothing the second time", async (t) => {
  const first = old();
  t.same(readZevenetBackup(loadFixture("ce-5.0"), first.candidate).candidate, first.candidate);
});

test("what is no such backup is refused", async (t) => {
  const empty = emptyConfiguration();
  t.throws(() => readZevenetBackup(new Map([["etc/passwd", Buffer.from("")]]), empty), { code: "bad-input" });
  const bare = new Map([
    ["./global.conf", Buffer.from('$ntp="ntp.example.com";')],
    ["./if_eth0_conf", Buffer.from([0xff, 0xfe, 0x00])],
  ]);
  t.match(
    readZevenetBackup(bare, empty).candidate.system.ntp,
    { servers: ["ntp.example.com"] },
    "the directory alone will do",
  );
});

test("the two formats are read as far as they are well-formed", async (t) => {
  t.same(
    [...parseTiny("a=0\n[s]\n# c\nb = 1 \nnonsense\n[ t ]\nc==2")].map(([key, fields]) => [key, [...fields]]),
    [
      ["_", [["a", "0"]]],
      ["s", [["b", "1"]]],
      ["t", [["c", "=2"]]],
    ],
  );
  t.same(
    [...parseGlobalSettings('$a="1";#update\n#$b="2";\n $c = "3" ;\n$d="$c/4";')],
    [
      ["a", "1"],
      ["c", "3"],
      ["d", "$c/4"],
    ],
  );
});
