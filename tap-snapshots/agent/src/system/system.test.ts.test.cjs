/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/system/system.test.ts > TAP > LLDP: the image's file listens on cards that are not configured; another one is put in its place > both 1`] = `
# Rendered by the Steelyard agent; edits are lost.
[Match]
Type=ether
Kind=!*

[Link]
ActivationPolicy=manual
RequiredForOnline=no

[Network]
DHCP=no
IPv6AcceptRA=no
LinkLocalAddressing=no
LLDP=routers-only
EmitLLDP=nearest-bridge

`

exports[`agent/src/system/system.test.ts > TAP > the rendered files > chrony 1`] = `
# Rendered by the Steelyard agent; edits are lost.
server 192.0.2.123 iburst
server time.example.com iburst port 1123 nts prefer
authselectmode prefer
makestep 1.0 3
rtcsync
leapseclist /usr/share/zoneinfo/leap-seconds.list
driftfile /data/chrony/drift
ntsdumpdir /data/chrony
port 0
cmdport 0

`

exports[`agent/src/system/system.test.ts > TAP > the rendered files > hosts 1`] = `
# Rendered by the Steelyard agent; edits are lost.
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
2001:db8::80 files.example.com files

`

exports[`agent/src/system/system.test.ts > TAP > the rendered files > proxy 1`] = `
# Rendered by the Steelyard agent; edits are lost.
export http_proxy='http://proxy.example.com:3128'
export HTTP_PROXY='http://proxy.example.com:3128'
export https_proxy='http://proxy.example.com:3128'
export HTTPS_PROXY='http://proxy.example.com:3128'
export no_proxy='localhost,127.0.0.1,::1,example.net,192.0.2.0/24'
export NO_PROXY='localhost,127.0.0.1,::1,example.net,192.0.2.0/24'

`

exports[`agent/src/system/system.test.ts > TAP > the rendered files > resolved 1`] = `
# Rendered by the Steelyard agent; edits are lost.
[Resolve]
DNS=192.0.2.53 2001:db8::53#dns.example.com
Domains=example.com example.net
FallbackDNS=
LLMNR=no
MulticastDNS=no
DNSSEC=allow-downgrade
DNSOverTLS=yes

`

exports[`agent/src/system/system.test.ts > TAP > the rendered files > sshd 1`] = `
# Rendered by the Steelyard agent; edits are lost.
Port 2222
HostKey /config/local/ssh/ssh_host_ed25519_key
HostKey /config/local/ssh/ssh_host_ecdsa_key
AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u
AllowUsers admin
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitEmptyPasswords no
X11Forwarding no
AllowAgentForwarding no
LoginGraceTime 30
MaxAuthTries 4
UseDNS no

`
