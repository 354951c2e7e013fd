import t from "tap";
import { role } from "../access/schema.ts";
import { emptyConfiguration, farm } from "../configuration/schema.ts";
import { networkInterface, virtualAddress } from "../network/schema.ts";
import { system } from "../system/schema.ts";
import { mapNics } from "./nics.ts";
import { listInterfaceNames, renameInterfaces } from "./rename.ts";
import { planRestore, requireDecided } from "./restore.ts";
import type { BackupNic, Manifest } from "./schema.ts";

const nic = (name: string, mac: string, driver = "virtio_net", bus?: string): BackupNic => ({
  name,
  mac: `52:54:00:00:00:${mac}`,
  driver,
  ...(bus === undefined ? {} : { bus }),
});

const shortOf = ({ places }: ReturnType<typeof mapNics>) =>
  places.map(({ name, to, by }) => `${name} ${by} ${to ?? "-"}`);

t.test("the same card is found by its permanent MAC, whatever it is called now", async (t) => {
  const before = [nic("eth0", "01"), nic("eth1", "02")];
  const now = [nic("eth0", "02"), nic("eth1", "01"), nic("eth2", "03")];
  t.same(shortOf(mapNics(before, now, {})), ["eth0 mac eth1", "eth1 mac eth0"]);
});

t.test(
  "other cards are proposed: same driver in the same place, then same driver in order, then in order",
  async (t) => {
    const before = [
      nic("a", "01", "ixgbe", "0000:01:00.0"),
      nic("b", "02", "ixgbe", "0000:01:00.1"),
      nic("c", "03", "e1000"),
    ];
    const now = [
      nic("eth0", "11", "igb", "0000:00:01.0"),
      nic("eth1", "12", "ixgbe", "0000:01:00.1"),
      nic("eth2", "13", "ixgbe", "0000:02:00.0"),
    ];
    const map = mapNics(before, now, {});
    t.same(shortOf(map), ["a proposed eth2", "b proposed eth1", "c proposed eth0"]);
    t.match(map.places, [
      { reason: "same driver, next in order", candidates: ["eth2", "eth0", "eth1"] },
      { reason: "same driver in the same place" },
      { reason: "next in order" },
    ]);
    t.same(shortOf(mapNics(before, now.slice(0, 1), {})), ["a proposed eth0", "b open -", "c open -"]);
  },
);

t.test("two cards with one MAC are not taken for the one of the backup", async (t) => {
  const map = mapNics([nic("eth0", "01")], [nic("eth0", "01"), nic("eth1", "01")], {});
  t.same(shortOf(map), ["eth0 proposed eth0"]);
});

t.test("what is named wins over the same card; names that are not there are told", async (t) => {
  const before = [nic("eth0", "01"), nic("eth1", "02")];
  const now = [nic("eth0", "01"), nic("eth2", "03")];
  t.same(shortOf(mapNics(before, now, { eth0: "eth2" })), ["eth0 named eth2", "eth1 proposed eth0"]);
  t.same(
    shortOf(mapNics(before, now, { eth1: "eth1" })),
    ["eth0 mac eth0", "eth1 named eth1"],
    "a card that is yet to come",
  );
  const { problems } = mapNics(before, now, { eth9: "eth0", eth0: "eth7", eth1: "eth7" });
  t.match(problems, [
    { path: "map.eth9", message: "expected a card of the backup: eth0, eth1" },
    { path: "map.eth0", message: "expected a card of this box: eth0, eth2" },
    { path: "map.eth1" },
  ]);
  t.match(mapNics(before, now, { eth0: "eth2", eth1: "eth2" }).problems, [{ message: /each card once/ }]);
});

const configuration = {
  ...emptyConfiguration(),
  system: system.parse({ management: { interfaces: ["eth0"] } }),
  interfaces: { eth0: networkInterface.parse({}), eth1: networkInterface.parse({ mtu: 9000 }) },
  virtualAddresses: { web: virtualAddress.parse({ interface: "eth1", address: "192.0.2.10/24" }) },
  farms: { eth0: farm.parse({ profile: "l4xnat", virtualAddresses: ["192.0.2.10"], ports: ["80"] }) },
  roles: { net: role.parse({ permissions: ["network:*"], bindings: { interfaces: ["eth0", "eth1.7", "eth*"] } }) },
};

t.test("interfaces get their new names wherever the configuration speaks of them, and nothing else does", async (t) => {
  const swapped = renameInterfaces(
    configuration,
    new Map([
      ["eth0", "eth1"],
      ["eth1", "eth0"],
    ]),
  );
  t.same(Object.keys(swapped.interfaces), ["eth1", "eth0"]);
  t.equal(swapped.interfaces.eth0?.mtu, 9000);
  t.same(swapped.system.management.interfaces, ["eth1"]);
  t.equal(swapped.virtualAddresses.web?.interface, "eth0");
  t.same(swapped.roles.net?.bindings.interfaces, ["eth1", "eth0.7", "eth*"]);
  t.same(Object.keys(swapped.farms), ["eth0"], "a farm may be called so too");
  t.equal(swapped.farms, configuration.farms, "what did not change is the very same");
  t.same(listInterfaceNames(configuration).sort(), ["eth0", "eth1"]);
});

t.test("members of a bond and the card under a VLAN follow, by names that the schema alone knows", async (t) => {
  const interfaces = {
    bond0: networkInterface.parse({
      kind: "bond",
      bond: { mode: "active-backup", members: ["eth0", "eth1"], primary: "eth1" },
    }),
    "eth2.100": networkInterface.parse({ kind: "vlan", vlan: { parent: "eth2", id: 100 } }),
  };
  const names = new Map(Object.entries({ eth0: "nic5", eth1: "nic6", eth2: "nic7" }));
  const { interfaces: after } = renameInterfaces({ ...configuration, interfaces }, names);
  t.same(Object.keys(after), ["bond0", "nic7.100"]);
  t.match(after.bond0, { bond: { members: ["nic5", "nic6"], primary: "nic6" } });
  t.match(JSON.stringify(after["nic7.100"]), /"nic7"/);
});

t.test("a restore is refused while a card has no certain place, and each is told with its candidates", async (t) => {
  const manifest = { nics: [nic("eth0", "01"), nic("eth1", "02"), nic("eth5", "09")] } as Manifest;
  const present = [nic("ens1", "01"), nic("ens2", "13"), nic("ens3", "14")];
  const plan = planRestore({ manifest, configuration }, present, { map: {}, acceptProposals: false });
  t.same(
    plan.places.map(({ name }) => name),
    ["eth0", "eth1"],
    "only cards that the configuration names",
  );
  t.throws(() => requireDecided(plan), {
    code: "invalid-configuration",
    problems: [
      {
        path: "map.eth1",
        message: /the place of eth1 \(52:54:00:00:00:02, virtio_net\), one of: ens2, ens3 \(proposed is ens2/,
      },
    ],
  });
  t.same(Object.keys(plan.configuration?.interfaces ?? {}), ["ens1", "ens2"], "a dry run shows what is proposed");
  const accepted = requireDecided(
    planRestore({ manifest, configuration }, present, { map: {}, acceptProposals: true }),
  );
  t.same(accepted.system.management.interfaces, ["ens1"]);
  const named = requireDecided(
    planRestore({ manifest, configuration }, present, { map: { eth1: "ens3" }, acceptProposals: false }),
  );
  t.equal(named.virtualAddresses.web?.interface, "ens3");
  const alone = planRestore({ manifest, configuration }, present.slice(0, 1), { map: {}, acceptProposals: true });
  t.equal(alone.configuration, undefined);
  t.throws(() => requireDecided(alone), { message: /none is free \(this box has no card left for it\)/ });
});

t.test(
  "a configured card that was not in the box keeps its name, unless that is taken: nothing is lost under one name",
  async (t) => {
    const manifest = { nics: [nic("eth0", "01")] } as Manifest;
    const settings = (plan: ReturnType<typeof planRestore>) => Object.keys(plan.configuration?.interfaces ?? {}).sort();
    const plan = (present: ReturnType<typeof nic>[], map: Record<string, string> = {}) =>
      planRestore({ manifest, configuration }, present, { map, acceptProposals: true });
    t.same(settings(plan([nic("eth0", "01")])), ["eth0", "eth1"]);
    const clash = plan([nic("eth1", "01"), nic("eth2", "07")]);
    t.equal(clash.configuration, undefined);
    t.match(clash.open, [
      { path: "map.eth1", message: /one of: eth2 \(it was not in that box, and eth1 takes the place of eth0 here/ },
    ]);
    t.same(settings(plan([nic("eth1", "01"), nic("eth2", "07")], { eth1: "eth2" })), ["eth1", "eth2"]);
  },
);
