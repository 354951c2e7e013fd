import type { Machine } from "../adapters/machine.ts";
import { readManagementFingerprint } from "../certificates/management.ts";
import type { Client } from "../client/client.ts";
import { SteelyardError } from "../errors.ts";
import type { LinkStatus } from "../network/status.ts";
import type { System } from "../system/schema.ts";
import type { SystemStatus } from "../system/status.ts";
import { describeManagement } from "./banner.ts";
import type { Standing, Trial } from "./keep.ts";

/** The first generation while it may still go back, as the local API tells of it. */
export function makeTrial(machine: Machine, api: Client, generation: number): Trial {
  let last: Standing = { state: "waiting", seconds: 0 };
  return {
    describe: async () => {
      const [{ body: system }, links, fingerprint] = await Promise.all([
        api.send<System>("GET", "/api/v1/system"),
        api.sendList<LinkStatus>("/api/v1/network/links"),
        readManagementFingerprint(machine),
      ]);
      return describeManagement({ system, links, virtualAddresses: [], fingerprint });
    },
    look: async () => {
      last = await look(machine, api).catch(() => last);
      return last;
    },
    keep: async () => void (await api.send("POST", "/api/v1/configuration/confirm", { body: { generation } })),
    takeBack: async () => void (await api.send("POST", "/api/v1/configuration/pending/revert")),
  };
}

/** Throws while the agent does not answer. */
async function look(machine: Machine, api: Client): Promise<Standing> {
  try {
    const { body } = await api.send<{ deadline: string }>("GET", "/api/v1/configuration/pending");
    return { state: "waiting", seconds: (Date.parse(body.deadline) - machine.now().getTime()) / 1000 };
  } catch (error) {
    if (!(error instanceof SteelyardError) || error.code !== "not-found") throw error;
  }
  const { body } = await api.send<SystemStatus>("GET", "/api/v1/system/status");
  return { state: body.generation > 0 ? "kept" : "gone" };
}
