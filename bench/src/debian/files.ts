import { back, front, virtualAddresses } from "../../../qemu-tests/src/lab/plan.ts";
import type { HandFarm } from "../peers/nft-rules.ts";
import { renderRuleset } from "../peers/nft-rules.ts";

/**
 * What turns a freshly installed Debian into the same service done by hand: addresses by systemd-networkd, one farm as an nft
 * rule. By path; `enabled` are the units to start at boot.
 */
export function debianFiles(farm: HandFarm): Record<string, string> {
  return {
    "etc/fstab": "/dev/vda / ext4 errors=remount-ro 0 1\n",
    "etc/hostname": "debian\n",
    "etc/sysctl.d/50-forward.conf": "net.ipv4.ip_forward = 1\n",
    "etc/systemd/network/10-front.network": network("eth0", [front.box.ipv4, virtualAddresses.ipv4]),
    "etc/systemd/network/10-back.network": network("eth1", [back.box.ipv4]),
    "etc/nftables.conf": `flush ruleset\n${renderRuleset([farm])}`,
    "etc/systemd/system/bench-report.service": reportUnit,
  };
}

export const enabledUnits = {
  "systemd-networkd.service": "multi-user.target",
  "nftables.service": "sysinit.target",
  "bench-report.service": "multi-user.target",
} as const;

/** Packages beside the essential ones and what they need. */
export const debianPackages = [
  ...["linux-image-amd64", "initramfs-tools", "zstd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "nftables"],
  ...["login", "passwd", "procps"],
];

function network(name: string, addresses: readonly string[]): string {
  return `[Match]\nName=${name}\n\n[Network]\n${addresses.map((address) => `Address=${address}/24\n`).join("")}`;
}

/** Says on the console what systemd measured and how much memory is used, once the boot is over. Idle: it delays nothing. */
const reportUnit = `[Unit]
Description=Tell the bench how the boot went

[Service]
Type=idle
ExecStart=/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do systemd-analyze time > /run/boot-time && break; sleep 2; done; grep -E "^Mem" /proc/meminfo >> /run/boot-time; sed "s/^/bench: /" /run/boot-time > /dev/ttyS0'
`;

export type BootReport = { startup: string; usedMegabytes: number };

/** The words of the report unit on the serial console; undefined until they are all there. */
export function parseBootReport(serial: string): BootReport | undefined {
  const startup = [...serial.matchAll(/bench: Startup finished in (.*?)\s*$/gm)].at(-1)?.[1];
  const memory = (name: string) => Number(serial.match(new RegExp(`bench: ${name}:\\s+(\\d+) kB`))?.[1]);
  const used = memory("MemTotal") - memory("MemAvailable");
  return startup === undefined || Number.isNaN(used) ? undefined : { startup, usedMegabytes: used / 1024 };
}
