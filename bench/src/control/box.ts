import { type ChildProcess, fork } from "node:child_process";
import * as fs from "node:fs/promises";
import { dirname, join } from "node:path";
import { overlay, simulateUnit } from "../../../agent/netns-tests/lab.ts";
import { run } from "../../../agent/src/adapters/process.ts";
import { renderNetwork } from "../../../agent/src/network/render.ts";
import { addressOf, makeConfiguration, ownAddress } from "./objects.ts";
import type { Answer, BoxAnswer, BoxOrder } from "./protocol.ts";

/**
 * The box, in namespaces of its own: kernel, nftlb and nft are the real ones, and outlive the agent, which is started as often
 * as asked. Arguments: its root, the agent's program, and how many farms there will be.
 */
const [root = "", program = "", farms = "0"] = process.argv.slice(2);
const addresses = Math.ceil((Number(farms) + 1) / 10);

await prepareNetwork();
await prepareFiles();
const nftlb = simulateUnit(root);
const unit = await readUnit();
let agent: ChildProcess | undefined;
process.on("message", (order: BoxOrder) => {
  if ("start" in order) startAgent(order.start.arguments);
  else agent?.send(order.question);
});
// The bench is gone, and with us all that stands in the namespaces.
process.on("disconnect", () => process.exit(0));
tell({ up: true });

function startAgent(more: string[]): void {
  const [execArgv, env] = [[...unit.options, ...more], { ...process.env, ...unit.environment }];
  const child = fork(program, [root], { execArgv, env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  agent = child;
  child.on("message", (answer: Answer) => {
    if ("unit" in answer) void nftlb[answer.order](answer.unit).then(() => child.send({ done: answer.id }));
    else tell({ answer });
  });
  child.on("exit", (code) => tell({ ended: code }));
}

function tell(answer: BoxAnswer): void {
  process.send?.(answer);
}

/** How the image starts the agent: what its unit says to Node decides about memory. */
async function readUnit(): Promise<{ options: string[]; environment: Record<string, string> }> {
  const text = await fs.readFile(join(overlay, "usr/lib/systemd/system/steelyard-agent.service"), "utf8");
  const options = /^ExecStart=\/usr\/bin\/node ((?:--\S+ )*)/m.exec(text)?.[1];
  if (options === undefined) throw new Error("the unit of the agent does not start node");
  const environment = [...text.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]);
  return { options: options.trim().split(" ").filter(Boolean), environment: Object.fromEntries(environment) };
}

/** A link with the addresses networkd would have given it: nothing of the network is to be changed by the agent. */
async function prepareNetwork(): Promise<void> {
  const lines = [
    "link set lo up",
    "link add eth0 type veth peer name far0",
    "link set far0 up",
    "link set eth0 up",
    `address add ${ownAddress} dev eth0`,
    ...Array.from({ length: addresses }, (_, number) => `address add ${addressOf(number)}/16 dev eth0`),
  ];
  await run(["ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });
  await run(["nft", "-f", join(overlay, "usr/lib/steelyard/nft/base.nft")]);
}

/** Files of the image that the agent reads or changes, and the one of networkd for the link. */
async function prepareFiles(): Promise<void> {
  const configuration = makeConfiguration(Number(farms), 0);
  const files: Record<string, string> = {
    "etc/passwd": "root:x:0:0::/root:/bin/bash\nadmin:x:1000:1000::/home/admin:/bin/bash\n",
    "etc/shadow": "root:*:20000:0:99999:7:::\nadmin:!:20000:0:99999:7:::\n",
    "etc/group":
      "root:x:0:\nsudo:x:27:\nsystemd-journal:x:990:\nsteelyard:x:991:\nsteelyard-admin:x:992:\nadmin:x:1000:\n",
    "etc/hostname": "bench\n",
    "usr/lib/steelyard/nft/base.nft": await fs.readFile(join(overlay, "usr/lib/steelyard/nft/base.nft"), "utf8"),
    "run/systemd/network/10-steelyard-eth0.network": renderNetwork(configuration).eth0?.file ?? "",
  };
  for (const [path, text] of Object.entries(files)) {
    await fs.mkdir(dirname(join(root, path)), { recursive: true });
    await fs.writeFile(join(root, path), text);
  }
  for (const directory of ["config", "data", "run/steelyard"])
    await fs.mkdir(join(root, directory), { recursive: true });
}
