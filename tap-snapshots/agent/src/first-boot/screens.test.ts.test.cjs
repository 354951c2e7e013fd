/* IMPORTANT
 * This snapshot file is auto-generated, but designed for humans.
 * It should be checked into source control and tracked carefully.
 * Re-generate by setting TAP_SNAPSHOT=1 and running tests.
 * Make sure to inspect the output below.  Do not ignore changes!
 */
'use strict'
exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in ten screens: Enter takes the preset, Escape goes back, and the password never shows > interface 1`] = `

  Steelyard - first boot, 2 of 10: management interface

  Which card is the box managed by? Lights are shown as they change:
  plug in a cable to find its port. Enter goes on, Escape goes back.

*  Management interface
  [ ] nic0     no link   02:00:00:00:00:01 virtio_net
> [*] nic1     up 10000  02:00:00:00:00:02 ixgbe      switch1 port 7
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in ten screens: Enter takes the preset, Escape goes back, and the password never shows > name 1`] = `

  Steelyard - first boot, 1 of 10: name

  This appliance has no configuration yet. Ten screens make the first one; the
  rest is done over the API. Enter goes on, Escape goes back.

*  Host name
steelyard_
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in ten screens: Enter takes the preset, Escape goes back, and the password never shows > summary 1`] = `

  Steelyard - first boot, 10 of 10: summary

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

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in ten screens: Enter takes the preset, Escape goes back, and the password never shows > test 1`] = `

  Steelyard - first boot, 6 of 10: test

  gateway 192.0.2.1: answers
  DNS 192.0.2.53: DOES NOT ANSWER

*  And now?
> go on
  test again
  change the network
`

exports[`agent/src/first-boot/screens.test.ts > TAP > the first boot in ten screens: Enter takes the preset, Escape goes back, and the password never shows > time zone 1`] = `

  Steelyard - first boot, 9 of 10: time zone

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
