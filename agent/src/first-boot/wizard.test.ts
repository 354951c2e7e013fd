import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { SteelyardError } from "../errors.ts";
import { renderBanner } from "./banner.ts";
import { describeBadFile } from "./console.ts";
import type { Standing, Trial } from "./keep.ts";
import { type Answers, answers } from "./schema.ts";
import { openTerminal } from "./terminal.ts";
import { runWizard } from "./wizard.ts";

const links = [
  { name: "nic0", mac: "02:00:00:00:00:01", driver: "virtio_net", carrier: false, speed: undefined },
  { name: "nic1", mac: "02:00:00:00:00:02", driver: "ixgbe", carrier: true, speed: 10_000 },
];
const password = "correct horse battery";

/** Settings that are in use: as the agent would tell of them, until somebody decides. */
function tried(decisions: string[] = []): Trial {
  let standing: Standing = { state: "waiting", seconds: 300 };
  const decide = (word: string, state: "kept" | "gone") => async () => {
    decisions.push(word);
    standing = { state };
  };
  return {
    describe: async () => ["Management   https://192.0.2.5:444/", "Certificate  SHA-256 00:01"],
    look: async () => standing,
    keep: decide("keep", "kept"),
    takeBack: decide("take back", "gone"),
  };
}

const parts = {
  readLinks: async () => links,
  proposeBonds: async () => [],
  testNetwork: async () => ["gateway 192.0.2.1: answers"],
  complete: async () => tried(),
  interval: 20,
};

/** A person at a terminal: types the next line when the screen stops at a question. */
function sitDown(t: Test, typed: string[]) {
  const keyboard = Object.assign(new PassThrough(), { raw: false, setRawMode: () => keyboard });
  const modes: boolean[] = [];
  keyboard.setRawMode = ((mode: boolean) => {
    modes.push(mode);
    return keyboard;
  }) as typeof keyboard.setRawMode;
  let screen = "";
  const lines = [...typed];
  const terminal = openTerminal(keyboard as never, {
    write: (text: string) => {
      screen += text;
      const line = text.endsWith(": ") ? lines.shift() : undefined;
      if (line === undefined) return;
      if (modes.at(-1) !== true && !/^(?:Password|The same)/.test(text)) screen += `${line}\n`;
      keyboard.write(`${line}\n`);
    },
  });
  t.teardown(() => terminal.close());
  return { terminal, modes, keyboard, screen: () => screen, left: () => lines };
}

t.test("Enter everywhere makes a box with DHCP on the interface that has a link", async (t) => {
  const { terminal, screen, modes, left } = sitDown(t, [
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    "",
    password,
    password,
    "",
    "",
  ]);
  const given: Answers[] = [];
  await runWizard({
    ...parts,
    terminal,
    complete: async (each) => {
      given.push(answers.parse(each));
      return tried();
    },
  });
  t.same(left(), []);
  t.match(given, [
    {
      admin: { password },
      system: { hostname: "steelyard", management: { interfaces: ["nic1"], port: 444 }, ssh: { enabled: false } },
      interfaces: { nic1: { ipv4: { method: "dhcp" }, ipv6: { method: "none" } } },
    },
  ]);
  t.notMatch(screen(), password, "the password never shows");
  t.same(modes, [true, false, true, false], "the terminal's echo is off for the password and on again");
  t.matchSnapshot(screen());
  t.ok(
    screen()
      .split("\n")
      .every((line) => line.length <= 80),
    "80 columns",
  );
  t.ok(/^[\n\x20-\x7e]*$/.test(screen()), "plain ASCII");
});

t.test("wrong answers are explained and asked again", async (t) => {
  const { terminal, screen, left } = sitDown(t, [
    "no spaces please",
    "lb1.example.com",
    "nic7",
    "r",
    "1",
    "5000",
    "100",
    "sometimes",
    "s",
    "192.0.2.5",
    "192.0.2.5/24",
    "2001:db8::1",
    "192.0.2.1",
    "static",
    "192.0.2.5/24",
    "2001:DB8::5/64",
    "-",
    "192.0.2.53 8.8.8",
    "192.0.2.53, 2001:db8::53",
    "y",
    "ssh-rsa",
    "-",
    "Berlin",
    "europe/berlin",
    "",
    "short",
    password,
    "another one here",
    `wrong\x15${password}x\x7f`,
    password,
    "yes",
    "",
  ]);
  const given: Answers[] = [];
  await runWizard({
    ...parts,
    terminal,
    complete: async (each) => {
      given.push(answers.parse(each));
      return tried();
    },
  });
  t.same(left(), []);
  t.match(given, [
    {
      system: {
        hostname: "lb1.example.com",
        dns: { servers: ["192.0.2.53", "2001:db8::53"] },
        timeZone: "Europe/Berlin",
        management: { interfaces: ["vlan100"] },
        ssh: { enabled: true, passwordAuthentication: true },
      },
      interfaces: {
        vlan100: {
          kind: "vlan",
          vlan: { parent: "nic0", id: 100 },
          ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" },
          ipv6: { method: "static", addresses: ["2001:db8::5/64"] },
        },
      },
      admin: { password },
    },
  ]);
  for (const expected of [
    "Expected a host name of letters, digits and hyphens",
    "Expected one of nic0, nic1.",
    "Expected a whole number from 1 to 4094.",
    "Expected a time zone like Europe/Berlin.",
    "gateway 192.0.2.1: answers",
    "Expected dhcp, static or none.",
    "Expected an address with its prefix length",
    "Expected an IPv4 address.",
    "Expected an IPv6 address, like 2001:db8::5/64.",
    "8.8.8: expected an IPv4 or IPv6 address",
    "expected at least 10 characters",
    "These were not the same.",
  ])
    t.match(screen(), expected);
});

t.test(
  "what the commit refuses or nobody wants to keep is asked again, and the answers are kept as presets",
  async (t) => {
    const first = [
      "lb1",
      "nic0",
      "",
      "static",
      "192.0.2.5/24",
      "192.0.2.1",
      "",
      "",
      "",
      "",
      "no",
      password,
      password,
      "",
    ];
    const again = ["", "", "", "", "", "192.0.2.2", "", "", "", "", "no", password, password, "no"];
    const third = ["", "", "", "", "", "", "", "", "", "", "no", password, password, "", "no"];
    const fourth = ["", "", "", "", "", "", "", "", "", "", "no", password, password, "", "look", "yes"];
    const { terminal, screen, left } = sitDown(t, [...first, ...again, ...third, ...fourth]);
    const gateways: unknown[] = [];
    const decisions: string[] = [];
    await runWizard({
      ...parts,
      terminal,
      complete: async ({ interfaces }) => {
        gateways.push(interfaces?.nic0?.ipv4?.gateway);
        if (gateways.length > 1) return tried(decisions);
        const problems = [{ path: "interfaces.nic0.ipv4.gateway", message: "expected another one" }];
        throw new SteelyardError("invalid-configuration", "no", { problems });
      },
    });
    t.same(left(), []);
    t.same(gateways, ["192.0.2.1", "192.0.2.2", "192.0.2.2"]);
    t.match(screen(), "  interfaces.nic0.ipv4.gateway: expected another one\n");
    t.match(screen(), "  Management   https://192.0.2.5:444/\n");
    t.match(screen(), "everything is taken back in 300 s");
    t.same(decisions, ["take back", "keep"]);
  },
);

t.test(
  "bonds that the cabling suggests are asked about with their reason, and a key may stand for the password",
  async (t) => {
    const up = links.map((each) => ({ ...each, carrier: true }));
    const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4vKxk0Yb1mWm7cTgdp5wJ0mJ8u2G3yVw1Q8kq0b3aZ me";
    const reason =
      "nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01), which has these ports in one group (key 7)";
    const typed = ["", "nic1", "", "", "", "", "", "y", key, "", "no", "", "", ""];
    const { terminal, screen, left } = sitDown(t, typed);
    const given: Answers[] = [];
    const heard: number[] = [];
    await runWizard({
      ...parts,
      terminal,
      readLinks: async () => up,
      proposeBonds: async (listen) => {
        heard.push(listen);
        return [{ name: "bond0", mode: "802.3ad", members: ["nic0", "nic1"], reason }];
      },
      complete: async (each) => {
        given.push(answers.parse(each));
        return tried();
      },
    });
    t.same(left(), []);
    t.same(heard, [31]);
    t.match(screen(), "  nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01)");
    t.match(given, [
      {
        admin: { sshKeys: [key] },
        system: { management: { interfaces: ["bond0"] }, ssh: { enabled: true, passwordAuthentication: false } },
        interfaces: {
          bond0: { kind: "bond", bond: { mode: "802.3ad", members: ["nic0", "nic1"], transmitHashPolicy: "layer3+4" } },
        },
      },
    ]);
    t.equal(given[0]?.admin.password, undefined);
    t.same(Object.keys(given[0]?.interfaces ?? {}), ["bond0"]);
    t.ok(
      screen()
        .replace(key, "")
        .split("\n")
        .every((line) => line.length <= 80),
      "80 columns",
    );
  },
);

t.test("the wizard gives way", async (t) => {
  const elsewhere = new AbortController();
  const { terminal, keyboard } = sitDown(t, [""]);
  const running = runWizard({ ...parts, terminal, signal: elsewhere.signal });
  await sleep(20);
  elsewhere.abort(new Error("answered elsewhere"));
  await t.rejects(running, { message: "answered elsewhere" });

  const late = sitDown(t, ["", "", "", "", "", "", "", "", "no", password, password, ""]);
  const complete = async () => {
    throw new SteelyardError("exists", "the appliance is configured already");
  };
  await t.rejects(runWizard({ ...parts, terminal: late.terminal, complete }), { code: "exists" });

  const gone = sitDown(t, []);
  const hungUp = runWizard({ ...parts, terminal: gone.terminal });
  gone.keyboard.end();
  await t.rejects(hungUp, { message: "the terminal was closed" });
  for (const [key, error] of [
    ["abc\x03", { name: "Interrupted" }],
    ["\x04", { message: "the terminal was closed" }],
  ] as const) {
    const secret = sitDown(t, []);
    const asked = secret.terminal.askSecret("Password: ");
    secret.keyboard.write(key);
    await t.rejects(asked, error, "the keys that leave a question leave this one too");
    t.equal(secret.modes.at(-1), false, "and the echo is back");
  }
  t.ok(keyboard);
});

t.test("without a card the wizard looks until one is plugged in", async (t) => {
  const { terminal, screen } = sitDown(t, ["", "", "", "", "", "", "", "", "", "no", password, password, "", ""]);
  let looks = 0;
  const readLinks = async () => {
    looks += 1;
    return looks < 2 ? [] : links;
  };
  await runWizard({ ...parts, terminal, readLinks });
  t.match(screen(), "No network interface was found.");
});

t.test("the screens around the wizard", async (t) => {
  const fingerprint = Array.from({ length: 32 }, (_, at) => at.toString(16).padStart(2, "0").toUpperCase()).join(":");
  const system = { hostname: "lb1", management: { interfaces: ["nic0"], port: 444 } };
  const addresses = ["192.0.2.5/24", "192.0.2.10/24", "2001:db8::5/64", "fe80::1/64"];
  const found = [
    { name: "nic0", addresses },
    { name: "nic1", addresses: ["198.51.100.5/24"] },
  ];
  const virtualAddresses = ["192.0.2.10/24"];
  const banner = renderBanner({ product: "Steelyard 0.1.0", system, links: found, virtualAddresses, fingerprint });
  t.notMatch(banner, "192.0.2.10", "an address that may move is not offered");
  t.matchSnapshot(banner);
  t.ok(banner.split("\n").every((line) => line.length <= 80));
  t.match(
    renderBanner({ product: "Steelyard", system, links: [], virtualAddresses: [], fingerprint: undefined }),
    "no address yet on nic0",
  );
  const closed = { ...system, management: { interfaces: [], port: 443 } };
  t.match(
    renderBanner({ product: "Steelyard", system: closed, links: found, virtualAddresses: [], fingerprint }),
    "closed on every interface",
  );

  const problems = [
    { line: 7, path: "interfaces.nic0.mtu", message: "expected a whole number" },
    { path: "", message: "x" },
  ];
  t.matchSnapshot(describeBadFile({ state: "bad-answer-file", source: "steelyard.yaml on /dev/vdb", problems }));
});
