import { request } from "node:https";
import { front } from "../lab/plan.ts";
import { waitFor } from "../wait.ts";
import { type Box, managementPort } from "./box.ts";
import { pinCertificate } from "./pin.ts";

/** An event of the box, and when it was here: milliseconds of performance.now(). */
export type SeenEvent = { kind: string; data: Record<string, unknown>; at: number };

export type EventStream = {
  /** The first event from now on that the test accepts. */
  next(what: string, accept: (event: SeenEvent) => boolean, timeout: number): Promise<SeenEvent>;
  close(): void;
};

/** Follows the states that the box tells over HTTPS, as a client of an operator does. */
export async function openEventStream(box: Box): Promise<EventStream> {
  const agent = await pinCertificate({
    ...{ address: front.box.ipv4, port: managementPort },
    ...{ fingerprint: box.fingerprint, timeout: box.machine.scale(5_000) },
  });
  const seen: SeenEvent[] = [];
  const outgoing = request({
    ...{ agent, host: front.box.ipv4, port: managementPort, path: "/api/v1/events?topic=states" },
    headers: { authorization: `Bearer ${box.api.token}` },
  });
  outgoing.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      let rest = "";
      response.setEncoding("utf8");
      response.on("error", () => {});
      response.on("data", (text: string) => {
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) {
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (data !== undefined) seen.push({ ...(JSON.parse(data) as SeenEvent), at: performance.now() });
        }
      });
      if (response.statusCode === 200) resolve();
      else reject(new Error(`GET /events: status ${response.statusCode}`));
    });
    outgoing.end();
  });
  return {
    next: async (what, accept, timeout) => {
      let at = 0;
      return await waitFor(
        what,
        async () => {
          while (at < seen.length) {
            const event = seen[at++];
            if (event && accept(event)) return event;
          }
          return undefined;
        },
        { timeout, interval: 20 },
      );
    },
    close: () => {
      outgoing.destroy();
      agent.destroy();
    },
  };
}
