import type { StepBase } from "../../commit/subsystem.ts";
import type { IdleArtefacts } from "./render.ts";

type Card = { index: number; name: string };

export type IdleStep =
  | (StepBase & { kind: "raise-card"; card: Card })
  | (StepBase & { kind: "lower-card"; card: Card });

/** What somebody else has raised is his. */
export function planIdle({ cards }: IdleArtefacts, { raise, used }: IdleArtefacts): IdleStep[] {
  return cards
    .filter(({ name, up, raised }) => !used.includes(name) && (raise ? !up : up && raised))
    .map(({ index, name }) => ({
      kind: raise ? "raise-card" : "lower-card",
      card: { index, name },
      summary: raise
        ? `card ${name}, which nothing uses: up, to be looked at`
        : `card ${name}, which nothing uses: down`,
    }));
}
