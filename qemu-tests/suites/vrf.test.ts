import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Test } from "tap";
import { interfaces } from "../src/box/answer-file.ts";
import { type Box, managementPort } from "../src/box/box.ts";
import { bootOnce, crossedSetup } from "../src/box/crossed.ts";
import { ask, makeFarm } from "../src/box/farms.ts";
import { startNameServer } from "../src/lab/name-server.ts";
import { backends, front, virtualAddresses } from "../src/lab/plan.ts";
import { report } from "../src/progress.ts";
import { runCommand } from "../src/run-command.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { waitFor } from "../src/wait.ts";

/** The VRF, and the interface of the management. The suite's process is the operator: it stands in the client's namespace. */
const vrf = { name: "mgmt", table: 10, member: interfaces.front } as const;
const body = { kind: "vrf", vrf: { table: vrf.table, members: [vrf.member] } };
const path = `/network/interfaces/${vrf.name}`;

/**
 * The service side has the very network of the management, on a card that is wired to one in a namespace of the guest. The host
 * that is there has the operator's own address.
 */
const side = { card: "nic2", box: "10.10.0.2", namespace: "side", far: "nic4", host: front.client.ipv4 } as const;

/** Beyond the operator, who is a router for the box. */
const resolver = { server: "10.77.0.53", name: "probe.lab.test", address: "10.10.0.123" } as const;

/** A change can take a while on an emulated machine. */
const patience = (box: Box) => box.machine.scale(30_000);

/** Management kept apart in a VRF: into it and out of it over its own wire, and what it keeps apart. */
export const vrfSuite: Suite = {
  name: "vrf",
  machine: "crossed",
  setup: crossedSetup,
  run: async (context) => {
    const { box } = context;
    await bootOnce(box);
    await checkBefore(context);
    await checkReturn(context);
    await checkConfirmed(context);
    try {
      await makeServiceSide(box);
      await checkApart(context);
      await checkDestinations(context);
      await checkDrift(context);
      await checkReboot(context);
    } finally {
      await removeServiceSide(box);
      await checkDeletion(context);
      await putFrontAddresses(box);
    }
  },
};

const links = async ({ machine }: Box) => ({
  vrfs: await machine.shell("ip -d -o link show type vrf"),
  members: await machine.shell(`ip -o link show master ${vrf.name} 2>/dev/null || true`),
  rules: await machine.shell("ip -4 rule show; ip -6 rule show"),
});

/**
 * Sends a change that may take its own answer away. What is answered must be a success, unless the request was sent again on another
 * connection: then it is made already (404 for a deletion), or waits for its confirmation (409).
 */
async function attempt(box: Box, method: string, where: string, content?: object): Promise<number | undefined> {
  // Shorter than the time in which the change has to be confirmed.
  const options = { ...(content === undefined ? {} : { body: content }), timeout: box.machine.scale(6_000) };
  const answer = await box.api.send(method, where, options).catch(() => undefined);
  if (answer && answer.status >= 300 && ![404, 409].includes(answer.status))
    throw new Error(`${method} ${where}: status ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer?.status;
}

async function change(box: Box, method: string, where: string, content?: object): Promise<void> {
  const options = { ...(content === undefined ? {} : { body: content }), timeout: 180_000 };
  const { status, body: answer } = await box.api.send(method, `${where}?confirmWithin=0`, options);
  if (status >= 300) throw new Error(`${method} ${where}: status ${status}: ${JSON.stringify(answer)}`);
}

/** Farms serve from the main side alone, so their addresses cannot be where the VRF is to be. */
async function checkBefore({ box, check }: SuiteContext): Promise<void> {
  await check("a VRF is refused while virtual addresses are on its member; those can be reached before", async (t) => {
    await box.api.expect(201, "POST", "/farms", { body: { name: "web", ...makeFarm() } });
    t.match(await ask({}, 4, box.machine.scale(2_000)), { counts: { b1: 2, b2: 2 }, errors: [] });
    const { status, body: answer } = await box.api.send("PUT", `${path}?confirmWithin=0`, { body, timeout: 60_000 });
    t.equal(status, 422);
    t.match(JSON.stringify(answer), /virtualAddresses\.web\.interface/);
    await box.api.expect(204, "DELETE", "/farms/web");
    for (const name of ["web", "web6", "second"]) await change(box, "DELETE", `/network/virtual-addresses/${name}`);
  });
}

async function isIn(box: Box, t: Test): Promise<void> {
  const { vrfs, members, rules } = await links(box);
  t.match(vrfs, new RegExp(` ${vrf.name}: .*[<,]UP[,>].* vrf table ${vrf.table} `));
  t.match(members, new RegExp(` ${vrf.member}: `));
  t.match(rules, /^1000:\s+from all lookup \[l3mdev-table\]/m);
  t.match(rules, /^1010:\s+from all lookup local/m, "the box's own addresses come after the VRF");
  t.notMatch(rules, /^0:/m);
  const main = await box.machine.shell(`ip -4 route show dev ${vrf.member}; ip -6 route show dev ${vrf.member}`);
  t.equal(main, "", "the main table leads nowhere by the member");
  t.match(await box.machine.shell(`ip route show table ${vrf.table}`), /^unreachable default .*metric 4278198272/m);
}

async function isOut(box: Box, t: Test): Promise<void> {
  const { vrfs, members, rules } = await links(box);
  t.equal(vrfs, "");
  t.equal(members, "");
  t.equal(rules.match(/^0:\s+from all lookup local/gm)?.length, 2, "the kernel's first rule is back, in both families");
  t.notMatch(rules, /^1(?:010|500|510):/m);
  t.match(await box.machine.shell(`ip -4 route show dev ${vrf.member}`), /^10\.10\.0\.0\/24 /m);
}

async function checkReturn({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check(
    "a VRF around management that nobody confirms goes back by itself, and the API answers again",
    async (t) => {
      const dry = await box.api.expect(200, "PUT", `${path}?dryRun=true`, { body, timeout: 60_000 });
      t.match(dry.body, { reasons: [`the interface ${vrf.member} is used for management`] });
      t.ok((dry.body as { confirmWithin: number }).confirmWithin > 0, "nobody has to ask for a confirmation");
      const operator = box.newApi();
      await operator.login("admin", box.password);
      const begin = Date.now();
      const answered = await attempt(box, "PUT", `${path}?confirmWithin=2`, body);
      report(
        `vrf: the change into the VRF ${answered === undefined ? "lost its answer" : `was answered (${answered})`}`,
      );
      await box.waitUntilServing();
      report(`vrf: a new connection through the VRF ${Date.now() - begin} ms after the change was sent`);
      await isIn(box, t);
      t.equal((await operator.send("GET", "/system")).status, 200, "a connection of before goes on");
      operator.close();
      const gone = async () => (await links(box)).vrfs === "";
      await waitFor("the VRF to go", gone, { timeout: 120_000 + machine.scale(20_000), interval: 2_000 });
      await box.waitUntilServing();
      const settled = async () => (await box.api.send("GET", "/configuration/pending")).status === 404;
      await waitFor("the return to be done", settled, { timeout: patience(box) });
      t.match(await machine.shell("steelyard config history | head -3"), /not confirmed in time/);
      await isOut(box, t);
    },
  );
}

async function checkConfirmed({ box, check }: SuiteContext): Promise<void> {
  await check("confirmed over the VRF it stays; the API answers in both families, and shows it", async (t) => {
    await attempt(box, "PUT", path, body);
    await box.waitUntilServing();
    const { generation } = await box.api.get("/configuration/pending");
    await box.api.expect(200, "POST", "/configuration/confirm", { body: { generation } });
    await isIn(box, t);
    for (const address of [front.box.ipv4, front.box.ipv6])
      t.ok(await canConnect(address, managementPort, box.machine.scale(3_000)), `${address} answers`);
    const shown = await box.api.get("/network/interfaces/{interface}/status", { path: { interface: vrf.name } });
    t.match(shown, { state: "up", vrf: { table: vrf.table, members: [vrf.member] } });
    const links = await box.api.get("/network/links/{link}", { path: { link: vrf.member } });
    t.equal(links.master, vrf.name);
    t.equal(await box.machine.shell("systemctl --failed --no-legend --plain"), "");
  });
}

function canConnect(host: string, port: number, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout });
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}

/** A connection that nothing is sent over. */
async function holdConnection(host: string, port: number, timeout: number): Promise<Socket> {
  const socket = connect({ host, port });
  socket.on("error", () => socket.destroy());
  await once(socket, "connect", { signal: AbortSignal.timeout(timeout) });
  return socket;
}

/** The host on the service side, which a reboot of the guest takes away. */
async function makeSideHost({ machine }: Box): Promise<void> {
  const ip = `ip -n ${side.namespace}`;
  await machine.shell(
    [
      "set -e",
      `ip netns add ${side.namespace}`,
      `ip link set ${side.far} netns ${side.namespace}`,
      `${ip} link set lo up; ${ip} link set ${side.far} up`,
      `${ip} address add ${side.host}/${front.prefix.ipv4} dev ${side.far}`,
    ].join("\n"),
    machine.scale(15_000),
  );
}

async function makeServiceSide(box: Box): Promise<void> {
  await makeSideHost(box);
  const ipv4 = { method: "static", addresses: [`${side.box}/${front.prefix.ipv4}`] };
  await change(box, "PUT", `/network/interfaces/${side.card}`, { ipv4 });
  const address = `${virtualAddresses.ipv4}/${front.prefix.ipv4}`;
  await change(box, "PUT", "/network/virtual-addresses/web", { interface: side.card, address });
  await change(box, "PUT", "/farms/web", makeFarm());
}

/** Before the VRF goes: the network of the service side is the operator's own, and two ways to it would be one too many. */
async function removeServiceSide(box: Box): Promise<void> {
  // A connection that was held may have ended with its VRF.
  box.api.close();
  for (const where of ["/farms/web", "/network/virtual-addresses/web", `/network/interfaces/${side.card}`])
    await box.api.send("DELETE", `${where}?confirmWithin=0`, { timeout: 180_000 });
  await box.machine.shell(`ip netns delete ${side.namespace} 2>/dev/null || true`);
}

async function putFrontAddresses(box: Box): Promise<void> {
  const { ipv4, ipv6, secondIpv4 } = virtualAddresses;
  for (const [name, address] of [
    ["web", `${ipv4}/${front.prefix.ipv4}`],
    ["web6", `${ipv6}/${front.prefix.ipv6}`],
    ["second", `${secondIpv4}/${front.prefix.ipv4}`],
  ] as const)
    await change(box, "PUT", `/network/virtual-addresses/${name}`, { interface: interfaces.front, address });
}

/** What the host on the service side gets from an address, and the HTTP status: 000 when nothing answers. */
async function fetchFromSide({ machine }: Box, url: string, ...more: string[]): Promise<string> {
  const options = ["--insecure", "--silent", "--max-time", "5", "--write-out", " %{http_code}"];
  const argv = ["ip", "netns", "exec", side.namespace, "curl", ...options, ...more, url];
  return (await machine.guest(argv, machine.scale(15_000))).stdout.trim();
}

const macOf = async ({ machine }: Box, card: string) => await machine.shell(`cat /sys/class/net/${card}/address`);

async function checkApart({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("with one network on both sides, each side has its own, and nothing of the other's", async (t) => {
    t.match(await fetchFromSide(box, `http://${virtualAddresses.ipv4}/`), /"name":"b[12]"/, "farms serve their side");
    t.match((await box.api.get("/system")).management, { interfaces: [vrf.member] }, "and management its own");
    const neighbour = `neigh replace ${front.box.ipv4} lladdr ${await macOf(box, side.card)} dev ${side.far}`;
    await machine.shell(`ip -n ${side.namespace} ${neighbour}`);
    for (const address of [side.box, front.box.ipv4])
      t.equal(
        await fetchFromSide(box, `https://${address}:${managementPort}/`),
        "000",
        `no API at ${address} for the side`,
      );
    t.match(await fetchFromSide(box, `http://${virtualAddresses.ipv4}/`), /"name"/, "while the farm answers");
  });
  await check("from management, neither farms nor servers can be reached through the box", async (t) => {
    const mac = await macOf(box, vrf.member);
    const { ipv4 } = virtualAddresses;
    const server = backends.b1.ipv4;
    await runCommand(["ip", "neigh", "replace", ipv4, "lladdr", mac, "dev", "eth0"]);
    await runCommand(["ip", "route", "replace", `${server}/32`, "via", front.box.ipv4]);
    try {
      for (const address of [ipv4, server])
        t.equal((await ask({ address }, 2, 2_000)).errors.length, 2, `${address} does not answer`);
      t.ok(await canConnect(front.box.ipv4, managementPort, machine.scale(3_000)), "while the API does");
      t.match(await machine.shell(`ip route get ${server}`), new RegExp(`dev ${interfaces.back} `));
      const { code } = await machine.guest(["ip", "route", "get", "vrf", vrf.name, server], 10_000);
      t.not(code, 0, "the VRF knows no way to it");
    } finally {
      await runCommand(["ip", "route", "delete", `${server}/32`], { accept: [0, 2] });
      await runCommand(["ip", "neigh", "delete", ipv4, "dev", "eth0"], { accept: [0, 2] });
    }
  });
}

async function checkDestinations({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  const { server, name, address } = resolver;
  const nic = `/network/interfaces/${vrf.member}`;
  const dns = (servers: string[]) => ({ dns: { servers } });
  const lookUp = async () => (await machine.guest(["getent", "ahostsv4", name], machine.scale(20_000))).stdout;
  await check("the box asks a resolver through the VRF once it is named for that, and only by that way", async (t) => {
    await runCommand(["ip", "address", "replace", `${server}/32`, "dev", "lo"]);
    const names = await startNameServer(server, address);
    try {
      await change(box, "PATCH", nic, { ipv4: { gateway: front.client.ipv4 } });
      t.match(
        await machine.shell(`ip route show table ${vrf.table}`),
        new RegExp(`^default via ${front.client.ipv4} dev ${vrf.member} `, "m"),
      );
      const shown = await api.get("/network/interfaces/{interface}/status", { path: { interface: vrf.member } });
      t.match(shown.gateways, [front.client.ipv4], "the gateway of the VRF");
      const dry = await api.expect(200, "PATCH", "/system?dryRun=true", { body: dns([server]) });
      t.match(JSON.stringify(dry.body), /interfaces\.mgmt\.vrf\.destinations/, "it is said that nothing leads there");
      await change(box, "PATCH", "/system", dns([server]));
      t.equal(await lookUp(), "", "nor does it");
      await change(box, "PATCH", path, { vrf: { destinations: [`${server}/32`] } });
      t.match(await machine.shell(`ip route get ${server}`), new RegExp(`dev ${vrf.member} table ${vrf.table} `));
      const found = async () => (await lookUp()).startsWith(`${address} `);
      await waitFor("the name, over UDP", found, { timeout: machine.scale(20_000), interval: 1_000 });
      t.equal(
        await machine.shell(`dig +short +tcp +time=5 +tries=1 @${server} ${name}`, machine.scale(20_000)),
        address,
      );
      await checkGuard(t, box);
    } finally {
      names.stop();
      await runCommand(["ip", "address", "delete", `${server}/32`, "dev", "lo"], { accept: [0, 2] });
      await change(box, "PATCH", path, { vrf: { destinations: [] } });
      await change(box, "PATCH", "/system", dns([]));
      await change(box, "PATCH", nic, { ipv4: { gateway: null } });
    }
  });
}

/** A host on the service side that says to be the resolver would have the box answer it through the VRF. */
async function checkGuard(t: Test, box: Box): Promise<void> {
  const { machine } = box;
  await machine.shell(`ip -n ${side.namespace} address add ${resolver.server}/32 dev lo`);
  const url = `http://${virtualAddresses.ipv4}/`;
  t.equal(
    await fetchFromSide(box, url, "--interface", resolver.server),
    "000",
    "a stranger with its address is not heard",
  );
  t.match(await machine.shell("nft list chain inet steelyard_routing guard"), /counter packets [1-9]/);
  await machine.shell(`ip -n ${side.namespace} address delete ${resolver.server}/32 dev lo`);
}

async function checkDrift({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("a member taken out by hand, a rule moved back and a VRF deleted are mended", async (t) => {
    const isWhole = async () => {
      const { members, rules } = await links(box);
      return members.includes(` ${vrf.member}: `) && /^1010:/m.test(rules) && !/^0:/m.test(rules);
    };
    for (const harm of [
      `ip link set ${vrf.member} nomaster`,
      "ip rule add priority 0 from all lookup local",
      `ip link delete ${vrf.name}`,
    ]) {
      await machine.shell(harm);
      await waitFor(`the agent to mend: ${harm}`, isWhole, { timeout: machine.scale(40_000), interval: 1_000 });
    }
    await box.waitUntilServing();
    await isIn(box, t);
  });
}

async function checkReboot({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("a reboot keeps it", async (t) => {
    const readBoot = async () =>
      (await machine.guest(["cat", "/proc/sys/kernel/random/boot_id"], 10_000)).stdout.trim();
    const before = await readBoot();
    await machine.guest(["systemctl", "--no-block", "reboot"], machine.scale(10_000));
    const isAnother = async () => {
      const now = await readBoot();
      return now !== before && now !== "";
    };
    await waitFor("the guest to boot again", isAnother, { timeout: machine.scale(60_000), interval: 1_000 });
    await box.waitUntilServing();
    await isIn(box, t);
    await makeSideHost(box);
    const answers = async () => /"name":"b[12]"/.test(await fetchFromSide(box, `http://${virtualAddresses.ipv4}/`));
    await waitFor("the farm to answer its side", answers, { timeout: machine.scale(20_000), interval: 1_000 });
    t.equal(await fetchFromSide(box, `https://${side.box}:${managementPort}/`), "000", "and no API there");
  });
}

async function checkDeletion({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("deleted over its own wire it is gone, and management is where it was", async (t) => {
    const held = await holdConnection(front.box.ipv4, managementPort, machine.scale(3_000));
    const answered = await attempt(box, "DELETE", `${path}?confirmWithin=0`);
    report(`vrf: the deletion ${answered === undefined ? "lost its answer" : `was answered (${answered})`}`);
    await waitFor("a connection of the VRF to be reset", async () => held.closed, { timeout: patience(box) });
    const gone = async () => (await links(box)).vrfs === "";
    await waitFor("the VRF to go", gone, { timeout: patience(box), interval: 1_000 });
    await box.waitUntilServing();
    const isLast = async () => (await box.api.send("GET", path)).status === 404;
    await waitFor("the change to be kept", isLast, { timeout: patience(box) });
    await isOut(box, t);
    t.match(
      await machine.shell("nft list set inet steelyard_base isolated_interfaces"),
      /set isolated_interfaces \{\s+type ifname\s+\}/,
    );
    t.equal(await machine.shell("systemctl --failed --no-legend --plain"), "");
    t.same(await machine.serialFindings(), []);
  });
}
