import { parseArgs } from "node:util";
import { drawBars } from "./bars.ts";
import { Box, managementPort } from "./box/box.ts";
import { ask, makeFarm } from "./box/farms.ts";
import { enterLab, type Lab } from "./lab/enter.ts";
import { forwardedPort, forwardInside, listenOutside } from "./lab/forward.ts";
import { backends, front, virtualAddresses } from "./lab/plan.ts";
import { imagePath } from "./paths.ts";
import { setQuiet } from "./progress.ts";
import { bold, dim, Steps, say } from "./steps.ts";
import { startBackends } from "./traffic/backends.ts";
import { chooseAccelerator } from "./vm/accelerator.ts";

/**
 * Shows what the product does: boots the appliance between a client and two web servers, makes a farm over the API, and
 * watches the client's connections.
 *
 *     node --import ./register.mjs qemu-tests/src/demo.ts [--profile virt] [--image FILE] [--keep]
 */
const { values } = parseArgs({
  options: {
    profile: { type: "string", default: "virt" },
    image: { type: "string" },
    keep: { type: "boolean", default: false },
  },
});

const connections = 200;
const address = virtualAddresses.ipv4;

await enterLab(showDemo, { beside: listenOutside });

async function showDemo(lab: Lab): Promise<number> {
  setQuiet();
  const image = values.image ?? imagePath(values.profile);
  const steps = new Steps(7);
  printIntroduction();
  const accelerator = await steps.run("Choose how to run the virtual machine", () => chooseAccelerator(image));
  if (accelerator === "tcg") say(dim("KVM cannot run it here, so QEMU emulates: booting takes a minute or more."));
  const box = await steps.run("Start two web servers, b1 and b2, and the appliance's disk", async () => {
    await startBackends(lab);
    return await Box.create(lab, { name: "demo", image, accelerator, firmware: "bios" });
  });
  try {
    await steps.run("Boot the appliance: first boot, set up by an answer file", () => box.boot());
    const server = await forwardInside(lab, front.box.ipv4, managementPort);
    printAccess(box, lab);
    const farm = { name: "web", ...makeFarm() };
    await call(box, steps, "Create a farm over the API", "POST", "/farms", farm);
    await countConnections(box, steps, `Send ${connections} connections to http://${address}/`);
    const change = { state: "maintenance" };
    await call(box, steps, "Put b1 into maintenance over the API", "PATCH", "/farms/web/backends/b1", change);
    say("b1 keeps the connections it has and gets no new one.\n");
    await countConnections(box, steps, `Send ${connections} connections again`);
    process.stdout.write(`${bold("That was it.")} To try it yourself: make run\n`);
    if (values.keep) await waitForEnter();
    server.close();
    return 0;
  } finally {
    await box.machine.cutPower();
    process.stdout.write("Taking the virtual machine and its network down.\n");
  }
}

function printIntroduction(): void {
  process.stdout.write(`
${bold("Steelyard")} spreads the connections of clients over servers. This demo boots the appliance in a virtual machine, in a
network of its own (nothing of yours is touched), and looks at who answers.

                              ┌───────────┐      ┌── b1  ${backends.b1.ipv4}
  client ───────── ${address} │ Steelyard │ ─────┤
  ${front.client.ipv4}                 └───────────┘      └── b2  ${backends.b2.ipv4}

`);
}

/** Makes a call and shows it with its answer, as somebody with curl would see it. */
async function call(box: Box, steps: Steps, title: string, method: string, path: string, body: object): Promise<void> {
  const { status, generation } = await steps.run(title, () => box.api.send(method, path, { body }));
  const text = JSON.stringify(body);
  say(`\n${bold(`${method} https://${front.box.ipv4}:${managementPort}/api/v1${path}`)}`);
  say(text.length < 80 ? text : formatBody(body));
  say(`-> ${status}; the configuration is now generation ${generation}\n`);
  if (status >= 300) throw new Error(`${method} ${path}: status ${status}`);
}

/** JSON with a line for each field; lists and backends on one line each. */
function formatBody(body: object): string {
  const onOneLine = (text: string) => text.replace(/\n\s+/g, " ");
  return JSON.stringify(body, undefined, 2)
    .replace(/\{\n\s+"address"[^}]*\}/g, onOneLine)
    .replace(/\[[^\][{}]*\]/g, (text) => onOneLine(text).replace("[ ", "[").replace(" ]", "]"));
}

async function countConnections(box: Box, steps: Steps, title: string): Promise<void> {
  const { counts, errors } = await steps.run(title, () => ask({}, connections, box.machine.scale(2_000)));
  say(`\n${drawBars({ b1: counts.b1 ?? 0, b2: counts.b2 ?? 0 }, connections)}`);
  say(errors.length === 0 ? "every connection was answered\n" : `${errors.length} failed: ${errors[0]}\n`);
  if (errors.length > 0) throw new Error("the farm did not answer every connection");
}

function printAccess(box: Box, lab: Lab): void {
  const url = `https://127.0.0.1:${forwardedPort()}/api/v1`;
  process.stdout.write(`
  ${bold("It runs.")} While it does, you can talk to it as well, in another terminal:

  API          ${url}   (certificate SHA-256 ${box.fingerprint.slice(0, 23)}…)
  log in       user admin, password ${box.password}   (made for this run)
  for example  curl -k ${url}/sessions -H 'content-type: application/json' \\
                 -d '{"user":"admin","password":"${box.password}"}'
  as client    ip netns exec ${lab.id}-client curl http://${address}/

`);
}

async function waitForEnter(): Promise<void> {
  process.stdout.write("It stays up until you press Enter. ");
  process.stdin.resume();
  await new Promise<void>((resolve) => {
    process.stdin.once("data", () => resolve());
    process.stdin.once("end", () => resolve());
  });
  process.stdin.pause();
}
