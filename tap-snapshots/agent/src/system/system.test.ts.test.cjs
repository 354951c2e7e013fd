/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/system/system.test.ts > TAP > the rendered files > resolved 1`] = `
# Rendered by the Steelyard agent; edits are lost.
[Resolve]
DNS=192.0.2.53 2001:db8::53
Domains=example.com example.net
FallbackDNS=
LLMNR=no
MulticastDNS=no

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

exports[`agent/src/system/system.test.ts > TAP > the rendered files > timesyncd 1`] = `
# Rendered by the Steelyard agent; edits are lost.
[Time]
NTP=192.0.2.123 ntp.example.com
FallbackNTP=

`
