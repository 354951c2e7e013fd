import t from "tap";
import { type Configuration, configuration, emptyConfiguration } from "../../configuration/schema.ts";
import { verifyFarms } from "./verify.ts";

/** A box with nic0 at 192.0.2.5 and 2001:db8::5, and virtual addresses 192.0.2.10, .11 and 2001:db8::10. */
function box(farms: Record<string, object>, more: object = {}): Configuration {
  const base = {
    ...emptyConfiguration(),
    system: { management: { interfaces: ["nic0"] }, ssh: { enabled: true } },
    interfaces: {
      nic0: {
        ipv4: { method: "static", addresses: ["192.0.2.5/24"] },
        ipv6: { method: "static", addresses: ["2001:db8::5/64"] },
      },
    },
    virtualAddresses: {
      v4: { interface: "nic0", address: "192.0.2.10/24" },
      other: { interface: "nic1", address: "192.0.2.11/24" },
      off: { interface: "nic0", address: "192.0.2.12/24", enabled: false },
      v6: { interface: "nic0", address: "2001:db8::10/64" },
    },
    ...more,
    farms: Object.fromEntries(
      Object.entries(farms).map(([name, each]) => [
        name,
        {
          profile: "l4xnat",
          virtualAddresses: ["192.0.2.10"],
          ports: ["80"],
          backends: { b1: { address: "198.51.100.1" } },
          ...each,
        },
      ]),
    ),
  };
  return configuration.parse(base);
}

/** `error farms.web.ports.0` for each finding. */
function findings(farms: Record<string, object>, more?: object): string[] {
  return verifyFarms(box(farms, more)).map(({ severity, path }) => `${severity} ${path}`);
}

t.test("a sound configuration has no findings", async (t) => {
  const six = { virtualAddresses: ["2001:db8::10"], backends: { b1: { address: "2001:db8:1::1" } } };
  t.same(findings({ web: {}, dns: { protocol: "udp" }, other: { virtualAddresses: ["192.0.2.11"] }, six }), []);
  t.same(findings({ own: { virtualAddresses: ["192.0.2.5"] } }), [], "an address of an interface will do");
});

t.test("every mistake of one farm is named by its path, all at once", async (t) => {
  const web = {
    virtualAddresses: ["192.0.2.10", "2001:db8::10", "192.0.2.10", "192.0.2.99"],
    ports: ["80", "8000-8010", "8005", "80"],
    backends: {
      b1: { address: "198.51.100.1", port: 80 },
      b2: { address: "198.51.100.1", port: 80 },
      b3: { address: "2001:db8:1::1" },
      b4: { address: "192.0.2.10", port: 1 },
      b5: { address: "192.0.2.5", port: 1 },
      b6: { address: "127.0.0.1", port: 1 },
      b7: { address: "224.0.0.1", port: 1 },
      b8: { address: "240.1.1.1", port: 1 },
    },
  };
  t.same(findings({ web }).sort(), [
    "error farms.web.backends.b1.port",
    "error farms.web.backends.b2.address",
    "error farms.web.backends.b2.port",
    "error farms.web.backends.b3.address",
    "error farms.web.backends.b4.address",
    "error farms.web.backends.b4.port",
    "error farms.web.backends.b5.address",
    "error farms.web.backends.b5.port",
    "error farms.web.backends.b6.address",
    "error farms.web.backends.b6.port",
    "error farms.web.backends.b7.address",
    "error farms.web.backends.b7.port",
    "error farms.web.backends.b8.address",
    "error farms.web.backends.b8.port",
    "error farms.web.ports.2",
    "error farms.web.ports.3",
    "error farms.web.virtualAddresses.1",
    "error farms.web.virtualAddresses.2",
    "error farms.web.virtualAddresses.3",
  ]);
});

t.test("an address the box does not have is an error, and a warning when the network may give it", async (t) => {
  const web = { virtualAddresses: ["203.0.113.1"] };
  t.same(findings({ web }), ["error farms.web.virtualAddresses.0"]);
  const dhcp = { interfaces: { nic0: { ipv4: { method: "dhcp" } } } };
  t.same(findings({ web }, dhcp), ["warning farms.web.virtualAddresses.0"]);
  t.same(findings({ web }, { interfaces: { nic0: { enabled: false, ipv4: { method: "dhcp" } } } }), [
    "error farms.web.virtualAddresses.0",
  ]);
  const six = { virtualAddresses: ["2001:db8:9::1"], backends: { b1: { address: "2001:db8:1::1" } } };
  t.same(findings({ six }, dhcp), ["error farms.six.virtualAddresses.0"], "DHCP gives no IPv6 address");
  t.same(findings({ six }, { interfaces: { nic0: { ipv6: { method: "automatic" } } } }), [
    "warning farms.six.virtualAddresses.0",
  ]);
  t.same(findings({ web: { virtualAddresses: ["192.0.2.12"] } }), ["warning farms.web.virtualAddresses.0"]);
});

t.test("two farms cannot share a port of an address, and the later one is told", async (t) => {
  t.same(findings({ a: { ports: ["80-90"] }, b: { ports: ["443", "85"] } }), ["error farms.b.ports.1"]);
  t.match(verifyFarms(box({ a: {}, b: {} })), [{ message: "tcp 80 of 192.0.2.10 is taken by farm a" }]);
  t.same(findings({ a: {}, b: { enabled: false } }), [], "a farm that is not enabled takes nothing");
  t.same(findings({ a: {}, b: { protocol: "udp" } }), []);
});

t.test("management is not taken away: an error on the box's own address, a warning on a virtual one", async (t) => {
  const own = { virtualAddresses: ["192.0.2.5"] };
  t.same(findings({ a: { ...own, ports: ["440-450"] }, b: { ...own, ports: ["22"] } }), [
    "error farms.a.ports.0",
    "error farms.b.ports.0",
  ]);
  t.same(findings({ a: { ...own, ports: ["22"], protocol: "udp" } }), []);
  t.same(findings({ a: { ports: ["22"] } }), ["warning farms.a.ports.0"]);
  t.same(findings({ a: { ports: ["22"], virtualAddresses: ["192.0.2.11"] } }), [], "nobody manages the box on nic1");
});

t.test("a farm of several ports names a port for all backends, with a warning, or for none", async (t) => {
  const several = (backends: object) => findings({ web: { ports: ["80", "81"], backends } });
  t.same(several({ b1: { address: "198.51.100.1" }, b2: { address: "198.51.100.2" } }), []);
  t.same(several({ b1: { address: "198.51.100.1", port: 80 } }), ["warning farms.web.backends.b1.port"]);
  t.same(several({ b1: { address: "198.51.100.1", port: 80 }, b2: { address: "198.51.100.2" } }), [
    "error farms.web.backends.b1.port",
  ]);
  const mixed = { b1: { address: "198.51.100.1", port: 80 }, b2: { address: "198.51.100.2" } };
  t.same(findings({ web: { backends: mixed } }), [], "with one port there is no doubt");
});

t.test("a farm nobody answers for is worth a warning", async (t) => {
  t.same(findings({ web: { backends: {} } }), ["warning farms.web.backends"]);
  t.same(findings({ web: { backends: { b1: { address: "198.51.100.1", state: "down" } } } }), [
    "warning farms.web.backends",
  ]);
});

t.test("a backend is no virtual address of another farm", async (t) => {
  const chained = { ports: ["81"], backends: { b1: { address: "192.0.2.11" } } };
  t.match(verifyFarms(box({ web: { virtualAddresses: ["192.0.2.11"] }, chained })), [
    { path: "farms.chained.backends.b1.address", message: /virtual address of farm web/ },
  ]);
});

t.test("the data plane's limits: 4,094 backends, 65,535 ports", async (t) => {
  const many = (farms: number) =>
    Object.fromEntries(
      Array.from({ length: farms }, (_, farm) => [
        `f${farm}`,
        {
          ports: [String(1_000 + farm)],
          backends: Object.fromEntries(
            Array.from({ length: 100 }, (_, at) => [`b${at}`, { address: `198.51.${farm}.${at + 1}` }]),
          ),
        },
      ]),
    );
  t.same(findings(many(40)), []);
  t.match(verifyFarms(box(many(41))), [{ severity: "error", path: "farms", message: /^4100 backends/ }]);
  const wide = { ports: ["1000-65535"], virtualAddresses: ["192.0.2.10", "192.0.2.11"] };
  t.ok(findings({ wide }).includes("error farms"));
});
