import { back, front, tapName } from "../lab/plan.ts";
import { uplinks } from "../lab/uplinks.ts";
import { type CrossedPair, crossedArguments } from "./crossed-cards.ts";

export type Accelerator = "kvm" | "tcg";

/** What stands around the processor: the devices of a hypervisor, or those of a server (NVMe, Intel's cards, answers on a USB stick). */
export type Hardware = "virtual" | "server";

/** Everything QEMU is told. Paths are the host's. */
export type MachineDescription = {
  name: string;
  accelerator: Accelerator;
  memoryMegabytes: number;
  processors: number;
  disk: string;
  /** `virtual` unless told. */
  hardware?: Hardware;
  /** OVMF's code and this machine's own copy of its variables; left out, SeaBIOS. */
  uefi?: { code: string; variables: string };
  /** Cards that are wired to each other. */
  crossed?: readonly CrossedPair[];
  /** Cards towards the routers of `lab/uplinks.ts`. */
  uplinkCards?: boolean;
  /** Disk with the answer file. */
  answerDisk?: string;
  /** The answer file itself, as a credential. */
  answerCredential?: string;
  /** What lies in the CD-ROM drive; left out, there is no drive. */
  disc?: string;
  sockets: { qmp: string; channel: string; serial: string };
  serialLog: string;
  /** Added to the kernel's command line; only with UEFI, where the image's stub reads it from SMBIOS (systemd-stub(7)). */
  kernelArguments?: string;
  /** The cards have changed their slots, with their MACs and cables. */
  swappedCards?: boolean;
  /** Loads this kernel itself instead of the disk's boot loader. */
  directKernel?: { kernel: string; initrd: string; commandLine: string };
};

/** MAC addresses are fixed, so that the box finds its NICs again after a power cut. Locally administered. */
const networkCards = [
  { bridge: front.bridge, mac: "52:54:00:5e:00:01", model: { virtual: "virtio-net-pci", server: "e1000e" } },
  { bridge: back.bridge, mac: "52:54:00:5e:00:02", model: { virtual: "virtio-net-pci", server: "igb" } },
] as const;

const diskModel = { virtual: "virtio-blk-pci", server: "nvme,serial=steelyard" } as const;

/**
 * The command line of QEMU. A guest's unflushed writes stay in QEMU's memory where they allocate clusters, so killing QEMU
 * is a power cut: what the guest flushed is there, what it did not may be gone.
 */
export function qemuArguments(machine: MachineDescription): string[] {
  const { sockets, hardware = "virtual" } = machine;
  return [
    ...["-name", machine.name, "-no-user-config", "-nodefaults", "-display", "none", "-vga", "std"],
    ...["-machine", `q35,usb=off${machine.uefi ? ",smm=off" : ""}`],
    ...acceleration(machine.accelerator),
    ...["-m", String(machine.memoryMegabytes), "-smp", String(machine.processors), "-rtc", "base=utc"],
    ...firmware(machine.uefi),
    ...["-drive", `if=none,id=disk,file=${machine.disk},format=qcow2,cache=writeback,discard=unmap`],
    ...["-device", `${diskModel[hardware]},drive=disk,bootindex=1`],
    ...answerDisk(machine.answerDisk, hardware),
    ...discDrive(machine.disc),
    ...networkCards.flatMap(({ bridge, mac, model }, index) => [
      ...["-netdev", `tap,id=${bridge},ifname=${tapName(bridge)},script=no,downscript=no`],
      ...networkCard(
        `${model[hardware]},netdev=${bridge},mac=${mac},romfile=`,
        machine.swappedCards ? 1 - index : index,
        hardware,
      ),
    ]),
    ...crossedArguments(machine.crossed ?? []),
    ...(machine.uplinkCards ? uplinkArguments() : []),
    ...["-device", `pcie-root-port,id=${hotplugPort},chassis=9,addr=0x1c`],
    ...["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"],
    ...[
      "-chardev",
      `socket,id=serial,path=${sockets.serial},server=on,wait=off,logfile=${machine.serialLog},logappend=on`,
    ],
    ...["-serial", "chardev:serial"],
    ...["-device", "virtio-serial-pci"],
    ...["-chardev", `socket,id=channel,path=${sockets.channel},server=on,wait=off`],
    ...["-device", "virtserialport,chardev=channel,name=org.steelyard.lab"],
    ...["-smbios", `type=11,value=steelyard.lab=1${kernelArguments(machine)}${answerCredential(machine)}`],
    ...["-qmp", `unix:${sockets.qmp},server=on,wait=off`],
    ...directKernel(machine.directKernel),
  ];
}

/** A comma in a value is written twice for QEMU. */
function kernelArguments({ kernelArguments: words }: MachineDescription): string {
  if (words === undefined) return "";
  return `,value=io.systemd.stub.kernel-cmdline-extra=${words.replaceAll(",", ",,")}`;
}

function answerCredential({ answerCredential: text }: MachineDescription): string {
  if (text === undefined) return "";
  const name = "io.systemd.credential.binary:steelyard.answers";
  return `,value=${name}=${Buffer.from(text).toString("base64")}`;
}

function acceleration(accelerator: Accelerator): string[] {
  // Five-level page tables (la57) cost TCG a level on every miss and buy a small guest nothing.
  return accelerator === "kvm"
    ? ["-accel", "kvm", "-cpu", "host"]
    : ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off"];
}

function firmware(uefi: MachineDescription["uefi"]): string[] {
  if (!uefi) return [];
  return [
    ...["-drive", `if=pflash,unit=0,format=raw,readonly=on,file=${uefi.code}`],
    ...["-drive", `if=pflash,unit=1,format=raw,file=${uefi.variables}`],
  ];
}

/**
 * Fixed slots, so that the kernel numbers the cards in this order. A server's are behind a port of their own: igb wants the further
 * addresses of a bus for its virtual functions.
 */
function networkCard(card: string, index: number, hardware: Hardware): string[] {
  const slot = `addr=0x${(0x10 + index).toString(16)}`;
  if (hardware === "virtual") return ["-device", `${card},${slot}`];
  return ["-device", `pcie-root-port,id=port${index},chassis=${index},${slot}`, "-device", `${card},bus=port${index}`];
}

/** Slots behind those of the crossed cards, of which there are two pairs. */
function uplinkArguments(): string[] {
  return Object.values(uplinks).flatMap(({ bridge, mac }, at) => [
    ...["-netdev", `tap,id=${bridge},ifname=${tapName(bridge)},script=no,downscript=no`],
    ...["-device", `virtio-net-pci,netdev=${bridge},mac=${mac},romfile=,addr=0x${(0x18 + at).toString(16)}`],
  ]);
}

function answerDisk(path: string | undefined, hardware: Hardware): string[] {
  if (path === undefined) return [];
  const models = {
    virtual: ["-device", "virtio-blk-pci,drive=answer"],
    server: ["-device", "qemu-xhci", "-device", "usb-storage,drive=answer,removable=on"],
  };
  return ["-drive", `if=none,id=answer,file=${path},format=raw,readonly=on`, ...models[hardware]];
}

/** The id of the port for cards that are plugged in while the machine runs; the root bus itself takes none. */
export const hotplugPort = "spare";

/** The id of the drive, for QMP. */
export const discDriveId = "drive";

function discDrive(path: string | undefined): string[] {
  if (path === undefined) return [];
  return [
    ...["-drive", `if=none,id=disc,file=${path},format=raw,media=cdrom,readonly=on`],
    ...["-device", `ide-cd,bus=ide.0,drive=disc,id=${discDriveId}`],
  ];
}

function directKernel(direct: MachineDescription["directKernel"]): string[] {
  if (!direct) return [];
  return ["-kernel", direct.kernel, "-initrd", direct.initrd, "-append", direct.commandLine];
}
