import { setTimeout as sleep } from "node:timers/promises";
import { type Machine, makeMachine } from "../adapters/machine.ts";
import { type Client, makeClient } from "../client/client.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import { raiseCard } from "../network/idle/apply.ts";
import type { BondProposal } from "../network/propose-bonds.ts";
import type { LinkStatus } from "../network/status.ts";
import type { SystemStatus } from "../system/status.ts";
import type { Draft } from "./draft.ts";
import { minutesToConfirm, type Trial } from "./keep.ts";
import { testNetwork } from "./network-test.ts";
import { makePrompts } from "./prompts.ts";
import type { AnswersInput } from "./schema.ts";
import { runScreens } from "./screens.ts";
import { type FirstBootState, readFirstBootState } from "./state.ts";
import { openTerminal, type Terminal } from "./terminal.ts";
import { makeTrial } from "./trial.ts";
import { runWizard } from "./wizard.ts";

/** Milliseconds. */
const agentPatience = 300_000;
const linkPatience = 3_000;
const pause = 1_000;

const linksPath = "/api/v1/network/links";

type Console = { machine: Machine; api: Client; terminal: Terminal };

/**
 * `steelyard console`: asks the first-boot questions on a console while they are open, and ends; /usr/lib/steelyard/console shows
 * the status screen after it. Root, on a terminal. Gives back the exit status: 1 when the questions broke off, so that the unit begins again; else 0, also when the agent does
 * not answer, for whoever repairs the box needs the login.
 */
export async function runConsole(): Promise<number> {
  const machine = makeMachine({ log: { info: () => {}, warn: () => {}, error: () => {} } });
  const parts = {
    machine,
    terminal: openTerminal(process.stdin, process.stdout),
    api: makeClient({ socket: machine.path("/run/steelyard/api.sock") }),
  };
  const complain = (error: unknown) => parts.terminal.write(`\n${messageOf(error)}\n\n`);
  try {
    await passFirstBoot(parts);
  } catch (error) {
    complain(error);
    parts.terminal.close();
    return error instanceof SteelyardError && error.code === "not-ready" ? 0 : 1;
  }
  parts.terminal.close();
  return 0;
}

/** Comes back when the box has a configuration, whoever gave it. */
async function passFirstBoot(parts: Console): Promise<void> {
  const { machine } = parts;
  let shown = "";
  const show = (text: string) => {
    if (text !== shown) parts.terminal.write(text);
    shown = text;
  };
  const deadline = machine.now().getTime() + agentPatience;
  for (;;) {
    const state = await readFirstBootState(machine);
    switch (state?.state) {
      case "done":
        return;
      case "waiting-for-answer":
        await answerOrNotice(parts, state, "");
        break;
      case "bad-answer-file":
        await answerOrNotice(parts, state, describeBadFile(state));
        break;
      case "fetching":
        show(`\nFetching ${state.source}; this takes up to two minutes ...\n`);
        await sleep(pause);
        break;
      case "applying":
        show(`\nApplying ${state.source} ...\n`);
        await sleep(pause);
        break;
      case "confirming":
        show("\nThe settings are being tried: another console asks whether they stay ...\n");
        await sleep(pause);
        break;
      default:
        // An agent that came up with a configuration has no first boot to tell of.
        if (await hasConfiguration(parts.api)) return;
        show("\nWaiting for the Steelyard agent ...\n");
        if (machine.now().getTime() > deadline)
          throw new SteelyardError(
            "not-ready",
            "The Steelyard agent does not answer: see journalctl -u steelyard-agent",
          );
        await sleep(pause);
    }
  }
}

async function hasConfiguration(api: Client): Promise<boolean> {
  try {
    const { body } = await api.send<SystemStatus>("GET", "/api/v1/system/status");
    return body.generation > 0;
  } catch {
    return false;
  }
}

export function describeBadFile({ source, problems }: Extract<FirstBootState, { state: "bad-answer-file" }>): string {
  const lines = problems.map(({ line, path, message }) => {
    const place = [line === undefined ? "" : `line ${line}`, path].filter((each) => each !== "").join(", ");
    return `  ${place === "" ? "" : `${place}: `}${message}\n`;
  });
  return [
    `\nThe answer file${source === "" ? "" : ` ${source}`} is wrong:\n`,
    ...lines,
    "\nNothing was configured. Mend the file and connect its disk again: it is read at\n",
    "once. Or press Enter to answer on this console.\n",
  ].join("");
}

/** Asks the questions (after Enter, when there is a notice), until they are answered or the state is another one. */
async function answerOrNotice(parts: Console, state: FirstBootState, notice: string): Promise<void> {
  const { machine, terminal } = parts;
  const moved = new AbortController();
  const watch = makeWatch(machine, moved);
  watch.start(state);
  const questions = {
    readLinks: () => readRaisedLinks(parts),
    proposeBonds: (listen: number) => readProposals(parts, listen),
    testNetwork: (draft: Draft) => testNetwork(machine, draft),
    complete: (answers: AnswersInput) => complete(parts, answers, watch),
  };
  try {
    if (notice !== "") {
      terminal.write(notice);
      await terminal.ask("", moved.signal);
    }
    if (process.env.TERM === "dumb") await runWizard({ terminal, signal: moved.signal, ...questions });
    else {
      // Its dialogue and ours would share what is typed.
      terminal.close();
      await runScreens({ prompts: makePrompts(process.stdin, process.stdout, moved.signal), ...questions });
    }
  } catch (error) {
    const late = error instanceof SteelyardError && error.code === "exists";
    if (!late && !moved.signal.aborted) throw error;
    process.stdout.write("\r\n\r\nThe first boot goes on elsewhere: an answer file or another console.\r\n");
  } finally {
    await watch.stop();
  }
  // The next round begins with a terminal of its own.
  parts.terminal = openTerminal(process.stdin, process.stdout);
  await sleep(pause);
}

type Watch = { start(begun: FirstBootState): void; stop(): Promise<void> };

/** While it runs, it aborts `moved` when the first boot's state is no longer the one it began with. */
function makeWatch(machine: Machine, moved: AbortController): Watch {
  let finished = new AbortController();
  let watching = Promise.resolve();
  const watch = async (begun: FirstBootState, signal: AbortSignal) => {
    while (!signal.aborted) {
      const now = await readFirstBootState(machine).catch(() => begun);
      if (signal.aborted) return;
      if (JSON.stringify(now) !== JSON.stringify(begun)) return moved.abort(new Error("answered elsewhere"));
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  };
  return {
    start(begun) {
      // One watch at a time: a second one, which nobody could stop, would take our own answers for somebody else's.
      finished.abort();
      finished = new AbortController();
      watching = watch(begun, finished.signal);
    },
    async stop() {
      finished.abort();
      await watching;
    },
  };
}

/** Until the answers stay or are gone the state moves because of us; then it is watched again. */
async function complete(parts: Console, answers: AnswersInput, watch: Watch): Promise<Trial> {
  const { machine, api } = parts;
  const before = await readFirstBootState(machine);
  await watch.stop();
  try {
    const query = { confirmWithin: minutesToConfirm };
    const { body } = await api.send<{ generation: number }>("POST", "/api/v1/first-boot", { body: answers, query });
    const trial = makeTrial(machine, api, body.generation);
    return {
      ...trial,
      look: async () => {
        const standing = await trial.look();
        if (standing.state === "gone") watch.start(await waitForQuestions(machine));
        return standing;
      },
    };
  } catch (error) {
    if (before) watch.start(before);
    throw error;
  }
}

/** The agent begins again a moment after it has taken the answers back. */
async function waitForQuestions(machine: Machine): Promise<FirstBootState> {
  for (let tries = 0; ; tries += 1) {
    const state = await readFirstBootState(machine);
    if (state && ((state.state !== "confirming" && state.state !== "done") || tries > 30)) return state;
    await sleep(pause);
  }
}

async function readProposals({ api }: Console, listen: number): Promise<BondProposal[]> {
  const path = "/api/v1/network/bond-proposals";
  return (await api.send<{ items: BondProposal[] }>("GET", path, { query: { listen } })).body.items;
}

/**
 * A card that is down shows no link, so all are raised for the question; no address, and the firewall is closed. Those that nothing uses then
 * are put down by the agent, with the first configuration, whoever gave it.
 */
async function readRaisedLinks({ machine, api }: Console): Promise<LinkStatus[]> {
  const readCards = async () => (await api.sendList<LinkStatus>(linksPath)).filter(({ kind }) => kind === undefined);
  const links = await readCards();
  const down = links.filter(({ state, driver }) => state === "down" && driver !== undefined).map(({ name }) => name);
  if (down.length === 0) return links;
  const found = await machine.netlink.links();
  // One that has just gone is the next look's to tell of.
  for (const card of found.filter(({ name }) => down.includes(name))) await raiseCard(machine, card).catch(() => {});
  await sleep(linkPatience);
  return await readCards();
}
