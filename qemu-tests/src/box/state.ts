import { createHash } from "node:crypto";
import type { Box } from "./box.ts";

/** What a refused change must leave untouched: the generation, and the kernel's rules without their counters. */
export async function fingerprintState(box: Box): Promise<{ generation: number; rules: string }> {
  return { generation: await currentGeneration(box), rules: await hashRules(box) };
}

export async function currentGeneration(box: Box): Promise<number> {
  return (await box.api.get("/system/status")).generation;
}

export async function hashRules(box: Box): Promise<string> {
  const rules = await box.machine.shell("nft --stateless list ruleset");
  return createHash("sha256").update(rules).digest("hex");
}
