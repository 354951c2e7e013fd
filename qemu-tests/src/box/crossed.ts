import type { Suite } from "../suite.ts";
import type { Box } from "./box.ts";

/** The machine with many cards: two pairs wired to each other, and two cards towards the lab's routers. */
export const crossedSetup: NonNullable<Suite["setup"]> = { crossedPairs: 2, uplinkCards: true };

/** Suites of this machine share one boot; whichever comes first turns it on. */
export async function bootOnce(box: Box): Promise<void> {
  if (!box.machine.running) await box.boot();
}

/** Sets an interface as it shall be, without a confirmation. */
export async function putInterface({ api }: Box, name: string, body: object): Promise<void> {
  const path = `/network/interfaces/${name}?confirmWithin=0`;
  const { status, body: answer } = await api.send("PUT", path, { body, timeout: 180_000 });
  if (status >= 300) throw new Error(`PUT ${name}: status ${status}: ${JSON.stringify(answer)}`);
}
