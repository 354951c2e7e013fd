import * as http from "node:http";
import { SteelyardError } from "../errors.ts";
import { readTextIfExists, writeAtomically } from "./files.ts";
import type { Machine } from "./machine.ts";
import { rememberPieces } from "./pieces.ts";

/**
 * The JSON API of nftlb 1.0.7 on the loopback interface. All values are strings, as nftlb writes them.
 *
 * nftlb sets attributes one by one in the order of the document: the name comes first, and the mark of a backend before its
 * address, so that nothing is loaded under a mark nftlb chose. A farm has no `family` here: naming one makes nftlb add an
 * empty address of its own, whose rule nft then refuses.
 */
export type NftlbAddress = {
  name: string;
  family: "ipv4" | "ipv6";
  "ip-addr": string;
  ports: string;
  protocol: "tcp" | "udp";
};

export type NftlbBackend = {
  name: string;
  mark: string;
  "ip-addr": string;
  port: string;
  weight: string;
  priority: string;
  state: string;
};

export type NftlbFarm = {
  name: string;
  mode: string;
  scheduler: string;
  "sched-param": string;
  state: string;
  addresses: NftlbAddress[];
  backends: NftlbBackend[];
};

/** What nftlb says of a farm: more than we ever set. */
export type HeldFarm = NftlbFarm & Record<string, unknown>;

/** What nftlb is given: the name, and what is to change. */
export type NftlbFarmChange = Partial<Omit<NftlbFarm, "name" | "backends" | "addresses">> & {
  name: string;
  addresses?: NftlbAddress[];
  backends?: (Partial<NftlbBackend> & { name: string })[];
};

export type Nftlb = {
  /** Every farm, or those of the names that it has. Throws `not-ready` when nftlb does not answer. */
  farms(names?: readonly string[]): Promise<HeldFarm[]>;
  /** True when nftlb has the farm: the cheapest question it answers, for it comes from its memory alone. */
  has(farm: string): Promise<boolean>;
  /** Adds or changes; what is not named stays. nftlb says "success" also when nft refused: read back and compare. */
  put(change: NftlbFarmChange): Promise<void>;
  /** Removing what is not there is no error. */
  removeFarm(farm: string): Promise<void>;
  removeAddress(farm: string, address: string): Promise<void>;
  removeBackend(farm: string, backend: string): Promise<void>;
};

export const nftlbUnit = "steelyard-nftlb.service";

/** The key and nothing else. The unit hands it to nftlb in the environment, so that it stands in no argument list. */
export const nftlbKeyFile = "/run/steelyard/nftlb.key";
const port = 5555;

/** Milliseconds. nftlb does one thing at a time: a question waits while it loads rules, which can take seconds. */
const timeouts = { GET: 20_000, POST: 120_000, DELETE: 120_000 };

/** Gives back the key, made now if there is none: 32 random bytes in hexadecimal, in a file for root alone. */
export async function ensureNftlbKey(machine: Machine): Promise<string> {
  const key = await readKey(machine);
  if (key !== undefined) return key;
  const made = machine.randomBytes(32).toString("hex");
  await writeAtomically(machine.path(nftlbKeyFile), `${made}\n`, 0o600);
  return made;
}

async function readKey(machine: Machine): Promise<string | undefined> {
  const text = await readTextIfExists(machine.path(nftlbKeyFile));
  return text?.match(/^([0-9a-f]{64})\n?$/)?.[1];
}

type Request = {
  method: "GET" | "POST" | "DELETE";
  path: string;
  body?: unknown;
  /** Takes what it says with status 200 as it comes; it is not kept then. */
  onPart?(part: Uint8Array): void;
};
type Answer = { status: number; text: string };

/** A connection per request: nftlb closes it after each. Throws `not-ready` when nobody answers. */
async function ask(key: string, { method, path, body, onPart }: Request): Promise<Answer> {
  const timeout = timeouts[method];
  return await new Promise((resolve, reject) => {
    const fail = (cause: Error) => reject(new SteelyardError("not-ready", `nftlb: ${cause.message}`, { cause }));
    const request = http.request(
      { host: "127.0.0.1", port, method, path, agent: false, timeout, headers: { Key: key } },
      (response) => {
        const { statusCode: status = 0 } = response;
        const parts: Buffer[] = [];
        response.on("data", status === 200 && onPart ? onPart : (part: Buffer) => parts.push(part));
        response.on("error", fail);
        response.on("end", () => resolve({ status, text: Buffer.concat(parts).toString("utf8") }));
      },
    );
    request.on("timeout", () => request.destroy(new Error(`no answer in ${timeout} ms`)));
    request.on("error", fail);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The API with the key of the running machine. Throws `not-ready` when there is no key: then nftlb was never started. */
export async function openNftlb(machine: Machine): Promise<Nftlb> {
  const key = await readKey(machine);
  if (key === undefined) throw new SteelyardError("not-ready", "nftlb: was not started: there is no key");
  const demand = async (request: Request, accept: readonly number[]): Promise<Answer> => {
    const answer = await ask(key, request);
    if (accept.includes(answer.status)) return answer;
    const words = `nftlb: ${request.method} ${request.path}: status ${answer.status}: ${answer.text.trim()}`;
    throw new SteelyardError("command-failed", words);
  };
  // An unknown farm is answered with 500 "invalid request".
  const askFor = (farm: string) => demand({ method: "GET", path: `/farms/${farm}` }, [200, 404, 500]);
  const remove = async (path: string) => {
    await demand({ method: "DELETE", path }, [200, 404]);
  };
  return {
    farms: async (names) => {
      if (!names) {
        const intake = takeInFarms();
        await demand({ method: "GET", path: "/farms", onPart: intake.add }, [200]);
        return parse(() => intake.end().flat());
      }
      const found = [];
      for (const name of names) {
        const { status, text } = await askFor(name);
        if (status === 200) found.push(...parse(() => (JSON.parse(text) as { farms: HeldFarm[] }).farms));
      }
      return found;
    },
    has: async (farm) => (await askFor(farm)).status === 200,
    put: async (change) => {
      await demand({ method: "POST", path: "/farms", body: { farms: [change] } }, [200]);
    },
    removeFarm: (farm) => remove(`/farms/${farm}`),
    removeAddress: (farm, address) => remove(`/farms/${farm}/addresses/${address}`),
    removeBackend: (farm, backend) => remove(`/farms/${farm}/backends/${backend}`),
  };
}

/** nftlb indents by eight spaces, so this begins a farm and nothing that is in one. */
const farmMark = `\n${" ".repeat(16)}{`;

/** What nftlb says of a farm is read once while it says the same: the objects are not to be changed. */
const takeInFarms = rememberPieces({ mark: farmMark }, (farms: HeldFarm[]) => farms);

function parse<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    throw new SteelyardError("command-failed", "nftlb: answered with something that is not JSON", { cause });
  }
}
