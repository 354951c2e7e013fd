import * as fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { makeMachine } from "../adapters/machine.ts";
import type { Run } from "../adapters/process.ts";
import { type Configuration, configuration, emptyConfiguration } from "../configuration/schema.ts";
import { baseTableFile, readBaseObjects } from "./apply.ts";
import { firewall } from "./index.ts";
import { planFirewall } from "./plan.ts";
import { type FirewallArtefacts, renderFirewall, renderManagementRules } from "./render.ts";
import { verifyFirewall } from "./verify.ts";

const image = join(dirname(fileURLToPath(import.meta.url)), "../../../image/overlay");

function box(system: object, interfaces: string[] = ["nic0"]): Configuration {
  const known = Object.fromEntries(interfaces.map((name) => [name, {}]));
  return configuration.parse({ ...emptyConfiguration(), system, interfaces: known });
}

t.test("management follows the configuration: interfaces, the API's port, SSH's when it is on", async (t) => {
  const management = (system: object) => renderFirewall(box(system)).management;
  t.same(management({}), { interfaces: [], isolated: [], ports: [444] });
  t.same(
    management({
      management: { interfaces: ["nic1", "nic0", "nic1"], port: 8444 },
      ssh: { enabled: true, port: 2222 },
    }),
    { interfaces: ["nic0", "nic1"], isolated: [], ports: [2222, 8444] },
  );
});

t.test("the sets are replaced in one transaction; an empty one is only emptied", async (t) => {
  t.equal(
    renderManagementRules({ interfaces: ["nic0", "bond0.5"], isolated: ["nic0"], ports: [22, 444] }),
    `flush set inet steelyard_base management_interfaces
add element inet steelyard_base management_interfaces { "nic0", "bond0.5" }
flush set inet steelyard_base isolated_interfaces
add element inet steelyard_base isolated_interfaces { "nic0" }
flush set inet steelyard_base management_ports
add element inet steelyard_base management_ports { 22, 444 }
`,
  );
  t.equal(
    renderManagementRules({ interfaces: [], isolated: [], ports: [444] }),
    `flush set inet steelyard_base management_interfaces
flush set inet steelyard_base isolated_interfaces
flush set inet steelyard_base management_ports
add element inet steelyard_base management_ports { 444 }
`,
  );
});

t.test(
  "a management interface that is not configured is warned about; that there is none, the system tells",
  async (t) => {
    t.same(verifyFirewall(box({})), []);
    t.match(verifyFirewall(box({ management: { interfaces: ["nic0", "nic7"] } })), [
      { severity: "warning", path: "system.management.interfaces.1", message: /nic7/ },
    ]);
  },
);

t.test("the plan loads the table when it is not the image's, and else changes what differs", async (t) => {
  const wanted = renderFirewall(box({ management: { interfaces: ["nic0"] } }));
  t.same(planFirewall(wanted, wanted), []);
  const now = (table: FirewallArtefacts["table"]): FirewallArtefacts => ({ ...wanted, table });
  t.match(planFirewall(now({ state: "missing" }), wanted), [{ kind: "load-base-table", summary: /missing/ }]);
  t.match(planFirewall(now({ state: "altered", reason: "its chain input was changed" }), wanted), [
    { kind: "load-base-table", summary: /input was changed/ },
  ]);
  t.match(planFirewall({ ...wanted, management: { interfaces: [], isolated: [], ports: [444] } }, wanted), [
    { kind: "set-management", summary: "open management on nic0, tcp port 444" },
  ]);
});

t.test("nft's list says what is open and whether a chain was changed", async (t) => {
  const base = (name: string, policy: string, hook = name) => ({ chain: { name, hook, policy } });
  const rule = (chain: string) => ({ rule: { chain } });
  const whole = [
    { metainfo: {} },
    { set: { name: "management_interfaces", elem: ["nic1", "nic0"] } },
    { set: { name: "management_ports", elem: [444, 22] } },
    { set: { name: "isolated_interfaces", elem: ["nic1"] } },
    ...[base("input", "drop"), base("forward", "drop"), base("prerouting", "accept"), base("postrouting", "accept")],
    ...[rule("input"), rule("forward")],
    ...[base("absent", "accept", "prerouting"), rule("absent")],
  ];
  t.same(readBaseObjects(whole), {
    table: { state: "loaded" },
    management: { interfaces: ["nic0", "nic1"], isolated: ["nic1"], ports: [22, 444] },
  });
  const without = (index: number) => readBaseObjects(whole.filter((_, at) => at !== index)).table;
  t.match(without(8), { state: "altered", reason: /input/ }, "the rules of input were flushed");
  t.match(without(7), { state: "altered", reason: /postrouting/ }, "without it connections are lost when nftlb starts");
  t.match(readBaseObjects([...whole.slice(0, 4), base("input", "accept")]).table, { state: "altered" });
  t.match(without(11), { state: "altered", reason: /absent/ }, "farms would serve addresses that another box has");
});

t.test("the table of the image is loaded and filled", async (t) => {
  const root = t.testdir({});
  await fs.cp(join(image, baseTableFile), join(root, baseTableFile));
  const calls: { argv: string; input: string }[] = [];
  const run: Run = async (argv, options) => {
    calls.push({ argv: argv.join(" "), input: String(options?.input ?? "") });
    const empty = JSON.stringify({ nftables: [{ metainfo: {} }] });
    return { code: 0, stdout: argv.at(-1)?.startsWith("list") ? empty : "", stderr: "" };
  };
  const machine = makeMachine({ root, run });
  const wanted = box({ management: { interfaces: ["nic0"] } });
  for (const step of await firewall.plan(wanted, machine)) await step.execute();
  t.same(
    calls.map(({ argv }) => argv),
    ["nft --json list ruleset inet", "nft --file -", "nft --file -"],
  );
  t.match(calls[1]?.input, /^table inet steelyard_base \{$/m);
  t.match(calls[2]?.input, /^add element inet steelyard_base management_interfaces \{ "nic0" \}$/m);
});
