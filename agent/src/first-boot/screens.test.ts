import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { Screen } from "../../../qemu-tests/src/vm/screen.ts";
import { SteelyardError } from "../errors.ts";
import type { Draft } from "./draft.ts";
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
    complete: async (each) => void given.push(answers.parse(each)),
    ...more,
  });
  done.catch(() => undefined);
  return { ...seat, given, tested, done };
}

t.test(
  "the first boot in ten screens: Enter takes the preset, Escape goes back, and the password never shows",
  async (t) => {
    const { press, see, given, tested, done, sent } = start(t);
    t.matchSnapshot(await see(/Host name\n.*steelyard/), "name");
    await press(/Host name/, "\x15", "no spaces", enter);
    await press(/Expected a host name/, "\x15", "lb1", enter);
    t.matchSnapshot(await see(/Management interface/), "interface");
    await press(/nic1/, enter);
    await press(/IPv4 address/, down, enter);
    await press(/with prefix length/, "192.0.2.5", enter);
    await press(/Expected an address with/, "/24", enter);
    await press(/IPv4 gateway/, "192.0.2.1", enter);
    await press(/4 of 10: IPv6[\s\S]*IPv6 address/, back);
    await press(/3 of 10: IPv4[\s\S]*IPv4 address/, enter);
    await press(/with prefix length\n.*192\.0\.2\.5\/24/, enter);
    await press(/IPv4 gateway[^\n]*\n.*192\.0\.2\.1/, enter);
    await press(/4 of 10: IPv6[\s\S]*IPv6 address/, enter);
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
      if (tries > 1) return;
      const problems = [{ path: "interfaces.nic0.ipv4", message: "expected something else" }];
      throw new SteelyardError("invalid-configuration", "no", { problems });
    },
  });
  await seat.press(/Host name/, enter);
  await seat.see(/\[ \] nic0/);
  carrier = true;
  await seat.see(/\[\*\] nic0 +up/);
  await seat.press(/\[\*\] nic0 +up/, enter);
  const rest = async () => {
    await seat.press(/IPv4 address/, enter);
    await seat.press(/IPv6 address/, enter);
    await seat.press(/DNS servers/, enter);
    await seat.press(/And now/, enter);
    await seat.press(/Password for admin/, password, enter);
    await seat.press(/The same again/, password, enter);
    await seat.press(/Switch SSH on/, enter);
    await seat.press(/Time zone/, enter);
    await seat.press(/Use these settings/, enter);
  };
  await rest();
  await seat.press(/interfaces.nic0.ipv4: expected something else/, enter);
  await seat.press(/1 of 10[\s\S]*Host name/, enter);
  await seat.press(/Management interface/, enter);
  await rest();
  await seat.done;
  t.equal(tries, 2);
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
