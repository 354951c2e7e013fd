import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { NftObject } from "../../adapters/nft.ts";
import { configuration, emptyConfiguration } from "../../configuration/schema.ts";
import { compareFarms } from "./compare.ts";
import type { Farms, L4Artefacts, Marks } from "./document.ts";
import { assignMarks } from "./marks.ts";
import { type L4Step, planDataPlane, subtractPorts } from "./plan.ts";
import { joinPortRanges, renderFarms } from "./render.ts";
import { activePriority, combineReadings, compareRules, readEntry } from "./rules.ts";

/** Rendering, planning and reading back: all that is pure. What the kernel makes of it is tested in agent/netns-tests. */

function render(farms: Record<string, object>): L4Artefacts {
  const objects = Object.entries(farms).map(([name, farm]) => [
    name,
    { profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"], ...farm },
  ]);
  return renderFarms(configuration.parse({ ...emptyConfiguration(), system: {}, farms: Object.fromEntries(objects) }));
}

const two = { b1: { address: "198.51.100.1", port: 80 }, b2: { address: "198.51.100.2", port: 80 } };

/** What the data plane has once `farms` were applied to an empty one. */
function applied(farms: Record<string, object>, marks: Marks = {}): L4Artefacts {
  const wanted = render(farms);
  return { ...wanted, marks: assignMarks(marks, wanted.farms) };
}

const nothing: L4Artefacts = { dataPlane: { state: "running" }, farms: {}, marks: {}, handover: false };

function say(steps: readonly L4Step[]): string[] {
  return steps.map(({ kind, summary }) => `${kind}: ${summary}`);
}

const confirm = "confirm-rules: check that the kernel has the rules";
const remember = "remember-marks: remember the connection marks of the backends";

t.test("a farm becomes one document, the same whatever the order it was written in", async (t) => {
  const web = {
    virtualAddresses: ["192.0.2.11", "192.0.2.10"],
    ports: ["8000-8010", "80", "8011", "443", "8005-8020"],
    natType: "dnat",
    algorithm: "hash-source-address-port",
    backends: {
      b2: { address: "198.51.100.2", weight: 3, state: "maintenance" },
      b1: { address: "198.51.100.1", priority: 2, state: "down" },
    },
  };
  const address = { family: "ipv4", protocol: "tcp", ports: "80,443,8000-8020" };
  t.strictSame(render({ web }).farms, {
    web: {
      mode: "dnat",
      scheduler: "hash",
      parameters: "srcip srcport",
      addresses: { "192.0.2.10": address, "192.0.2.11": address },
      backends: {
        b1: { address: "198.51.100.1", port: "", weight: 1, priority: 2, state: "down" },
        b2: { address: "198.51.100.2", port: "", weight: 3, priority: 1, state: "off" },
      },
      foreign: {},
    },
  });
  t.same(Object.keys(render({ z: {}, a: {}, off: { enabled: false } }).farms), ["a", "z"]);
  t.equal(joinPortRanges(["5-6", "1", "7", "3-4", "9"]), "1,3-7,9");
});

t.test("a backend without a port beside one that has: the farm's only port is spelled out", async (t) => {
  const mixed = { b1: { address: "198.51.100.1", port: 8080 }, b2: { address: "198.51.100.2" } };
  const ports = (farm: object) =>
    Object.values(render({ web: farm }).farms.web?.backends ?? {}).map(({ port }) => port);
  t.same(ports({ backends: mixed }), ["8080", "80"]);
  t.same(ports({ backends: { b2: mixed.b2 } }), [""]);
});

t.test("marks stay with their backend, and one that is freed is not given away in the same breath", async (t) => {
  const { farms } = render({ web: { backends: two }, mail: { ports: ["25"], backends: two } });
  const first = assignMarks({}, farms);
  t.strictSame(first, { "mail/b1": 2, "mail/b2": 3, "web/b1": 4, "web/b2": 5 });
  const later = render({ ftp: { ports: ["21"], backends: two }, web: { backends: two } }).farms;
  t.strictSame(assignMarks(first, later), { "ftp/b1": 6, "ftp/b2": 7, "web/b1": 4, "web/b2": 5 });
});

t.test("the plan touches what differs and nothing else", async (t) => {
  const now = applied({ web: { backends: two }, mail: { ports: ["25"], backends: two } });
  t.same(planDataPlane(now, now), []);
  const change = (web: object) =>
    say(planDataPlane(now, render({ web: { backends: two, ...web }, mail: { ports: ["25"], backends: two } })));
  t.same(change({ backends: { ...two, b1: { ...two.b1, weight: 3, state: "maintenance" } } }), [
    "set-backend: farm web: backend b1: weight 3, state off",
    confirm,
  ]);
  t.same(change({ backends: { ...two, b1: { ...two.b1, state: "down" } } }), [
    "set-backend: farm web: backend b1: state down",
    confirm,
    "cut-connections: farm web: cut the connections to backend b1",
  ]);
  t.same(change({ backends: { ...two, b3: { address: "198.51.100.3", port: 80 } } }), [
    remember,
    "set-backend: farm web: add backend b3",
    confirm,
  ]);
  t.same(change({ backends: { b1: two.b1 } }), [
    remember,
    "remove-backend: farm web: remove backend b2",
    confirm,
    "cut-connections: farm web: cut the connections to backend b2",
  ]);
  t.same(change({ algorithm: "round-robin" }), ["change-farm: farm web: change how it balances", confirm]);
  t.same(change({ virtualAddresses: ["192.0.2.10", "192.0.2.11"] }), [
    "add-address: farm web: open 192.0.2.11",
    confirm,
  ]);
  t.same(change({ ports: ["80-81"] }), [
    "remove-address: farm web: close 192.0.2.10",
    "add-address: farm web: open 192.0.2.10",
    confirm,
  ]);
  t.same(change({ ports: ["81"] }).at(-1), "cut-connections: farm web: cut the connections to tcp 80 of 192.0.2.10");
  t.same(say(planDataPlane(now, render({ web: { backends: two } }))), [
    remember,
    "remove-farm: remove farm mail",
    confirm,
    "cut-connections: farm mail: cut the connections to tcp 25 of 192.0.2.10",
  ]);
});

t.test("an address that moves from one farm to another is given up before it is taken", async (t) => {
  const addresses = ["192.0.2.10", "192.0.2.11"];
  const now = applied({ a: { virtualAddresses: ["192.0.2.11"] }, b: { virtualAddresses: ["192.0.2.10"] } });
  const plan = planDataPlane(now, render({ a: { virtualAddresses: addresses }, b: { ports: ["81"] } }));
  t.same(say(plan).slice(0, 3), [
    "remove-address: farm b: close 192.0.2.10",
    "add-address: farm a: open 192.0.2.10",
    "add-address: farm b: open 192.0.2.10",
  ]);
});

t.test("what nftlb cannot do in place is done another way", async (t) => {
  const several = applied({ web: { virtualAddresses: ["192.0.2.10", "192.0.2.11"] } });
  t.same(say(planDataPlane(several, nothing)).slice(0, 2), [
    "remove-address: farm web: close 192.0.2.11",
    "remove-farm: remove farm web",
  ]);

  const down = { ...two, b1: { ...two.b1, state: "down" } };
  const spare = planDataPlane(
    applied({ web: { backends: down } }),
    render({ web: { backends: { ...down, b1: { ...down.b1, priority: 2 } } } }),
  );
  t.match(spare, [
    { kind: "remove-backend", backend: "b1" },
    { kind: "set-backend", backend: "b1", mark: 2, change: { address: "198.51.100.1", priority: 2 } },
    { kind: "confirm-rules" },
  ]);

  const six = { virtualAddresses: ["2001:db8::10"] };
  const both = applied({ six, other: { ...six, ports: ["81"] }, web: {} });
  t.same(say(planDataPlane(both, render({ six, web: {} }))), [
    "start-data-plane: restart nftlb: it cannot take an IPv6 address out without the others",
    "add-farm: add farm six",
    "add-farm: add farm web",
    confirm,
    "end-handover: let nftlb's rules take over from their copy",
    "cut-connections: farm other: cut the connections to tcp 81 of 2001:db8::10",
  ]);
  t.match(
    planDataPlane(applied({ six }), render({ six: { ...six, natType: "dnat" }, aside: { ...six, ports: ["81"] } }))[0],
    { kind: "start-data-plane" },
    "one that comes in the same plan would be hit too",
  );
  t.notMatch(
    say(planDataPlane(applied({ six, web: {} }), render({ web: {} }))).join(),
    /start-data-plane/,
    "the last one may go",
  );

  const strange = applied({ web: {} });
  if (strange.farms.web) strange.farms.web.foreign = { persistence: "srcip" };
  t.same(say(planDataPlane(strange, render({ web: {} }))), [
    "remove-farm: remove farm web",
    "add-farm: add farm web",
    confirm,
  ]);
});

t.test("nftlb that stopped or is not believed is started and given everything; marks stay", async (t) => {
  const wanted = render({ web: { backends: two } });
  const marks = { "web/b1": 7, "web/b2": 9 };
  t.same(planDataPlane({ ...nothing, dataPlane: { state: "stopped" } }, nothing), [], "not before there is a farm");
  t.match(planDataPlane({ ...nothing, dataPlane: { state: "stopped" }, marks }, wanted), [
    { kind: "start-data-plane", summary: "start nftlb" },
    { kind: "add-farm", marks: { b1: 7, b2: 9 } },
    { kind: "confirm-rules" },
    { kind: "end-handover" },
  ]);
  const damaged: L4Artefacts = { ...wanted, marks, dataPlane: { state: "damaged", reason: "farm web: gone" } };
  t.match(planDataPlane(damaged, wanted), [
    { kind: "start-data-plane", summary: "restart nftlb: farm web: gone" },
    { kind: "add-farm" },
    { kind: "confirm-rules" },
    { kind: "end-handover" },
  ]);
  t.same(
    planDataPlane({ ...nothing, dataPlane: { state: "stopped" }, marks: { ...marks, "old/b1": 3 } }, wanted).at(-1),
    {
      kind: "cut-connections",
      summary: "farm old: cut the connections to backend b1",
      cut: { of: "backend", mark: 3, families: ["ipv4", "ipv6"] },
    },
    "a farm that went away meanwhile is known by its mark alone",
  );
  t.same(say(planDataPlane({ ...applied({ web: {} }), handover: true }, render({ web: {} }))), [
    "end-handover: let nftlb's rules take over from their copy",
  ]);
});

t.test("ports that are left when others are taken away", async (t) => {
  for (const [ports, others, left] of [
    ["80", "80", ""],
    ["1-10", "4-6", "1-3,7-10"],
    ["1-10,20-30", "5-25", "1-4,26-30"],
    ["80,443", "8080", "80,443"],
  ] as const)
    t.equal(subtractPorts(ports, others), left);
});

t.test("priorities: one more is used for each in use that is not up", async (t) => {
  const level = (...list: [number, string][]) => activePriority(list.map(([priority, state]) => ({ priority, state })));
  t.equal(level([1, "up"], [2, "up"]), 1);
  t.equal(level([1, "down"], [2, "up"]), 2);
  t.equal(level([1, "off"], [1, "down"], [2, "up"], [3, "up"]), 3);
  t.equal(level([1, "down"], [2, "down"], [4, "up"]), 3);
});

t.test("nft's list of the rules is compared with what nftlb says it has", async (t) => {
  const fixture = join(dirname(fileURLToPath(import.meta.url)), "fixtures", "nftlb-tables.json");
  const read = () => JSON.parse(readFileSync(fixture, "utf8")) as NftObject[];
  const readRules = (objects: readonly NftObject[]) =>
    combineReadings(objects.flatMap((each) => readEntry(each) ?? []));
  const { farms, marks } = fixtureFarms();
  t.same(compareRules(farms, marks, readRules(read())), []);

  const without = (test: (object: NftObject) => boolean) => readRules(read().filter((object) => !test(object)));
  const ruleOf = (chain: string) => (object: NftObject) =>
    (object.rule as { chain?: string } | undefined)?.chain === chain;
  t.match(compareRules(farms, marks, without(ruleOf("filter-web"))), [/^farm web: choice/, /^farm web: shares/]);
  t.match(compareRules(farms, marks, without(ruleOf("nat-six"))), [/^farm six: targets/]);
  t.match(compareRules(farms, marks, without(ruleOf("prerouting"))), [
    /prerouting is missing/,
    /prerouting is missing/,
  ]);
  t.ok(compareRules(farms, marks, readRules([])).length >= 2, "no table at all");
  const { six } = farms;
  t.match(compareRules(six ? { six } : {}, marks, readRules(read())), [
    /^farm web: the kernel serves tcp 192\.0\.2\.10 80/,
  ]);
  t.match(compareRules(farms, { ...marks, "web/b1": 99 }, readRules(read())), [/shares/, /targets/]);
});

/** The farms whose tables stand in fixtures/nftlb-tables.json, listed by nft 1.0.6 after nftlb 1.0.7 loaded them. */
function fixtureFarms(): { farms: Farms; marks: Marks } {
  const { farms } = render({
    web: {
      virtualAddresses: ["192.0.2.10", "192.0.2.11"],
      ports: ["80", "8000-8003"],
      backends: {
        b1: { address: "198.51.100.1", port: 8080 },
        b2: { address: "198.51.100.2", port: 8080, weight: 3, state: "maintenance" },
        b3: { address: "198.51.100.3", port: 8080, weight: 3 },
        b4: { address: "198.51.100.4", port: 8080, weight: 4, priority: 2 },
        b5: { address: "198.51.100.5", port: 8080, priority: 3 },
      },
    },
    six: {
      virtualAddresses: ["2001:db8::10"],
      ports: ["53"],
      protocol: "udp",
      natType: "dnat",
      algorithm: "hash-source-address-port",
      backends: { b1: { address: "2001:db8:1::1" }, b2: { address: "2001:db8:1::2", state: "down" } },
    },
  });
  return { farms, marks: assignMarks({}, farms) };
}

t.test("farms that differ are named with what differs", async (t) => {
  const { farms } = render({ web: {}, mail: { ports: ["25"] } });
  t.same(compareFarms(farms, farms), []);
  const { web, mail } = farms;
  if (!web || !mail) throw new Error("two farms were rendered");
  t.match(compareFarms({ web }, { web: { ...web, scheduler: "rr" }, mail }), [
    /^farm web: scheduler: "weight" and not "rr"/,
    "farm mail is missing",
  ]);
  t.same(compareFarms(farms, { web }), ["farm mail is still there"]);
});
