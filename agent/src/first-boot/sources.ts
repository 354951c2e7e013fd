import { setTimeout as sleep } from "node:timers/promises";
import { fetchFile } from "../adapters/fetch.ts";
import { readTextIfExists } from "../adapters/files.ts";
import type { Machine } from "../adapters/machine.ts";
import { SteelyardError } from "../errors.ts";
import { greatestAnswerFile } from "./answer-file.ts";
import { answersOption, completeLocation, findLocation, hashOf, type Location } from "./location.ts";
import { type AnswerFile, findVolume, readVolume } from "./media.ts";
import { usualPatience, withTemporaryNetwork } from "./temporary-network.ts";

/** Where answers come from, in the order in which they are looked for: the first that has any is the one. */

export type SourceOptions = {
  machine: Machine;
  signal?: AbortSignal | undefined;
  /** Told before something that takes its time. */
  onFetch(source: string): Promise<unknown>;
  /** Milliseconds, where tests want it soon. */
  patience?: typeof usualPatience;
};

/** Each call looks again; what was read and has not changed is not read again. */
export function makeSources(options: SourceOptions): () => Promise<AnswerFile | undefined> {
  const readers = [makeVolumeReader(options), makeServerReader(options), makeCredentialReader(options)];
  return async () => {
    for (const read of readers) {
      const file = await read();
      if (file) return file;
    }
    return undefined;
  };
}

/** Reads a volume once for each disk that comes into the drive. */
function makeVolumeReader({ machine }: SourceOptions): () => Promise<AnswerFile | undefined> {
  let known = "";
  let file: AnswerFile | undefined;
  return async () => {
    const volume = await findVolume(machine);
    const key = volume ? `${volume.device} ${volume.sequence}` : "";
    if (key === known) return file;
    file = volume && (await readVolume(machine, volume));
    known = key;
    if (volume && !file)
      machine.log.info(`first boot: ${volume.device} (${volume.label}) has no user-data that begins with #steelyard`);
    return file;
  };
}

/** Milliseconds for one request, and how many there are at most: a server may start together with the box. */
const requestTimeout = 20_000;
const greatestTries = 4;

/**
 * Asks the server once in a boot, since it takes a network that nobody configured: after that the box waits for a volume, a
 * person or the next boot. A failure is thrown at each look, so that it stays told.
 */
function makeServerReader(options: SourceOptions): () => Promise<AnswerFile | undefined> {
  const { machine, signal, onFetch, patience = usualPatience } = options;
  let done: { file: AnswerFile } | { error: unknown } | undefined;
  return async () => {
    if (!done) {
      const location = await findLocation(machine);
      if (!location) return undefined;
      const from = location.url?.host ?? `DHCP option ${answersOption}`;
      await onFetch(`answers from ${from} (${location.origin})`);
      const isWanted = { option: location.url === undefined, signal, patience };
      const work = withTemporaryNetwork(machine, isWanted, ({ option }) =>
        fetchAnswers(locate(location, option), patience.request),
      );
      done = await work.then(
        (file) => ({ file }),
        (error) => ({ error }),
      );
    }
    if ("error" in done) throw done.error;
    return done.file;
  };
}

function locate(location: Location, option: string | undefined): Location {
  if (location.url) return location;
  if (option !== undefined) return completeLocation(location, option);
  throw refuse(`no DHCP server sent option ${answersOption} with the address of the answers`);
}

async function fetchAnswers(
  { url, content, certificate, proxy, origin }: Location,
  pause: number,
): Promise<AnswerFile> {
  for (let tries = 1; ; tries += 1) {
    try {
      const options = { timeout: requestTimeout, limit: greatestAnswerFile, certificate };
      const body = await fetchFile(url?.href ?? "", { ...options, proxy: { url: proxy, bypass: [] } });
      const found = hashOf(body);
      if (content !== undefined && found !== content)
        throw refuse(`the file has the SHA-256 ${found}, not the pinned one`);
      return { source: `answers from ${url?.host} (${origin})`, text: body.toString("utf8"), hostname: undefined };
    } catch (error) {
      // A file or a certificate that is not the pinned one does not become it.
      if (tries >= greatestTries || !(error instanceof SteelyardError) || error.code === "bad-input") throw error;
      if (/not the pinned one/.test(error.message)) throw error;
      await sleep(pause);
    }
  }
}

function refuse(message: string): SteelyardError {
  return new SteelyardError("bad-input", message, { problems: [{ path: "", message }] });
}

/** systemd hands credentials of this name to the agent's unit (ImportCredential=), from wherever they came: systemd.system-credentials(7). */
const credential = "/run/credentials/steelyard-agent.service/steelyard.answers";

function makeCredentialReader({ machine }: SourceOptions): () => Promise<AnswerFile | undefined> {
  return async () => {
    const text = await readTextIfExists(machine.path(credential));
    if (text === undefined) return undefined;
    if (Buffer.byteLength(text) > greatestAnswerFile) throw refuse("expected the credential to have at most 1 MiB");
    return { source: "systemd credential steelyard.answers", text, hostname: undefined };
  };
}
