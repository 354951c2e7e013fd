import { report } from "../../../qemu-tests/src/progress.ts";
import type { BenchBox } from "../box/bench-box.ts";
import { guestDirectory, timeInGuest, writeGuestFile } from "../box/guest-files.ts";
import { attempt } from "../context.ts";
import { makeFarm, makeFarms, toConfiguration } from "../farms.ts";
import {
  type HandFarm,
  removeTable,
  renderAddition,
  renderChange,
  renderRemoval,
  renderRuleset,
} from "../peers/nft-rules.ts";
import { renderNftlbChange, renderNftlbFarm } from "../peers/nftlb.ts";
import type { Findings, Missing } from "../results.ts";
import { describeSamples, formatNumber, median } from "../statistics.ts";
import { waitForFirstByte } from "../traffic/first-byte.ts";

/** Seconds by what was done. */
export type ApiFigures = { farms: number; samples: Record<string, number[]>; missing: Missing[] };

const operations = {
  read: "read a farm (no change)",
  create: "create one more farm",
  firstByte: "…until its first byte",
  weight: "change a backend's weight",
  maintenance: "backend to maintenance",
  remove: "delete the farm",
  nftlbCreate: "nftlb: create one more farm",
  nftlbWeight: "nftlb: change a weight",
  nftlbMaintenance: "nftlb: backend off",
  nftlbRemove: "nftlb: delete the farm",
  nftAll: "nft -f: replace all rules",
  nftAdd: "nft -f: add one farm",
  nftChange: "nft -f: rewrite one farm",
} as const;

/**
 * Changes one box with `count` farms through its API, then the same through nftlb's own API and through nft in the same guest.
 * The agent is stopped for those: it would take strange farms for drift and remove them.
 */
export async function measureApi(box: BenchBox, count: number, rounds: number): Promise<ApiFigures> {
  const samples: Record<string, number[]> = {};
  const missing: Missing[] = [];
  const what = (part: string) => `${part} at ${count} farms`;
  await attempt(what("API calls"), missing, () => measureAgentCalls(box, makeFarm(count), rounds, samples));
  report(`${count} farms: the agent's API is measured`);
  await box.machine.run(["systemctl", "stop", "steelyard-agent.service"], { timeout: box.machine.scale(30_000) });
  try {
    await attempt(what("raw nftlb"), missing, () => measureNftlb(box, makeFarm(count), rounds, samples));
    await attempt(what("nft -f"), missing, () => measureNft(box, count, rounds, samples));
  } finally {
    await box.machine.run(["systemctl", "start", "steelyard-agent.service"], { timeout: box.machine.scale(60_000) });
  }
  report(`${count} farms: nftlb and nft are measured`);
  await box.waitUntilServing();
  return { farms: count, samples, missing };
}

/** The API answers when the rules are in the kernel and were read back: its answer is the end of the change. */
async function measureAgentCalls(box: BenchBox, farm: HandFarm, rounds: number, samples: Record<string, number[]>) {
  const { api, machine } = box;
  const take = (name: string, seconds: number) => {
    samples[name] = [...(samples[name] ?? []), seconds];
  };
  const call = async (name: string, status: number, method: string, path: string, body?: unknown) => {
    const begin = performance.now();
    await api.expect(status, method, path, { timeout: machine.scale(30_000), ...(body === undefined ? {} : { body }) });
    take(name, (performance.now() - begin) / 1000);
  };
  const path = `/farms/${farm.name}`;
  for (let round = 0; round < rounds; round++) {
    const { address, port } = farm;
    const firstByte = waitForFirstByte({ address, port, timeout: machine.scale(30_000), interval: 25 });
    // Both are waited for: a rejection of the one must not be left alone by a failure of the other.
    const [created, arrived] = await Promise.allSettled([
      call(operations.create, 201, "POST", "/farms", { name: farm.name, ...toConfiguration(farm) }),
      firstByte,
    ]);
    if (created.status === "rejected") throw created.reason;
    if (arrived.status === "rejected") throw arrived.reason;
    take(operations.firstByte, arrived.value);
    await call(operations.read, 200, "GET", path);
    await call(operations.weight, 200, "PATCH", `${path}/backends/b1`, { weight: 2 + round });
    await call(operations.maintenance, 200, "PATCH", `${path}/backends/b2`, { state: "maintenance" });
    await call(operations.remove, 204, "DELETE", path);
  }
}

async function measureNftlb({ machine }: BenchBox, farm: HandFarm, rounds: number, samples: Record<string, number[]>) {
  // The last marks: the agent gives them from the lowest up.
  const firstMark = 0xfff - farm.backends.length;
  const file = (name: string) => `${guestDirectory}/${name}.json`;
  await writeGuestFile(machine, file("create"), JSON.stringify(renderNftlbFarm(farm, firstMark)));
  await writeGuestFile(machine, file("weight"), JSON.stringify(renderNftlbChange(farm, 0, { weight: "7" })));
  await writeGuestFile(machine, file("maintenance"), JSON.stringify(renderNftlbChange(farm, 1, { state: "off" })));
  await writeGuestFile(machine, `${guestDirectory}/nftlb-call`, nftlbCall, "0700");
  const url = "http://127.0.0.1:5555/farms";
  // The time is curl's own, from connecting to the last byte: its start would cost more than the call.
  const script = `for round in $(seq "$1"); do
  echo "create $(${guestDirectory}/nftlb-call -X POST -d @${file("create")} ${url})"
  echo "weight $(${guestDirectory}/nftlb-call -X POST -d @${file("weight")} ${url})"
  echo "maintenance $(${guestDirectory}/nftlb-call -X POST -d @${file("maintenance")} ${url})"
  echo "remove $(${guestDirectory}/nftlb-call -X DELETE ${url}/${farm.name})"
done`;
  const { stdout } = await machine.run(["/bin/sh", "-c", script, "-", String(rounds)], {
    timeout: machine.scale(30_000),
  });
  const names = {
    create: operations.nftlbCreate,
    weight: operations.nftlbWeight,
    maintenance: operations.nftlbMaintenance,
    remove: operations.nftlbRemove,
  };
  for (const [key, name] of Object.entries(names)) {
    const lines = [...stdout.matchAll(new RegExp(`^${key} (\\d+) ([\\d.]+)$`, "gm"))];
    const refused = lines.find(([, status]) => status !== "200");
    if (refused || lines.length !== rounds) throw new Error(`nftlb: ${key}: ${refused?.[0] ?? stdout.slice(0, 300)}`);
    samples[name] = lines.map(([, , seconds]) => Number(seconds));
  }
}

const nftlbCall = `#!/bin/sh
key=$(grep -oE '[0-9a-f]{64}' /run/steelyard/nftlb.key)
exec curl --silent --max-time 60 --output ${guestDirectory}/answer --write-out '%{http_code} %{time_total}' -H "Key: $key" "$@"
`;

/** A table of our own beside nftlb's, rendered as an administrator's script would, one process per change. */
async function measureNft({ machine }: BenchBox, count: number, rounds: number, samples: Record<string, number[]>) {
  const farm = makeFarm(count);
  const changed = {
    ...farm,
    backends: farm.backends.map((backend, index) => (index ? backend : { ...backend, weight: 7 })),
  };
  const file = (name: string) => `${guestDirectory}/${name}.nft`;
  const files = {
    all: renderRuleset([...makeFarms(count), farm]),
    add: renderAddition(farm),
    change: renderChange(changed),
    remove: renderRemoval(farm),
    gone: removeTable,
  };
  for (const [name, text] of Object.entries(files)) await writeGuestFile(machine, file(name), text);
  try {
    samples[operations.nftAll] = await timeInGuest(machine, ["nft", "-f", file("all")], rounds);
    samples[operations.nftChange] = await timeInGuest(machine, ["nft", "-f", file("change")], rounds);
    samples[operations.nftAdd] = await timeInGuest(machine, ["nft", "-f", file("add")], rounds, {
      before: `nft -f ${file("remove")}`,
    });
  } finally {
    await machine.run(["nft", "-f", file("gone")], { accept: [0, 1] });
  }
}

export function reportApi(all: readonly ApiFigures[]): Findings {
  const names = Object.values(operations).filter((name) => all.some(({ samples }) => samples[name]));
  const times = (figures: ApiFigures, one: string, other: string) =>
    formatNumber(median(figures.samples[one] ?? []) / median(figures.samples[other] ?? []));
  return {
    tables: [
      {
        title: "Seconds for one change, beside that many farms of 10 backends",
        columns: ["operation", ...all.map(({ farms }) => `${farms} farms`)],
        rows: names.map((name) => [name, ...all.map(({ samples }) => describeSamples(samples[name] ?? []))]),
        notes: [
          "API: HTTPS from the client's network; the answer comes when the change is in the kernel, was read back and is stored on disk. First byte: counted from the call; a new connection every 25 ms.",
          "nftlb: its own API on the guest's loopback, by curl's clock, with the agent stopped. It answers without looking whether nft took the rules, and stores nothing.",
          "nft -f: a whole run of the program in the guest, hand-written rules in a table of their own; it stores nothing.",
        ],
      },
      {
        title: "Times the peer",
        columns: ["API call", "peer", ...all.map(({ farms }) => `${farms} farms`)],
        rows: (
          [
            [operations.create, operations.nftlbCreate],
            [operations.weight, operations.nftlbWeight],
            [operations.maintenance, operations.nftlbMaintenance],
            [operations.remove, operations.nftlbRemove],
            [operations.create, operations.nftAll],
            [operations.weight, operations.nftAll],
            [operations.create, operations.nftAdd],
            [operations.weight, operations.nftChange],
          ] as const
        ).map(([one, other]) => [one, other, ...all.map((figures) => times(figures, one, other))]),
        notes: [],
      },
    ],
    missing: all.flatMap(({ missing }) => missing),
    samples: Object.fromEntries(
      all.flatMap(({ farms, samples }) =>
        Object.entries(samples).map(([name, values]) => [`${name}, ${farms} farms, s`, values]),
      ),
    ),
  };
}
