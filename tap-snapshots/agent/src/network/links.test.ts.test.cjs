/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > 802.3ad 1`] = `
Object {
  "attributes": Object {
    "aggregatorSelect": "stable",
    "arpInterval": 0,
    "downDelay": 0,
    "lacpRate": "fast",
    "miiInterval": 100,
    "minLinks": 1,
    "mode": "802.3ad",
    "transmitHashPolicy": "layer3+4",
    "upDelay": 0,
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=802.3ad
    MIIMonitorSec=100ms
    UpDelaySec=0ms
    DownDelaySec=0ms
    TransmitHashPolicy=layer3+4
    LACPTransmitRate=fast
    AdSelect=stable
    MinLinks=1
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > 802.3ad: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > a provider's tag 1`] = `
Object {
  "attributes": Object {
    "id": 7,
    "parent": "nic0",
    "protocol": "802.1ad",
  },
  "kind": "vlan",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=vlan7
    Kind=vlan
    
    [VLAN]
    Id=7
    Protocol=802.1ad
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > active-backup 1`] = `
Object {
  "attributes": Object {
    "arpInterval": 0,
    "downDelay": 0,
    "failOverMac": "active",
    "gratuitousCount": 3,
    "miiInterval": 100,
    "mode": "active-backup",
    "primary": "nic1",
    "primaryReselect": "better",
    "upDelay": 0,
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=active-backup
    MIIMonitorSec=100ms
    UpDelaySec=0ms
    DownDelaySec=0ms
    PrimaryReselectPolicy=better
    FailOverMACPolicy=active
    GratuitousARP=3
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > active-backup: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
PrimarySlave=yes
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-alb 1`] = `
Object {
  "attributes": Object {
    "arpInterval": 0,
    "downDelay": 0,
    "gratuitousCount": 1,
    "miiInterval": 100,
    "mode": "balance-alb",
    "primary": "",
    "primaryReselect": "always",
    "upDelay": 0,
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=balance-alb
    MIIMonitorSec=100ms
    UpDelaySec=0ms
    DownDelaySec=0ms
    PrimaryReselectPolicy=always
    GratuitousARP=1
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-alb: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-rr 1`] = `
Object {
  "attributes": Object {
    "arpAllTargets": true,
    "arpInterval": 1000,
    "arpTargets": Array [
      "192.0.2.1",
      "192.0.2.2",
    ],
    "arpValidate": "all",
    "miiInterval": 0,
    "mode": "balance-rr",
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=balance-rr
    ARPIntervalSec=1000ms
    ARPIPTargets=192.0.2.1 192.0.2.2
    ARPValidate=all
    ARPAllTargets=all
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-rr: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-tlb 1`] = `
Object {
  "attributes": Object {
    "arpInterval": 0,
    "downDelay": 0,
    "gratuitousCount": 1,
    "miiInterval": 100,
    "mode": "balance-tlb",
    "primary": "nic0",
    "primaryReselect": "always",
    "transmitHashPolicy": "layer2",
    "upDelay": 0,
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=balance-tlb
    MIIMonitorSec=100ms
    UpDelaySec=0ms
    DownDelaySec=0ms
    TransmitHashPolicy=layer2
    PrimaryReselectPolicy=always
    GratuitousARP=1
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-tlb: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-xor 1`] = `
Object {
  "attributes": Object {
    "arpInterval": 0,
    "downDelay": 100,
    "miiInterval": 50,
    "mode": "balance-xor",
    "transmitHashPolicy": "layer2+3",
    "upDelay": 200,
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=balance-xor
    MIIMonitorSec=50ms
    UpDelaySec=200ms
    DownDelaySec=100ms
    TransmitHashPolicy=layer2+3
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > balance-xor: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > bond0: what the kernel must have 1`] = `
Object {
  "addresses": Array [
    "192.0.2.5/24",
  ],
  "addressPaths": Object {
    "192.0.2.5/24": "interfaces.bond0.ipv4.addresses.0",
  },
  "alias": "",
  "attributes": Object {
    "aggregatorSelect": "stable",
    "arpInterval": 0,
    "downDelay": 0,
    "lacpRate": "fast",
    "miiInterval": 100,
    "minLinks": 1,
    "mode": "802.3ad",
    "transmitHashPolicy": "layer3+4",
    "upDelay": 0,
  },
  "gateways": Array [],
  "lower": Array [
    "nic0",
    "nic1",
  ],
  "master": undefined,
  "mtu": 9000,
  "path": "interfaces.bond0",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > bond0.20: what the kernel must have 1`] = `
Object {
  "addresses": Array [],
  "addressPaths": Object {},
  "alias": "",
  "attributes": Object {
    "id": 20,
    "parent": "bond0",
    "protocol": "802.1Q",
  },
  "gateways": Array [],
  "lower": Array [
    "bond0",
  ],
  "master": "br0",
  "mtu": 1500,
  "path": "interfaces.bond0.20",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > bond0.20.netdev 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
[NetDev]
Name=bond0.20
Kind=vlan

[VLAN]
Id=20
Protocol=802.1Q

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > bond0.20.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=bond0.20

[Link]
ActivationPolicy=up
RequiredForOnline=no
MTUBytes=1500

[Network]
Bridge=br0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > bond0.netdev 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
[NetDev]
Name=bond0
Kind=bond

[Bond]
Mode=802.3ad
MIIMonitorSec=100ms
UpDelaySec=0ms
DownDelaySec=0ms
TransmitHashPolicy=layer3+4
LACPTransmitRate=fast
AdSelect=stable
MinLinks=1

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > bond0.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=bond0

[Link]
ActivationPolicy=up
RequiredForOnline=no
MTUBytes=9000

[Network]
VLAN=bond0.20
VLAN=vlan10
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

[Address]
Address=192.0.2.5/24

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > br0: what the kernel must have 1`] = `
Object {
  "addresses": Array [],
  "addressPaths": Object {},
  "alias": "",
  "attributes": Object {
    "stp": true,
  },
  "gateways": Array [],
  "lower": Array [
    "bond0.20",
    "nic2",
  ],
  "master": undefined,
  "mtu": undefined,
  "path": "interfaces.br0",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > br0.netdev 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
[NetDev]
Name=br0
Kind=bridge

[Bridge]
STP=yes

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > br0.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=br0

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > broadcast 1`] = `
Object {
  "attributes": Object {
    "arpInterval": 0,
    "downDelay": 0,
    "miiInterval": 100,
    "mode": "broadcast",
    "upDelay": 0,
  },
  "kind": "bond",
  "netdev": String(
    # Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
    [NetDev]
    Name=bond0
    Kind=bond
    
    [Bond]
    Mode=broadcast
    MIIMonitorSec=100ms
    UpDelaySec=0ms
    DownDelaySec=0ms
    
  ),
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > broadcast: a member 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > dummy0: what the kernel must have 1`] = `
Object {
  "addresses": Array [
    "203.0.113.5/32",
  ],
  "addressPaths": Object {
    "203.0.113.5/32": "interfaces.dummy0.ipv4.addresses.0",
  },
  "alias": "",
  "attributes": Object {},
  "gateways": Array [],
  "lower": Array [],
  "master": undefined,
  "mtu": undefined,
  "path": "interfaces.dummy0",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > dummy0.netdev 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
[NetDev]
Name=dummy0
Kind=dummy

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > dummy0.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=dummy0

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

[Address]
Address=203.0.113.5/32

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > IPv6 by DHCPv6 alone 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
DHCP=yes
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
UseAutonomousPrefix=no
DHCPv6Client=always

[DHCPv6]
UseDNS=yes
UseNTP=no
UseHostname=no
UseDomains=no
WithoutRA=solicit

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > IPv6 by router advertisement alone 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic0

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
DHCPv6Client=no

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic0: what the kernel must have 1`] = `
Object {
  "addresses": Array [],
  "addressPaths": Object {},
  "alias": "",
  "attributes": undefined,
  "gateways": Array [],
  "lower": Array [],
  "master": "bond0",
  "mtu": 9000,
  "path": "interfaces.bond0.bond.members.0",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic0.netdev 1`] = `
undefined
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic0.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic0

[Link]
ActivationPolicy=up
RequiredForOnline=no
MTUBytes=9000

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic1: what the kernel must have 1`] = `
Object {
  "addresses": Array [],
  "addressPaths": Object {},
  "alias": "",
  "attributes": undefined,
  "gateways": Array [],
  "lower": Array [],
  "master": "bond0",
  "mtu": 9000,
  "path": "interfaces.bond0.bond.members.1",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic1.netdev 1`] = `
undefined
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic1.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic1

[Link]
ActivationPolicy=up
RequiredForOnline=no
MTUBytes=9000

[Network]
Bond=bond0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic2: what the kernel must have 1`] = `
Object {
  "addresses": Array [],
  "addressPaths": Object {},
  "alias": "",
  "attributes": undefined,
  "gateways": Array [],
  "lower": Array [],
  "master": "br0",
  "mtu": undefined,
  "path": "interfaces.br0.bridge.members.1",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic2.netdev 1`] = `
undefined
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > nic2.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=nic2

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
Bridge=br0
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > vlan10: what the kernel must have 1`] = `
Object {
  "addresses": Array [
    "198.51.100.5/24",
  ],
  "addressPaths": Object {
    "198.51.100.5/24": "interfaces.vlan10.ipv4.addresses.0",
  },
  "alias": "",
  "attributes": Object {
    "id": 10,
    "parent": "bond0",
    "protocol": "802.1Q",
  },
  "gateways": Array [],
  "lower": Array [
    "bond0",
  ],
  "master": undefined,
  "mtu": undefined,
  "path": "interfaces.vlan10",
  "up": true,
}
`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > vlan10.netdev 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.netdev(5).
[NetDev]
Name=vlan10
Kind=vlan

[VLAN]
Id=10
Protocol=802.1Q

`

exports[`agent/src/network/links.test.ts > TAP > the rendered files of links > vlan10.network 1`] = `
# Rendered by the Steelyard agent; edits are lost. See systemd.network(5).
[Match]
Name=vlan10

[Link]
ActivationPolicy=up
RequiredForOnline=no

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
IPv6PrivacyExtensions=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
KeepConfiguration=dynamic-on-stop

[Address]
Address=198.51.100.5/24

`
