/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/first-boot/wizard.test.ts > TAP > Enter everywhere makes a box with DHCP on the interface that has a link > must match snapshot 1`] = `

This appliance has no configuration yet. Some questions make the first one;
the rest is done over the API. Enter takes what stands in brackets.

Host name [steelyard]: 

  #   name             MAC                driver         link
  1   nic0             02:00:00:00:00:01  virtio_net     no link
  2   nic1             02:00:00:00:00:02  ixgbe          10000 Mbit/s

Management interface, by name or number (r looks again) [nic1]: 
VLAN tag of the management network on nic1 (- for none) [-]: 
IPv4 address by (dhcp, static, none) [dhcp]: 
IPv6 address by (automatic, static, none) [none]: 
DNS servers (- for none) [-]: 
SSH on nic1 (yes, no) [no]: 
Time zone [UTC]: 
Try the network now, which takes up to a minute (yes, no) [yes]: 
  gateway 192.0.2.1: answers

The administrator's name is admin. At least 10 characters; they do not show.
Password for admin: 
The same again: 

  Host name   steelyard
  Management  nic1
  IPv4        dhcp
  IPv6        none
  DNS         none
  SSH         off
  Password    set

Use these settings (yes, no) [yes]: 
Applying the settings. This can take a minute.

The settings are in use. Try now whether the box can be reached:

  Management   https://192.0.2.5:444/
  Certificate  SHA-256 00:01

Without an answer everything is taken back in 300 s,
and the questions begin again with these answers.
Keep this configuration (yes, no, look again) [yes]: 

`

exports[`agent/src/first-boot/wizard.test.ts > TAP > the screens around the wizard > must match snapshot 1`] = `

  Steelyard 0.1.0 - lb1

  Management   https://192.0.2.5:444/
               https://[2001:db8::5]:444/
  Certificate  SHA-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:
                       10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F


`

exports[`agent/src/first-boot/wizard.test.ts > TAP > the screens around the wizard > must match snapshot 2`] = `

The answer file steelyard.yaml on /dev/vdb is wrong:
  line 7, interfaces.nic0.mtu: expected a whole number
  x

Nothing was configured. Mend the file and connect its disk again: it is read at
once. Or press Enter to answer on this console.

`
