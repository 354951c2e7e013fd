/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/first-boot/screens.test.ts > TAP > a bond that the cabling suggests is shown with its reason; management goes to it, on a VLAN too > listening 1`] = `

  Steelyard - first boot, 3 of 12: bonds

  Listening for switches that offer a bond (LACP). Such a switch may speak only
  every 30 seconds.

*  Listening ...
> do not wait
`

exports[`agent/src/first-boot/screens.test.ts > TAP > a bond that the cabling suggests is shown with its reason; management goes to it, on a VLAN too > proposal 1`] = `

  Steelyard - first boot, 3 of 12: bonds

  nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01, tor1 by its
  own name), which has these ports in one group (key 7).

  LACP: all cards carry traffic, and a cable may fail.
  A management address on nic0 or nic1 goes to the bond.

  Enter goes on, Escape goes back.

*  Make the bond bond0, 802.3ad of nic0, nic1?
> make it
  no, leave these cards as they are
`

exports[`agent/src/first-boot/screens.test.ts > TAP > a bond that the cabling suggests is shown with its reason; management goes to it, on a VLAN too > summary 1`] = `

  Steelyard - first boot, 12 of 12: summary

    Host name   steelyard
    Management  vlan100 on bond0
    Bonds       bond0, 802.3ad of nic0, nic1
    IPv4        dhcp
    IPv6        none
    DNS         none
    SSH         on, with key
    Password    none, the SSH key alone

*  Use these settings?
> apply
  go through them again
`

exports[`agent/src/first-boot/screens.test.ts > TAP > in a hurry, a bond of chosen cards; nobody confirms, and the answers are the presets > chosen cards 1`] = `

  Steelyard - first boot, 3 of 12: bonds

  Space marks a card, Enter goes on, Escape goes back.

  Expected at least two cards: Space marks one.

*  Cards of the bond
[+] nic0     up        02:00:00:00:00:01 virtio_net
[ ] nic1     up 10000  02:00:00:00:00:02 ixgbe      switch1 port 7
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows > interface 1`] = `

  Steelyard - first boot, 2 of 12: management interface

  Which card is the box managed by? Lights are shown as they change:
  plug in a cable to find its port. Enter goes on, Escape goes back.

*  Management interface
  [ ] nic0     no link   02:00:00:00:00:01 virtio_net
> [*] nic1     up 10000  02:00:00:00:00:02 ixgbe      switch1 port 7
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows > keep 1`] = `

  Steelyard - first boot: does it work?

  The settings are in use. Try now whether the box can be reached:

  Management   https://192.0.2.5:444/
  Certificate  SHA-256 00:01

  Without an answer everything is taken back in 300 s,
  and the questions begin again with these answers.

*  Keep this configuration?
> keep it
  take it back
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows > name 1`] = `

  Steelyard - first boot, 1 of 12: name

  This appliance has no configuration yet. Twelve screens make the first one;
  the rest is done over the API. Enter goes on, Escape goes back.

*  Host name
steelyard_
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows > summary 1`] = `

  Steelyard - first boot, 12 of 12: summary

    Host name   lb1
    Management  nic1
    IPv4        192.0.2.5/24, gateway 192.0.2.1
    IPv6        none
    DNS         192.0.2.53, 192.0.2.54
    SSH         off
    Password    set
    Time zone   Europe/Berlin

*  Use these settings?
> apply
  go through them again
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows > test 1`] = `

  Steelyard - first boot, 8 of 12: test

  gateway 192.0.2.1: answers
  DNS 192.0.2.53: DOES NOT ANSWER

*  And now?
> go on
  test again
  change the network
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows > time zone 1`] = `

  Steelyard - first boot, 11 of 12: time zone

  Of logs on the box. Type a part of its name, the arrows choose.
  Enter goes on, Escape goes back.

*  Time zone
Search: berl_ (1 match)
> Europe/Berlin
Up/Down to select - Enter: confirm - Type: to search
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the menu: a password is reset with the word on the screen, the rest with a login > menu 1`] = `

  Steelyard - menu

  Escape leads back to the status screen.

*  What shall be done?
> log in: a shell for administrators
  roll back the configuration
  reset the administrator's password
  reset to the factory state
  restart
  power off
  back to the status screen
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the status screen of a configured box > must match snapshot 1`] = `

  Steelyard 0.1.0 - lb1

  Management   https://192.0.2.5:444/
  Certificate  SHA-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:
                       10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F

  Running      slot B, generation 12
  Health       ok
  Farms        1 up, 1 resting, 1 DOWN: mail
  Interfaces   nic0 up 10000 Mbit/s, nic1 no link
  Clock        synchronized

  Enter: log in     m: menu (roll back, restart, reset the password, ...)

`
