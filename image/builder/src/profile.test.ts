import t from "tap";
import { findShortcomings } from "./checks.ts";
import { imageModules, initrdModules, moduleFile } from "./kernel-modules.ts";
import { renderMkosiConfiguration } from "./mkosi.ts";
import { listProfiles, parseProfile, readProfile } from "./profile.ts";
import { serialSpeed } from "./slot.ts";

const good = `
description: A test machine
console: { kernel: [tty0, "ttyS1,57600n8"] }
nicDrivers: [igb, tg3]
storageDrivers: [virtio_blk]
mediaLimit: 400
`;

const parse = (text: string) => parseProfile("test", "hardware-profiles/test.yaml", text);

/** What the error says about a profile, without the file's name in front of each line. */
function faults(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message.split("\n").map((line) => line.replace("hardware-profiles/test.yaml: ", ""));
  }
  return [];
}

t.test("the profiles of the repository are sound, and an unknown one is answered with the known", async (t) => {
  t.strictSame(await listProfiles(), ["metal", "virt"]);
  for (const name of await listProfiles()) t.equal((await readProfile(name)).name, name);
  await t.rejects(readProfile("toaster"), { message: 'no hardware profile "toaster"; there are: metal, virt' });
  const virt = await readProfile("virt");
  t.strictSame(
    ["virtio_net", "vmxnet3", "hv_netvsc", "ena", "gve", "iavf", "ixgbevf", "e1000", "e1000e"].filter(
      (driver) => !virt.nicDrivers.includes(driver),
    ),
    [],
    "virt has the cards of every hypervisor that is promised",
  );
  t.ok(virt.mediaLimit <= 400);
  t.ok((await readProfile("metal")).mediaLimit <= 650);
});

t.test("a broken profile is told by file, field and what was expected", async (t) => {
  t.strictSame(faults(good), []);
  t.throws(() => parse("description: ["), { message: /^hardware-profiles\/test\.yaml: not YAML: .*line 1/s });
  t.match(faults("[]")[0], "the whole file: Invalid input: expected object, received array");
  t.match(faults(good.replace("[igb, tg3]", "igb"))[0], "nicDrivers: Invalid input: expected array, received string");
  t.match(faults(good.replace("igb,", "igb.ko,"))[0], "nicDrivers.0: a kernel module's name, for example igb");
  t.match(
    faults(good.replace("tty0", "com1"))[0],
    "console.kernel.0: tty0, or a serial port and speed such as ttyS0,115200n8",
  );
  t.match(faults(good.replace("400", "a lot"))[0], "mediaLimit: Invalid input: expected number, received string");
  t.match(faults(`${good}colour: red`)[0], 'the whole file: Unrecognized key: "colour"');
  t.match(faults(`${good}kernelArguments: ["a b"]`)[0], "kernelArguments.0: one kernel argument without spaces");
  t.match(faults(`${good}firmwareWaivers: [{ driver: tg3, files: [a], reason: no }]`)[0], "firmwareWaivers.0.reason");
  t.match(
    faults(`${good}cards: [{ drivers: [igb], rings: { receive: 0 } }]`)[0],
    /^cards.0.rings.receive: a whole number/,
  );
  for (const drivers of ["ixgbe", "igb, igb"])
    t.match(faults(`${good}cards: [{ drivers: [${drivers}] }]`)[0], /^cards: ix?gbe?: expected drivers of nicDrivers/);
  t.equal(faults(good.replace("description: A test machine", "").replace("400", "-1")).length, 2, "all faults at once");
});

t.test("drivers go into the image, storage drivers into the initrd too, in either spelling", async (t) => {
  const profile = parse(good);
  const matches = (patterns: string[], path: string) => patterns.some((pattern) => new RegExp(pattern).test(path));
  t.equal(moduleFile("amd-xgbe"), moduleFile("amd_xgbe"));
  t.ok(matches(imageModules(profile), "drivers/net/ethernet/intel/igb/igb.ko.xz"));
  t.notOk(matches(imageModules(profile), "drivers/net/ethernet/intel/igbvf/igbvf.ko.xz"));
  t.notOk(matches(imageModules(profile), "sound/core/snd.ko.xz"));
  for (const needed of [
    "net/netfilter/ipvs/ip_vs.ko.xz",
    "net/netfilter/nf_flow_table.ko.xz",
    "net/netfilter/nf_conntrack.ko.xz",
    "net/8021q/8021q.ko.xz",
    "drivers/net/bonding/bonding.ko.xz",
    "fs/isofs/isofs.ko.xz",
    "fs/fat/vfat.ko.xz",
    "fs/nls/nls_cp437.ko.xz",
    "net/sched/sch_fq.ko.xz",
    "net/ipv4/tcp_bbr.ko.xz",
    "drivers/md/dm-verity.ko.xz",
  ])
    t.ok(matches(imageModules(profile), needed), needed);
  t.ok(matches(initrdModules(profile), "drivers/block/virtio_blk.ko.xz"));
  t.notOk(matches(initrdModules(profile), "drivers/net/ethernet/intel/igb/igb.ko.xz"));
});

t.test("the profile becomes mkosi configuration and GRUB's serial speed", async (t) => {
  const profile = parse(`${good}kernelArguments: [nomodeset]\npackages: [ipmitool]\n`);
  const text = renderMkosiConfiguration(profile, "1.2.3");
  t.match(text, "ImageId=steelyard-test\nImageVersion=1.2.3\n");
  t.match(text, "KernelCommandLine=\n    console=tty0\n    console=ttyS1,57600n8\n    nomodeset\n");
  t.match(text, "Packages=\n    ipmitool\n");
  t.equal(serialSpeed(profile), 57600);
  t.equal(
    serialSpeed(parse(good.replace(', "ttyS1,57600n8"', ""))),
    115200,
    "GRUB's default where there is no serial console",
  );
});

t.test("an image without a promised driver or its firmware is refused, by name", async (t) => {
  const profile = parse(`${good}
firmwareWaivers:
  - { driver: tg3, files: ["tigon/tg3_tso*.bin"], reason: only cards that were never sold }
`);
  const inventory = {
    modules: new Set(["igb", "tg3", "virtio_blk"]),
    firmware: new Set(["tigon/tg3.bin"]),
    wanted: [
      { driver: "tg3", file: "tigon/tg3.bin" },
      { driver: "tg3", file: "tigon/tg3_tso5.bin" },
      { driver: "snd", file: "loud.bin" },
    ],
  };
  t.strictSame(findShortcomings(profile, inventory), []);
  t.strictSame(findShortcomings(profile, { ...inventory, modules: new Set(["igb", "virtio_blk"]) }), [
    "kernel module tg3: not in the image",
  ]);
  t.strictSame(findShortcomings(profile, { ...inventory, firmware: new Set() }), [
    "firmware tigon/tg3.bin of tg3: not in the image, and no waiver says why",
  ]);
  t.strictSame(
    findShortcomings(profile, { ...inventory, wanted: [] }),
    ["waiver tigon/tg3_tso*.bin of tg3: nothing needs it any more; remove it"],
    "a waiver that outlived its reason is a fault too",
  );
  const pattern = { driver: "igb", file: "intel/ice/ddp/ice-*.pkg" };
  t.strictSame(
    findShortcomings(profile, {
      ...inventory,
      firmware: new Set(["tigon/tg3.bin", "intel/ice/ddp/ice-1.3.41.0.pkg"]),
      wanted: [...inventory.wanted, pattern],
    }),
    [],
    "a driver may name firmware by a pattern",
  );
});
