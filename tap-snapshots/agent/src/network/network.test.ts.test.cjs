/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/network/network.test.ts > TAP > the rendered files > nic0 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic0

[Link]
ActivationPolicy=up
RequiredForOnline=no
MTUBytes=9000

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

[Address]
Address=192.0.2.5/24

[Address]
Address=2001:db8::5/64

# virtual address six
[Address]
Address=2001:db8::10/64
PreferredLifetime=0
DuplicateAddressDetection=none

# virtual address web
[Address]
Address=192.0.2.10/24

[Route]
Gateway=192.0.2.1

[Route]
Gateway=fe80::1

`

exports[`agent/src/network/network.test.ts > TAP > the rendered files > nic0: what the kernel must have 1`] = `
Object {
  "addresses": Array [
    "192.0.2.5/24",
    "2001:db8::5/64",
    "2001:db8::10/64",
    "192.0.2.10/24",
  ],
  "addressPaths": Object {
    "192.0.2.10/24": "virtualAddresses.web.address",
    "192.0.2.5/24": "interfaces.nic0.ipv4.addresses.0",
    "2001:db8::10/64": "virtualAddresses.six.address",
    "2001:db8::5/64": "interfaces.nic0.ipv6.addresses.0",
  },
  "alias": "",
  "gateways": Array [
    "192.0.2.1",
    "fe80::1",
  ],
  "link": undefined,
  "lower": Array [],
  "master": undefined,
  "mtu": 9000,
  "path": "interfaces.nic0",
  "up": true,
}
`

exports[`agent/src/network/network.test.ts > TAP > the rendered files > nic1 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
DHCP=ipv4
IPv6AcceptRA=yes
LinkLocalAddressing=ipv6
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=10s
KeepConfiguration=dynamic-on-stop

[DHCPv4]
ClientIdentifier=mac
UseDNS=yes
UseNTP=no
UseHostname=no
UseDomains=no
UseMTU=no
UseTimezone=no

[IPv6AcceptRA]
UseDNS=yes
UseDomains=no
UseMTU=no

[DHCPv6]
UseDNS=yes
UseNTP=no
UseHostname=no
UseDomains=no

# virtual address elsewhere
[Address]
Address=198.51.100.10/32

`

exports[`agent/src/network/network.test.ts > TAP > the rendered files > nic1: what the kernel must have 1`] = `
Object {
  "addresses": Array [
    "198.51.100.10/32",
  ],
  "addressPaths": Object {
    "198.51.100.10/32": "virtualAddresses.elsewhere.address",
  },
  "alias": "",
  "gateways": Array [],
  "link": undefined,
  "lower": Array [],
  "master": undefined,
  "mtu": undefined,
  "path": "interfaces.nic1",
  "up": true,
}
`

exports[`agent/src/network/network.test.ts > TAP > the rendered files > nic2 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic2

[Link]
ActivationPolicy=always-down
RequiredForOnline=no

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no

`

exports[`agent/src/network/network.test.ts > TAP > the rendered files > nic2: what the kernel must have 1`] = `
Object {
  "addresses": Array [],
  "addressPaths": Object {
    "203.0.113.5/24": "interfaces.nic2.ipv4.addresses.0",
  },
  "alias": "",
  "gateways": Array [],
  "link": undefined,
  "lower": Array [],
  "master": undefined,
  "mtu": undefined,
  "path": "interfaces.nic2",
  "up": false,
}
`
