import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { Screen } from "../../../qemu-tests/src/vm/screen.ts";
import { SteelyardError } from "../errors.ts";
import type { Draft } from "./draft.ts";
import type { Trial } from "./keep.ts";
import type { Prompts } from "./prompts.ts";
import { type Answers, answers } from "./schema.ts";
import type { ScreensOptions } from "./screens.ts";

// What the unit gives both consoles; the symbols of the library follow from it when it is loaded.
process.env.TERM = "linux";
const { makePrompts } = await import("./prompts.ts");
const { runScreens } = await import("./screens.ts");
const { showMenu } = await import("./menu.ts");
const { renderStatusScreen } = await import("./status-screen.ts");

const password = "correct horse battery";
const [enter, back, down] = ["\r", "\x1b", "\x1b[B"];
const links = [
  { name: "nic0", mac: "02:00:00:00:00:01", driver: "virtio_net", carrier: false, speed: undefined },
  {
    name: "nic1",
    mac: "02:00:00:00:00:02",
    driver: "ixgbe",
    carrier: true,
    speed: 10_000,
    neighbour: {
      chassis: "02:00:00:00:00:77",
      port: "port 7",
      portDescription: undefined,
      system: "switch1",
      systemDescription: undefined,
    },
  },
];

/** Settings that are in use: as the agent would tell of them, until somebody decides. */
function tried(decisions: string[] = [], facts: { seconds: number; address?: string } = { seconds: 300 }): Trial {
  let decided: "kept" | "gone" | undefined;
  const decide = (word: string, state: "kept" | "gone") => async () => {
    decisions.push(word);
    decided = state;
  };
  return {
    describe: async () => [`Management   ${facts.address ?? "https://192.0.2.5:444/"}`, "Certificate  SHA-256 00:01"],
    look: async () => {
      if (facts.seconds <= 0) decided ??= "gone";
      return decided ? { state: decided } : { state: "waiting", seconds: facts.seconds };
    },
    keep: decide("keep", "kept"),
    takeBack: decide("take back", "gone"),
  };
}

/** Somebody at a real terminal of 80x24: waits until the screen shows something, and presses keys. */
function sitDown(t: Test) {
  const keyboard = new PassThrough();
  const output = Object.assign(new PassThrough(), { columns: 80, rows: 24, isTTY: true });
  const screen = new Screen();
  let sent = "";
  output.on("data", (chunk: Buffer) => {
    sent += chunk.toString("utf8");
    void screen.write(chunk);
  });
  const prompts: Prompts = makePrompts(keyboard, output);
  t.teardown(() => keyboard.end());
  const see = async (pattern: RegExp) => {
    for (let tries = 0; tries < 500; tries += 1) {
      if (pattern.test(screen.text())) return screen.text();
      await sleep(10);
    }
    throw new Error(`${pattern} never showed:\n${screen.text()}`);
  };
  const press = async (pattern: RegExp, ...keys: string[]) => {
    const shown = await see(pattern);
    for (const key of keys) {
      keyboard.write(key);
      // A key that begins a sequence is told from Escape by the time that passes.
      await sleep(key === back ? 80 : 15);
    }
    return shown;
  };
  return { prompts, screen, see, press, sent: () => sent };
}

function start(t: Test, more: Partial<ScreensOptions> = {}) {
  const seat = sitDown(t);
  const given: Answers[] = [];
  const tested: Draft[] = [];
  const done = runScreens({
    prompts: seat.prompts,
    interval: 20,
    readLinks: async () => links,
    testNetwork: async (draft) => {
      tested.push(draft);
      return ["gateway 192.0.2.1: answers", "DNS 192.0.2.53: DOES NOT ANSWER"];
    },
    proposeBonds: async () => [],
    complete: async (each) => {
      given.push(answers.parse(each));
      return tried();
    },
    ...more,
  });
  done.catch(() => undefined);
  return { ...seat, given, tested, done };
}

t.test(
  "the first boot in twelve screens: Enter takes the preset, Escape goes back, and the password never shows",
  async (t) => {
    const { press, see, given, tested, done, sent } = start(t);
    t.matchSnapshot(await see(/Host name\n.*steelyard/), "name");
    await press(/Host name/, "\x15", "no spaces", enter);
    await press(/Expected a host name/, "\x15", "lb1", enter);
    t.matchSnapshot(await see(/Management interface/), "interface");
    await press(/nic1/, enter);
    await press(/The cabling suggests no bond[\s\S]*go on without a bond/, enter);
    await press(/VLAN tag/, "4095", enter);
    await press(/Expected a whole number from 1 to 4094/, "\x15", enter);
    await press(/IPv4 address/, down, enter);
    await press(/with prefix length/, "192.0.2.5", enter);
    await press(/Expected an address with/, "/24", enter);
    await press(/IPv4 gateway/, "192.0.2.1", enter);
    await press(/6 of 12: IPv6[\s\S]*IPv6 address/, back);
    await press(/5 of 12: IPv4[\s\S]*IPv4 address/, enter);
    await press(/with prefix length\n.*192\.0\.2\.5\/24/, enter);
    await press(/IPv4 gateway[^\n]*\n.*192\.0\.2\.1/, enter);
    await press(/6 of 12: IPv6[\s\S]*IPv6 address/, enter);
    await press(/DNS servers/, "192.0.2.53 192.0.2", enter);
    await press(/192.0.2: expected an IPv4/, ".54", enter);
    t.matchSnapshot(await press(/And now/, enter), "test");
    t.match(tested, [{ interface: "nic1", ipv4: { addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } }]);
    await press(/Password for admin/, "short", enter);
    await press(/at least 10 characters/, "\x15", password, enter);
    await press(/The same again/, password, enter);
    await press(/Switch SSH on/, enter);
    await press(/Time zone/, "berl");
    t.matchSnapshot(await press(/Europe\/Berlin/, enter), "time zone");
    t.matchSnapshot(await press(/Use these settings/, enter), "summary");
    t.matchSnapshot(await press(/Keep this configuration/, back, enter), "keep");
    await done;
    t.match(given, [
      {
        admin: { password, sshKeys: [] },
        system: {
          hostname: "lb1",
          timeZone: "Europe/Berlin",
          dns: { servers: ["192.0.2.53", "192.0.2.54"] },
          management: { interfaces: ["nic1"] },
          ssh: { enabled: false },
        },
        interfaces: { nic1: { ipv4: { method: "static", addresses: ["192.0.2.5/24"], gateway: "192.0.2.1" } } },
      },
    ]);
    t.notMatch(sent(), password);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what a terminal takes
    t.ok(/^[\x00-\x7e]*$/.test(sent()), "plain ASCII on TERM=linux");
  },
);

t.test("link lights change while the question stands, and what the commit refuses is shown", async (t) => {
  let carrier = false;
  let tries = 0;
  const seat = start(t, {
    readLinks: async () => links.map((each) => (each.name === "nic0" ? { ...each, carrier } : each)),
    complete: async () => {
      tries += 1;
      if (tries > 1) return tried();
      const problems = [{ path: "interfaces.nic0.ipv4", message: "expected something else" }];
      throw new SteelyardError("invalid-configuration", "no", { problems });
    },
  });
  await seat.press(/Host name/, enter);
  await seat.see(/\[ \] nic0/);
  carrier = true;
  await seat.see(/\[\*\] nic0 +up/);
  await seat.press(/\[\*\] nic0 +up/, enter);
  await takePresets(seat, { bonds: /Bonds/ });
  await seat.press(/interfaces.nic0.ipv4: expected something else/, enter);
  await seat.press(/1 of 12[\s\S]*Host name/, enter);
  await seat.press(/Management interface/, enter);
  await takePresets(seat, { again: true, bonds: /Bonds/ });
  await seat.press(/Keep this configuration/, enter);
  await seat.done;
  t.equal(tries, 2);
});

/** From the third screen to the last one. */
async function takePresets(
  { press }: Pick<ReturnType<typeof start>, "press">,
  { again, bonds }: { again?: boolean; bonds: RegExp | undefined },
) {
  if (bonds) await press(bonds, enter);
  await press(/VLAN tag/, enter);
  await press(/IPv4 address/, enter);
  await press(/IPv6 address/, enter);
  await press(/DNS servers/, enter);
  await press(/And now/, enter);
  if (again) await press(/Keep the password/, enter);
  else {
    await press(/Password for admin/, password, enter);
    await press(/The same again/, password, enter);
  }
  await press(/Switch SSH on/, enter);
  await press(/Time zone/, enter);
  await press(/Use these settings/, enter);
}

t.test("a bond that the cabling suggests is shown with its reason; management goes to it, on a VLAN too", async (t) => {
  const reason =
    "nic0 and nic1 hear LACP from one system (00:1c:73:00:00:01, tor1 by its own name), which has these ports in one group (key 7)";
  const heard: number[] = [];
  let answer: () => void = () => {};
  const wait = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { press, see, given, tested, done } = start(t, {
    readLinks: async () => links.map((each) => ({ ...each, carrier: true })),
    proposeBonds: async (listen) => {
      heard.push(listen);
      await wait;
      return [{ name: "bond0", mode: "802.3ad", members: ["nic0", "nic1"], reason }];
    },
  });
  await press(/Host name/, enter);
  await press(/Management interface/, enter);
  t.matchSnapshot(await see(/Listening \.\.\.[\s\S]*do not wait/), "listening");
  answer();
  t.matchSnapshot(await see(/Make the bond/), "proposal");
  await press(/Make the bond/, enter);
  await press(/tag the frames[\s\S]*on bond0/, "100", enter);
  await press(/Of vlan100[\s\S]*IPv4 address/, back);
  await press(/VLAN tag\n.*100/, back);
  // It was heard already, so nobody waits again; what was declined stays so.
  await press(/Make the bond/, down, enter);
  await press(/No bond will be made[\s\S]*go on without a bond/, enter);
  await press(/tag the frames[\s\S]*on nic0/, back);
  await press(/Make the bond[\s\S]*> no, leave/, "\x1b[A", enter);
  await press(/VLAN tag\n.*100/, enter);
  await press(/IPv4 address/, enter);
  await press(/IPv6 address/, enter);
  await press(/DNS servers/, enter);
  await press(/And now/, enter);
  await press(/Password for admin/, enter);
  await press(/SSH key of admin/, "ssh-rsa", enter);
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ4vKxk0Yb1mWm7cTgdp5wJ0mJ8u2G3yVw1Q8kq0b3aZ me";
  await press(/Expected/, "\x15", key, enter);
  await press(/Time zone/, enter);
  t.matchSnapshot(await press(/Use these settings/, enter), "summary");
  await press(/Keep this configuration/, enter);
  await done;
  t.same(heard, [31]);
  t.match(tested, [{ interface: "nic0", vlan: 100, bonds: [{ name: "bond0" }] }]);
  t.match(given, [
    {
      admin: { sshKeys: [key] },
      system: { management: { interfaces: ["vlan100"] }, ssh: { enabled: true, passwordAuthentication: false } },
      interfaces: {
        bond0: { kind: "bond", bond: { mode: "802.3ad", members: ["nic0", "nic1"] }, ipv4: { method: "none" } },
        vlan100: { kind: "vlan", vlan: { parent: "bond0", id: 100 }, ipv4: { method: "dhcp" } },
      },
    },
  ]);
  t.same(Object.keys(given[0]?.interfaces ?? {}).sort(), ["bond0", "vlan100"]);
});

t.test("in a hurry, a bond of chosen cards; nobody confirms, and the answers are the presets", async (t) => {
  const never = new Promise<never>(() => {});
  const decisions: string[] = [];
  const facts: { seconds: number; address?: string } = { seconds: 300, address: "no address yet on bond0" };
  let trial = tried(decisions, facts);
  const seat = start(t, {
    readLinks: async () => links.map((each) => ({ ...each, carrier: true })),
    proposeBonds: async (listen) => (listen > 0 ? await never : []),
    complete: async (each) => {
      seat.given.push(answers.parse(each));
      return trial;
    },
  });
  const { press, see, given } = seat;
  await press(/Host name/, "\x15", "lb7", enter);
  await press(/Management interface/, enter);
  await press(/do not wait/, enter);
  await press(/The cabling suggests no bond/, down, enter);
  await press(/Cards of the bond/, " ", enter);
  t.matchSnapshot(await see(/Expected at least two cards[\s\S]*nic1/), "chosen cards");
  await press(/Expected at least two cards/, down, " ", enter);
  await press(/802\.3ad[\s\S]*active-backup/, down, enter);
  await takePresets(seat, { bonds: undefined });
  await see(/no address yet on bond0/);
  facts.address = "https://192.0.2.7:444/";
  await see(/https:\/\/192\.0\.2\.7:444\//);
  facts.seconds = 7;
  t.match(await see(/taken back in 7 s/), /Keep this configuration\?\n> keep it/, "the question stays as it is");
  facts.seconds = 0;
  await press(/were taken back/, enter);
  t.match(await press(/1 of 12[\s\S]*Host name/, enter), /lb7/);
  await press(/Management interface/, enter);
  await press(/do not wait/, enter);
  trial = tried(decisions);
  await takePresets(seat, { again: true, bonds: /keep bond0, active-backup of nic0, nic1/ });
  await press(/Keep this configuration/, enter);
  await seat.done;
  t.same(decisions, ["keep"]);
  t.equal(given.length, 2);
  t.match(given[1], { interfaces: { bond0: { bond: { mode: "active-backup", members: ["nic0", "nic1"] } } } });
});

t.test("the menu: a password is reset with the word on the screen, the rest with a login", async (t) => {
  const { prompts, press, see } = sitDown(t);
  const requests: string[] = [];
  const client = (name: string) =>
    ({
      send: async (method: string, path: string, options: { body?: object } = {}) => {
        requests.push(`${name} ${method} ${path} ${JSON.stringify(options.body ?? {})}`);
        if (path.endsWith("/recovery/password") && method === "GET") return { body: { possible: true } };
        if (path.endsWith("/sessions")) throw new SteelyardError("unauthenticated", "wrong user or password");
        return { body: {} };
      },
    }) as never;
  const connect = async (token?: string) => client(token ?? "nobody");
  const ended = showMenu({ prompts, local: client("local"), connect, randomBytes: () => Buffer.from("abcd") });
  t.matchSnapshot(await see(/back to the status screen/), "menu");
  await press(/What shall be done/, down, down, enter);
  await press(/type: 61626364/, "61626364", enter);
  await press(/New password for admin/, password, enter);
  await press(/The same again/, password, enter);
  await press(/admin has the new password/, enter);
  await press(/What shall be done/, down, enter);
  await press(/User/, enter);
  await press(/Password/, "wrong", enter);
  await press(/It was not done: wrong user or password/, enter);
  await press(/What shall be done/, enter);
  t.equal(await ended, 10, "the login");
  t.same(requests, [
    "local GET /api/v1/recovery/password {}",
    `local POST /api/v1/recovery/password {"password":"${password}"}`,
    'nobody POST /api/v1/sessions {"user":"admin","password":"wrong"}',
  ]);
});

t.test("the status screen of a configured box", async (t) => {
  const fingerprint = Array.from({ length: 32 }, (_, at) => at.toString(16).padStart(2, "0").toUpperCase()).join(":");
  const facts = {
    system: { hostname: "lb1", management: { interfaces: ["nic0"], port: 444 } },
    virtualAddresses: ["192.0.2.10/24"],
    fingerprint,
    links: [
      { name: "nic0", addresses: ["192.0.2.5/24", "192.0.2.10/24"], state: "up", speed: 10_000 },
      { name: "nic1", addresses: [], state: "no-carrier" },
    ],
    status: {
      version: "0.1.0",
      slot: "b" as const,
      generation: 12,
      problems: [],
      clock: { synchronized: true, sources: [] },
    },
    farms: [
      { name: "web", state: "up" },
      { name: "mail", state: "down" },
      { name: "old", state: "disabled" },
    ],
  };
  const shown = renderStatusScreen(facts);
  t.matchSnapshot(shown);
  const pending = { parent: 11, deadline: "2026-01-02T03:09:05.000Z" };
  t.match(
    renderStatusScreen({ ...facts, pending }),
    /Running +slot B, generation 12, back to 11 at 03:09 UTC unless confirmed$/m,
  );
  const crowded = renderStatusScreen({
    ...facts,
    links: Array.from({ length: 40 }, (_, at) => ({
      name: `nic${at}`,
      addresses: [`192.0.2.${at}/24`],
      state: "up",
      speed: 1000,
    })),
    system: {
      ...facts.system,
      management: { interfaces: Array.from({ length: 40 }, (_, at) => `nic${at}`), port: 444 },
    },
    status: { ...facts.status, problems: ["x\x1b[2Jy has failed", "z".repeat(200)] },
  });
  for (const each of [shown, crowded]) {
    t.ok(each.split("\n").length <= 24 && each.split("\n").every((line) => line.length <= 80), "80x24");
    t.ok(/^[\n\x20-\x7e]*$/.test(each), "plain ASCII, whatever a name holds");
    t.match(each, /Enter: log in/);
  }
});
