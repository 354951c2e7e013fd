import { setTimeout as sleep } from "node:timers/promises";
import { deleteConnections, forEachConnection } from "../../adapters/conntrack.ts";
import { writeAtomically } from "../../adapters/files.ts";
import type { Machine } from "../../adapters/machine.ts";
import { removeTable } from "../../adapters/nft.ts";
import { ensureNftlbKey, type NftlbAddress, type NftlbBackend, nftlbUnit, openNftlb } from "../../adapters/nftlb.ts";
import type { Executors } from "../../commit/subsystem.ts";
import { SteelyardError } from "../../errors.ts";
import { type AddressDocument, addressName, type BackendDocument, type FarmDocument, highestMark } from "./document.ts";
import { type Cut, type L4Step, parseRanges } from "./plan.ts";
import { findDifferences, handoverTable, marksFile, ruleFamilies } from "./status.ts";

/** Milliseconds nftlb is given to answer after its start. */
const startTimeout = 30_000;

export const executors: Executors<L4Step> = {
  "start-data-plane": async (_step, machine) => {
    await ensureNftlbKey(machine);
    await machine.systemd.restart(nftlbUnit);
    await waitForNftlb(machine);
  },
  "end-handover": async (_step, machine) => {
    for (const family of ruleFamilies) await removeTable(machine, family, handoverTable);
  },
  "remember-marks": async ({ marks }, machine) => {
    await writeAtomically(machine.path(marksFile), `${JSON.stringify(marks)}\n`, 0o600);
  },
  "remove-farm": async ({ farm }, machine) => {
    await (await openNftlb(machine)).removeFarm(farm);
  },
  "remove-address": async ({ farm, address }, machine) => {
    await (await openNftlb(machine)).removeAddress(farm, addressName(farm, address));
  },
  "add-farm": async ({ farm, document, marks }, machine) => {
    await (await openNftlb(machine)).put({
      name: farm,
      ...toBalancing(document),
      addresses: Object.entries(document.addresses).map(([address, each]) => toAddress(farm, address, each)),
      state: "up",
      backends: Object.entries(document.backends).map(([name, backend]) => toBackend(name, backend, marks[name])),
    });
  },
  "change-farm": async ({ farm, document }, machine) => {
    await (await openNftlb(machine)).put({ name: farm, ...toBalancing(document) });
  },
  "remove-backend": async ({ farm, backend }, machine) => {
    await (await openNftlb(machine)).removeBackend(farm, backend);
  },
  "set-backend": async ({ farm, backend, change, mark }, machine) => {
    await (await openNftlb(machine)).put({ name: farm, backends: [toBackend(backend, change, mark)] });
  },
  "add-address": async ({ farm, address, document }, machine) => {
    await (await openNftlb(machine)).put({ name: farm, addresses: [toAddress(farm, address, document)] });
  },
  "confirm-rules": async ({ farms, marks, touched }, machine) => {
    const differences = await findDifferences(machine, farms, marks, touched);
    if (differences.length === 0) return;
    throw new SteelyardError("apply-failed", `the rules are not what was asked for: ${differences.join("; ")}`);
  },
  "cut-connections": async ({ cut }, machine) => await cutConnections(machine, cut),
};

async function waitForNftlb(machine: Machine): Promise<void> {
  const deadline = Date.now() + startTimeout;
  for (;;) {
    try {
      await (await openNftlb(machine)).has("-");
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(50);
  }
}

function toBalancing({ mode, scheduler, parameters }: FarmDocument) {
  return { mode, scheduler, ...(scheduler === "hash" ? { "sched-param": parameters } : {}) };
}

function toAddress(farm: string, address: string, { family, protocol, ports }: AddressDocument): NftlbAddress {
  return { name: addressName(farm, address), family, "ip-addr": address, ports, protocol };
}

/** The state comes last: a backend that is up is taken out and put back for each attribute set after it. */
function toBackend(
  name: string,
  { address, port, weight, priority, state }: Partial<BackendDocument>,
  mark: number | undefined,
): Partial<NftlbBackend> & { name: string } {
  return {
    name,
    ...(mark === undefined ? {} : { mark: `0x${mark.toString(16)}` }),
    ...(address === undefined ? {} : { "ip-addr": address }),
    ...(port === undefined ? {} : { port }),
    ...(weight === undefined ? {} : { weight: String(weight) }),
    ...(priority === undefined ? {} : { priority: String(priority) }),
    ...(state === undefined ? {} : { state }),
  };
}

async function cutConnections(machine: Machine, cut: Cut): Promise<void> {
  if (cut.of === "backend") {
    const mark = { value: cut.mark, mask: highestMark };
    for (const family of cut.families)
      await deleteConnections(machine, { family, mark, ...(cut.server ? { server: cut.server } : {}) });
    return;
  }
  const { family, protocol, ports } = cut.document;
  const ranges = parseRanges(ports);
  const filter = { family, protocol, destination: cut.address };
  const [[first, last] = [0, 0], ...others] = ranges;
  if (others.length === 0 && first === last)
    return await deleteConnections(machine, { ...filter, destinationPort: first });
  // conntrack takes one port at a time: ask which are in use rather than try thousands.
  const open = new Set<number>();
  await forEachConnection(machine, filter, ({ destinationPort }) => open.add(destinationPort));
  for (const destinationPort of open)
    if (ranges.some(([first, last]) => destinationPort >= first && destinationPort <= last))
      await deleteConnections(machine, { ...filter, destinationPort });
}
