import t from "tap";
import { type MachineDescription, qemuArguments } from "./arguments.ts";

const machine: MachineDescription = {
  name: "box",
  accelerator: "tcg",
  memoryMegabytes: 1024,
  processors: 2,
  disk: "/lab/disk.qcow2",
  sockets: { qmp: "/s/qmp", channel: "/s/channel", serial: "/s/serial" },
  serialLog: "/logs/serial.log",
};

/** The values of every option of a name. */
function options(argv: string[], name: string): string[] {
  return argv.flatMap((argument, index) => (argument === name ? [argv[index + 1] ?? ""] : []));
}

t.test("a BIOS machine has no firmware drive; a UEFI machine has code and its own variables", async (t) => {
  t.notMatch(qemuArguments(machine).join(" "), /pflash/);
  const uefi = qemuArguments({ ...machine, uefi: { code: "/code.fd", variables: "/own.fd" } });
  const flash = options(uefi, "-drive").filter((drive) => drive.startsWith("if=pflash"));
  t.match(flash[0], /unit=0.*readonly=on.*\/code\.fd/);
  t.match(flash[1], /unit=1.*\/own\.fd/);
  t.notMatch(flash[1], /readonly/);
});

t.test("the test channel is announced the way docs/develop.md says", async (t) => {
  const argv = qemuArguments(machine);
  t.ok(options(argv, "-device").includes("virtserialport,chardev=channel,name=org.steelyard.lab"));
  t.same(options(argv, "-smbios"), ["type=11,value=steelyard.lab=1"]);
});

t.test("the cards come in the order front, back at fixed slots", async (t) => {
  const cards = options(qemuArguments(machine), "-device").filter((device) => device.startsWith("virtio-net-pci"));
  t.match(cards, [/netdev=front,.*addr=0x10/, /netdev=back,.*addr=0x11/]);
});

t.test("a server has an NVMe disk, cards of Intel's and a USB stick, and nothing virtual among them", async (t) => {
  const devices = options(qemuArguments({ ...machine, hardware: "server", answerDisk: "/lab/answer.img" }), "-device");
  for (const model of ["nvme", "e1000e", "igb", "qemu-xhci", "usb-storage"])
    t.ok(
      devices.some((device) => device.split(",")[0] === model),
      model,
    );
  t.notMatch(devices.join(" "), /virtio-(blk|net)/);
});

t.test("the answer disk is read-only and only there when given", async (t) => {
  const drives = (description: MachineDescription) => options(qemuArguments(description), "-drive");
  t.equal(drives(machine).length, 1);
  t.match(drives({ ...machine, answerDisk: "/lab/answer.img" })[1], /answer\.img.*readonly=on/);
});
