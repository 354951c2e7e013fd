import { createHmac } from "node:crypto";

/** Ours alone, so that no other program derives the same id from the same machine. */
const application = Buffer.from("5b9f0a4c6d2e4a719b1c8e5d7f30a264", "hex");

/**
 * The id of this node, for its peers and for whoever counts boxes: a UUID that stays as long as the machine id does, and does not give
 * that away, which machine-id(5) asks to keep. Derived like sd_id128_get_machine_app_specific(3): HMAC-SHA256 of the application's id,
 * keyed by the machine's. `machineId` is the text of /etc/machine-id; undefined when there is none.
 */
export function deriveNodeId(machineId: string): string | undefined {
  const text = machineId.trim();
  if (!/^[0-9a-f]{32}$/.test(text)) return undefined;
  const id = createHmac("sha256", Buffer.from(text, "hex")).update(application).digest().subarray(0, 16);
  // Version 4, variant 1 (RFC 9562), as systemd marks them.
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x40;
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
  return id.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
