import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import type { z } from "zod";
import type { Link } from "../adapters/netlink.ts";
import { run } from "../adapters/process.ts";
import { fakeNetlink } from "../adapters/testing.ts";
import { changesNothing } from "../cli/dry-run.ts";
import { noteOf } from "../cli/notes.ts";
import { makeProgram } from "../cli/program.ts";
import { renderLinkFile } from "../network/identity/link-file.ts";
import { password, setUpServer } from "./testing.ts";

/** What holds of every route and of every command: who changes something can be asked first, who lists can be asked for less. */

/** Changing routes that have no dry run, and why. */
const withoutDryRun: Record<string, string> = {
  "POST /api/v1/sessions": "logging in: the password is checked, and nothing of the box changes",
  "DELETE /api/v1/sessions": "logging out: there is nothing to check",
  "POST /api/v1/sessions/second-factor": "a step of logging in",
  "POST /api/v1/access/directories/:directory/test": "asks the directory and changes nothing",
};

/** Lists that are not of objects, and why. */
const otherLists: Record<string, string> = {
  "/api/v1/access/audit": "a log, read backwards from a record; its filters are its own",
};

t.test("every route that changes something has a dry run, and every list a filter, an order and pages", async (t) => {
  const { https } = await setUpServer(t);
  const excused = new Set<string>();
  for (const { method, url, schema } of https.knownRoutes) {
    const query = (schema as { querystring?: z.ZodType }).querystring;
    const parse = (given: object) => query?.safeParse(given);
    if (!["GET", "HEAD", "OPTIONS"].includes(method)) {
      const line = `${method} ${url}`;
      if (line in withoutDryRun) excused.add(line);
      else t.match(parse({ dryRun: "true" })?.data, { dryRun: true }, line);
      t.equal(parse({ dryrun: "true" })?.success, false, `${line} refuses what it does not know`);
      continue;
    }
    // Pages for a browser, whose addresses bear a version.
    if (url.startsWith("/api/v1/reference")) continue;
    const answer = (schema as { response?: Record<string, { shape?: Record<string, unknown> }> }).response?.[200];
    const unknown = parse({ nonsense: "1" });
    t.match(JSON.stringify(unknown?.error?.issues), /nonsense/, `${method} ${url} names a field it does not know`);
    if (method === "GET" && url in otherLists) excused.add(url);
    if (answer?.shape?.items === undefined || url in otherLists) continue;
    t.match(parse({ limit: "2", offset: "1" })?.data, { limit: 2, offset: 1 }, `${url} has pages`);
    t.match(JSON.stringify(parse({ sort: "nonsense" })?.error?.issues), /no field nonsense/, `${url} can be sorted`);
    t.match(
      JSON.stringify(parse({ fields: "nonsense" })?.error?.issues),
      /no field nonsense/,
      `${url} can be narrowed`,
    );
    t.match(JSON.stringify(unknown?.error?.issues), /no such filter/, `${url} can be filtered`);
  }
  t.same([...excused].sort(), [...Object.keys(withoutDryRun), ...Object.keys(otherLists)].sort(), "no idle excuse");
});

t.test("every command that changes something has --dry-run", async (t) => {
  const program = makeProgram({
    environment: {},
    input: process.stdin,
    output: { print: () => {}, warn: () => {}, write: () => {}, colours: false, width: 80 },
  } as never);
  type Command = typeof program;
  const leaves = (command: Command, words: string[]): [string, Command][] =>
    command.commands.length === 0
      ? [[words.join(" "), command]]
      : command.commands.flatMap((each) => leaves(each as Command, [...words, each.name()]));
  const all = leaves(program, []);
  t.ok(all.length > 100, "the commands are there");
  const excused = new Set<string>();
  for (const [words, command] of all) {
    const { api } = noteOf(command);
    if (command.options.some(({ long }) => long === "--dry-run") || api?.method === "get") continue;
    if (changesNothing[words] === undefined) t.fail(`${words} has no --dry-run and no reason in cli/dry-run.ts`);
    excused.add(words);
  }
  t.same(
    Object.keys(changesNothing).filter((words) => !excused.has(words)),
    [],
    "no idle excuse",
  );
});

t.test("a dry run of an action checks all, says what it would do in steps, and changes nothing", async (t) => {
  const { https, control, machine, server } = await setUpServer(t);
  const api = "/api/v1";
  const logIn = async () =>
    (await https.inject({ method: "POST", url: `${api}/sessions`, payload: { user: "admin", password } })).json();
  const authorization = `Bearer ${(await logIn()).token}`;
  await logIn();
  const send = async (line: string, payload?: object | string, type?: string) => {
    const [method, url] = line.split(" ") as ["PUT", string];
    const headers = { authorization, ...(type ? { "content-type": type } : {}) };
    const answer = await https.inject({ method, url: `${api}${url}`, headers, ...(payload ? { payload } : {}) });
    return { status: answer.statusCode, body: answer.body === "" ? undefined : answer.json() };
  };
  const steps = async (line: string, payload?: object | string, type?: string) => {
    const before = [control.current().generation, (await send("GET /access/sessions")).body.total];
    const { status, body } = await send(`${line}?dryRun=true`, payload, type);
    t.equal(status, 200, line);
    t.same(
      [control.current().generation, (await send("GET /access/sessions")).body.total],
      before,
      `${line}: as before`,
    );
    return body.steps.map(({ summary }: { summary: string }) => summary).join("; ");
  };

  const wanted = { current: password, password: "a better one than that" };
  await steps("PUT /access/me/password", wanted);
  t.match(await send("PUT /access/me/password?dryRun=true", { ...wanted, current: "something wrong" }), {
    status: 403,
  });
  t.match(await send("PUT /access/me/password?dryRun=true", { ...wanted, password: "short" }), { status: 400 });
  await steps("PUT /access/me/ssh-keys", { sshKeys: [] });

  t.match(await steps("POST /access/me/second-factor"), /secret for admin/);
  t.match(await send("POST /access/me/second-factor/confirm?dryRun=true", { code: "123456" }), { status: 404 });
  t.match(await send("POST /access/me/second-factor/end?dryRun=true", { code: "123456" }), { status: 404 });

  t.match(await steps("DELETE /access/sessions"), /end the session \w+ of admin/);
  t.match(await send("DELETE /access/sessions/0123456789abcdef?dryRun=true"), { status: 404 });
  t.equal(await steps("DELETE /access/lockouts/admin"), "");

  mkdirSync(machine.path("/data/backups"), { recursive: true });
  const file = machine.path("/data/backups/one.age");
  writeFileSync(file, "age-encryption.org/v1\n");
  t.match(await steps("DELETE /system/backups/one"), /delete backup one/);
  t.ok(existsSync(file));
  t.match(await send("DELETE /system/backups/two?dryRun=true"), { status: 404 });
  t.match(await steps("POST /system/backups", { name: "two", passphrase: "four words nobody guesses" }), /backup two/);
  t.match(await send("POST /system/backups?dryRun=true", { name: "one", passphrase: "four words nobody guesses" }), {
    status: 409,
  });
  t.equal((await send("GET /jobs")).body.total, 0);
  t.match(
    await send("PUT /system/backups/three/file?dryRun=true", "no backup", "application/octet-stream"),
    { status: 422 },
    "a file that is no backup is refused",
  );

  const fingerprint = (await send("GET /system/certificate")).body.certificate;
  t.match(await steps("POST /system/certificate/regenerate"), /new key/);
  t.equal((await send("GET /system/certificate")).body.certificate, fingerprint);

  const { hostname } = control.current().configuration.system;
  t.match(await steps("POST /system/factory-reset", { hostname, keep: ["logs"] }), /all but logs from steelyard/);
  t.match(await send("POST /system/factory-reset?dryRun=true", { hostname: "another" }), { status: 400 });
  t.match(await steps("POST /system/seal", { hostname }), /configuration goes too/);
  t.match(await send("POST /network/links/nic0/adopt?dryRun=true", {}), { status: 404 });
  t.match(await send("POST /configuration/confirm?dryRun=true", {}), { status: 404 });

  const rename = { hostname: "other" };
  const change = await https.inject({
    method: "PATCH",
    url: `${api}/system?confirmWithin=5`,
    headers: { authorization },
    payload: rename,
  });
  t.equal(change.statusCode, 200);
  t.match(await steps("POST /configuration/confirm", {}), /generation 2 stays/);
  t.match(await send("POST /configuration/confirm?dryRun=true", { generation: 1 }), { status: 412 });
  const { body: back } = await send("POST /configuration/pending/revert?dryRun=true");
  t.match(back.differences, [{ object: "system", change: "changed" }]);
  t.match(await send("GET /configuration/pending"), { status: 200 });
  await send("POST /configuration/pending/revert");

  // Asked of a route without one, it must not do what was not meant, nor pass the audit log by.
  t.match(await send("DELETE /sessions?dryRun=true"), { status: 400 });
  t.match(await send("GET /access/me"), { status: 200 }, "the session goes on");
  await server.close();
});

const counters = {
  ...{ receivedBytes: 0, receivedPackets: 0, receivedErrors: 0, receivedDropped: 0 },
  ...{ sentBytes: 0, sentPackets: 0, sentErrors: 0, sentDropped: 0 },
};

/** A card as the kernel shows it, without a cable. */
function makeCard(index: number): Link {
  const mac = `3c:ec:ef:00:00:0${index}`;
  return {
    ...{ index, name: `nic${index}`, mac, permanentMac: mac, kind: undefined, mtu: 1500, up: true, carrier: false },
    ...{ loopback: false, ethernet: true, master: undefined, alternativeNames: [], minMtu: 68, maxMtu: 9000, counters },
  };
}

t.test(
  "a dry run of cards, floating addresses and uplinks names what it would do, and that is what is done",
  async (t) => {
    const links = [makeCard(1), makeCard(2)];
    const ran: string[] = [];
    const uplink = { name: "fibre", interface: "nic1", gateway: "192.0.2.1", state: "waiting" as const, failures: [] };
    const uplinks = [
      { name: "isp", state: "up" as const, uplinks: [{ ...uplink, connections: 0, sentBytes: 0, receivedBytes: 0 }] },
    ];
    const { server, control, machine } = await setUpServer(t, {
      netlink: fakeNetlink({ links: async () => links }),
      links: [{ ...makeCard(0), driver: "virtio_net" } as never],
      uplinks,
      run: async (argv, options) => {
        if (argv[0] === "openssl") return await run(argv, options);
        ran.push(argv.join(" "));
        return { code: 0, stdout: "", stderr: "" };
      },
    });
    for (const [at, { index, name }] of links.entries()) {
      const device = machine.path(`/sys/devices/pci0000:00/0000:0${at}:00.0`);
      mkdirSync(`${device}/net/${name}`, { recursive: true });
      mkdirSync(machine.path(`/sys/class/net/${name}`), { recursive: true });
      symlinkSync(device, machine.path(`/sys/class/net/${name}/device`));
      mkdirSync(machine.path("/run/udev/data"), { recursive: true });
      writeFileSync(machine.path(`/run/udev/data/n${index}`), `E:ID_PATH=pci-0000:0${at}:00.0\n`);
    }
    // Two cards are missing: nic0, in whose place another one is, and nic7, in whose place there is none.
    mkdirSync(machine.path("/config/local/links"), { recursive: true });
    for (const [name, mac, slot] of [
      ["nic0", "3c:ec:ef:00:00:99", 1],
      ["nic1", "3c:ec:ef:00:00:01", 0],
      ["nic7", "3c:ec:ef:00:00:97", 7],
    ] as const) {
      const binding = { name, by: "mac", mac, path: `pci-0000:0${slot}:00.0`, port: 0 } as const;
      writeFileSync(machine.path(`/config/local/links/10-${name}.link`), renderLinkFile(binding));
    }
    const send = async (line: string, payload?: object) => {
      const [method, url] = line.split(" ") as ["POST", string];
      const answer = await server.local.inject({
        method,
        url: `/api/v1/network${url}`,
        ...(payload ? { payload } : {}),
      });
      return { status: answer.statusCode, body: answer.body === "" ? undefined : answer.json() };
    };
    /** All that any of it could touch. */
    const look = () => ({
      generation: control.current().generation,
      local: readdirSync(machine.path("/config/local"), { recursive: true, withFileTypes: true })
        .filter((each) => each.isFile() && !/^audit-head\.json$|\.new$/.test(each.name))
        .map((each) => `${each.name} ${readFileSync(join(each.parentPath, each.name), "utf8")}`)
        .sort(),
      ran: ran.filter((line) => !line.startsWith("udevadm")),
      uplinks: JSON.stringify(uplinks),
    });
    /** What the dry run says; and after it nothing is otherwise. */
    const ask = async (line: string, payload?: object) => {
      const before = look();
      const [path] = line.split("?");
      const { status, body } = await send(`${path}?dryRun=true`, payload);
      t.equal(status, 200, `${line}: ${JSON.stringify(body)}`);
      t.same(look(), before, `${line}: nothing was done`);
      return body.steps.map(({ summary }: { summary: string }) => summary).join("; ");
    };

    t.equal(await ask("DELETE /links/nic7"), "the name nic7 is free for the next new card");
    t.equal((await send("DELETE /links/nic7")).status, 204);
    t.notOk(existsSync(machine.path("/config/local/links/10-nic7.link")));
    t.equal((await send("DELETE /links/nic7?dryRun=true")).status, 404);

    t.equal(await ask("POST /links/nic0/adopt", {}), "the card nic2 becomes nic0, with what is configured for it");
    t.match(await send("POST /links/nic0/adopt?dryRun=true", { card: "nic5" }), { status: 404 });
    t.match(await send("POST /links/nic0/adopt", {}), { status: 200 });
    t.match(look(), {
      ran: ["ip link set dev nic2 name nic0"],
      local: [/^10-nic0.link .*3c:ec:ef:00:00:02/s, /^10-nic1/],
    });

    t.equal((await send("POST /interfaces", { name: "nic1" })).status, 201);
    const address = { name: "web", interface: "nic1", address: "192.0.2.10/24" };
    t.equal((await send("POST /virtual-addresses", address)).status, 201);
    const held = async () => (await send("GET /virtual-addresses/web/status")).body.held;
    const url = "/virtual-addresses/web";
    t.equal(await ask(`POST ${url}/hold`), "", "it is held already");
    t.match(await ask(`POST ${url}/release`), /web leaves this node/);
    t.equal(await held(), true);
    t.match(await send(`POST ${url}/release`), { status: 200, body: { held: false } });
    t.equal(await ask(`POST ${url}/release`), "", "it is given up already");
    t.match(await ask(`POST ${url}/hold`), /web comes back to this node, and the neighbours are told/);
    t.equal(await held(), false);
    t.match(await send(`POST ${url}/hold`), { status: 200, body: { held: true } });
    t.match(await send("POST /virtual-addresses/none/hold?dryRun=true"), { status: 404 });

    const giveBack = "POST /../dslb/farms/isp/uplinks/fibre/return";
    t.equal(await ask(giveBack), "uplink isp/fibre takes new connections again");
    t.equal(uplinks[0]?.uplinks[0]?.state, "waiting");
    t.equal((await send(giveBack)).status, 204);
    t.equal(uplinks[0]?.uplinks[0]?.state, "used");
    t.equal((await send(`${giveBack}?dryRun=true`)).status, 404, "it waits no more");
  },
);
