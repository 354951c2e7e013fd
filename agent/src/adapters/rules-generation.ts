import { createNetlink, Protocol } from "node-netlink";
import { parseAttributes } from "./netlink-codec.ts";

/**
 * The number of the kernel's rule set, which every transaction of nf_tables makes greater, whoever sends it: rules that were read at
 * a generation are what they were for as long as it stands. Undefined when the kernel does not tell: without nf_tables, or
 * without CAP_NET_ADMIN.
 */
export type ReadRulesGeneration = () => Promise<number | undefined>;

/** linux/netfilter/nfnetlink.h and nf_tables.h: NFNL_SUBSYS_NFTABLES, NFT_MSG_GETGEN, NFTA_GEN_ID. */
const [subsystem, askGeneration, generationId] = [10, 16, 1];
const timeout = 10_000;

/** struct nfgenmsg: family, version, two bytes for nobody. */
const header = Buffer.alloc(4);

export const readRulesGeneration: ReadRulesGeneration = async () => {
  const socket = createNetlink(Protocol.NETFILTER);
  try {
    const [[answer]] = await socket.request((subsystem << 8) | askGeneration, header, { timeout });
    const attributes = parseAttributes(answer?.data.subarray(header.length) ?? Buffer.alloc(0));
    return attributes.get(generationId)?.readUInt32BE();
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
};
