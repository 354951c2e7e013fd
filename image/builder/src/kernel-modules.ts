import type { Profile } from "./profile.ts";

/**
 * Kernel modules that every appliance has, as regular expressions on the path below kernel/. All else that Debian's kernel brings
 * (sound, graphics, wireless, 60 file systems) stays out: less to load at boot, less to attack.
 */
const common = [
  // The stack a load balancer lives in: netfilter, IPVS, flow tables, traffic control, bridges, VLANs, bonds, tunnels.
  "^net/(802|8021q|bridge|core|ethernet|ife|ipv4|ipv6|key|llc|mpls|netfilter|netlink|packet|psample|sched|sctp|tls|unix|xdp|xfrm)/",
  "^net/vmw_vsock/",
  "^drivers/net/(bonding|ipvlan|team|vxlan|wireguard)/",
  "^drivers/net/(dummy|geneve|ifb|macvlan|macvtap|netconsole|nlmon|tap|tun|veth|vrf|vsockmon)\\.ko",
  // File systems: root, /etc, /config and /data, EFI partition, answer disks.
  "^fs/(autofs|erofs|ext4|jbd2|overlayfs|fat|isofs|nls|efivarfs|netfs)/",
  "^fs/mbcache\\.ko",
  "^drivers/md/dm-(mod|verity|bufio)\\.ko",
  "^drivers/block/loop\\.ko",
  "^(arch/x86/)?crypto/",
  "^lib/",
  "^drivers/(cdrom/cdrom|scsi/sr_mod|scsi/sg)\\.ko",
  // Keyboards of virtual and remote consoles.
  "^drivers/hid/(hid|hid-generic|usbhid/usbhid)\\.ko",
  "^drivers/usb/host/(ehci|ohci|uhci|xhci)",
  "^drivers/input/evdev\\.ko",
  "^drivers/char/hw_random/virtio-rng\\.ko",
  "^drivers/virtio/",
  "^drivers/watchdog/(softdog|i6300esb|iTCO_wdt|iTCO_vendor_support)\\.ko",
  "^drivers/ptp/ptp",
];

/** In the initrd beside the storage drivers: what opens the root, /etc and /config. */
const initrdCommon = ["dm-verity", "erofs", "overlay", "ext4", "sd_mod", "usb-storage", "uas", "xhci-pci", "ehci-pci"];

/** A module's file, whichever way its name is spelt: hyphens and underscores are the same to the kernel and not to the file system. */
export function moduleFile(name: string): string {
  return `/${name.replaceAll(/[_-]/g, "[_-]")}\\.ko`;
}

export function imageModules(profile: Profile): string[] {
  const named = [...profile.nicDrivers, ...profile.storageDrivers, ...profile.otherModules, ...initrdCommon];
  return [...common, ...named.map(moduleFile)];
}

export function initrdModules(profile: Profile): string[] {
  return [...[...initrdCommon, ...profile.storageDrivers].map(moduleFile), "/(sha256|crc32c)"];
}
