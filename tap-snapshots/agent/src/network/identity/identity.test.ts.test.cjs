/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/network/identity/identity.test.ts > TAP > a binding is a .link file that udev uses and the agent reads > 10-nic0.link 1`] = `
# Binds the name to a network card. "steelyard link adopt" binds it to another one.
[Match]
PermanentMACAddress=3c:ec:ef:00:00:02
Path=pci-0000:01:00.0

[Link]
Name=nic0
AlternativeNamesPolicy=database onboard slot path mac
MACAddressPolicy=persistent

[X-Steelyard]
Name=nic0
By=mac
PermanentMACAddress=3c:ec:ef:00:00:02
Path=pci-0000:01:00.0
Port=0

`
