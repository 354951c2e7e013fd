import { makeMachine } from "../adapters/machine.ts";
import { readManagementFingerprint } from "../certificates/management.ts";
import { type Client, makeClient } from "../client/client.ts";
import { messageOf, SteelyardError } from "../errors.ts";
import type { System } from "../system/schema.ts";
import { complainOfPassword } from "./draft.ts";
import { fold, makePrompts, type Prompts, WentBack } from "./prompts.ts";

/**
 * `steelyard console --menu`: what whoever stands at the box can do. All of it but the reset of the password is done with a
 * login of that person's own, over HTTPS like from anywhere else: with its rights, its second factor and its name in the audit log.
 */

/** The exit status that asks for the login. */
const toLogin = 10;

export type MenuParts = {
  prompts: Prompts;
  /** As root of the box: only to reset the password, and to read what the status screen shows anyway. */
  local: Client;
  /** A client with the session of whoever proves to be somebody. */
  connect(token?: string): Promise<Client>;
  randomBytes(size: number): Buffer;
};

export async function runMenu(): Promise<number> {
  const machine = makeMachine({ log: { info: () => {}, warn: () => {}, error: () => {} } });
  const local = makeClient({ socket: machine.path("/run/steelyard/api.sock") });
  const prompts = makePrompts(process.stdin, process.stdout);
  const connect = async (token?: string) => {
    const { port } = (await local.send<System>("GET", "/api/v1/system")).body.management;
    const fingerprint = await readManagementFingerprint(machine);
    const own = { socket: "", url: `https://127.0.0.1:${port}`, ...(fingerprint === undefined ? {} : { fingerprint }) };
    return makeClient({ ...own, ...(token === undefined ? {} : { token }) });
  };
  return await showMenu({ prompts, local, connect, randomBytes: machine.randomBytes });
}

const actions = {
  "roll-back": rollBack,
  restart: (parts: MenuParts) => switchOff(parts, "restart"),
  "power-off": (parts: MenuParts) => switchOff(parts, "power off"),
  password: resetPassword,
  factory: resetToFactory,
};

export async function showMenu(parts: MenuParts): Promise<number> {
  for (;;) {
    parts.prompts.screen("menu", ["Escape leads back to the status screen."]);
    try {
      const chosen = await parts.prompts.choose("What shall be done?", [
        { value: "log-in", label: "log in: a shell for administrators" },
        { value: "roll-back", label: "roll back the configuration" },
        { value: "password", label: "reset the administrator's password" },
        { value: "factory", label: "reset to the factory state" },
        { value: "restart", label: "restart" },
        { value: "power-off", label: "power off" },
        { value: "leave", label: "back to the status screen" },
      ]);
      if (chosen === "log-in") return toLogin;
      if (chosen === "leave") return 0;
      await act(parts, actions[chosen as keyof typeof actions]);
    } catch (error) {
      if (error instanceof WentBack) return 0;
      throw error;
    }
  }
}

/** Says how it went, and waits for Enter. */
async function act(parts: MenuParts, action: (parts: MenuParts) => Promise<string>): Promise<void> {
  let words: string;
  try {
    words = await action(parts);
  } catch (error) {
    if (error instanceof WentBack) return;
    words = `It was not done: ${messageOf(error)}`;
  }
  parts.prompts.screen("menu", fold(words));
  await parts.prompts.choose("", [{ value: "on", label: "back to the menu" }]).catch(() => undefined);
}

/** A session of somebody who may do it; with the second factor where there is one. */
async function logIn({ prompts, connect }: MenuParts, what: string): Promise<Client> {
  prompts.screen(what, ["Only for whoever may do this: log in."]);
  const user = await prompts.text("User", "admin", (typed) => (typed.trim() === "" ? "Expected a name" : undefined));
  const password = await prompts.secret("Password", () => undefined);
  const client = await connect();
  try {
    const { body } = await client.send<{ token: string }>("POST", "/api/v1/sessions", { body: { user, password } });
    return await connect(body.token);
  } catch (error) {
    const challenge = challengeOf(error);
    if (challenge === undefined) throw error;
    const code = await prompts.text("Code of the second factor", "", () => undefined);
    const { body } = await client.send<{ token: string }>("POST", "/api/v1/sessions", { body: { challenge, code } });
    return await connect(body.token);
  }
}

/** The client puts the whole answer into the cause of its error. */
function challengeOf(error: unknown): string | undefined {
  if (!(error instanceof SteelyardError) || error.code !== "second-factor-required") return undefined;
  const { challenge } = (error.cause ?? {}) as { challenge?: unknown };
  return typeof challenge === "string" ? challenge : undefined;
}

type Generation = { generation: number; time: string; author: string; message: string };

async function rollBack(parts: MenuParts): Promise<string> {
  const { prompts } = parts;
  const client = await logIn(parts, "roll back the configuration");
  const path = "/api/v1/configuration/generations";
  const { items } = (await client.send<{ items: Generation[] }>("GET", path, { query: { limit: 21 } })).body;
  const [, ...older] = items;
  if (older.length === 0) return "There is no older generation.";
  prompts.screen("roll back the configuration", ["The newest first. What is chosen becomes a new generation."]);
  const chosen = await prompts.choose(
    "Back to which?",
    older.map(({ generation, time, author, message }) => ({
      value: String(generation),
      label: `${generation}  ${time.slice(0, 16).replace("T", " ")}  ${author}  ${message}`.slice(0, 70),
    })),
  );
  if (!(await prompts.confirm(`Roll back to generation ${chosen}?`, false))) throw new WentBack();
  const body = { generation: Number(chosen) };
  const done = await client.send("POST", "/api/v1/configuration/rollback", { body, query: { confirmWithin: 0 } });
  return `The configuration is that of generation ${chosen} again, as generation ${done.generation ?? "?"}.`;
}

async function switchOff(parts: MenuParts, what: "restart" | "power off"): Promise<string> {
  // Whoever is here can pull the plug; a question keeps a stray key from doing so.
  parts.prompts.screen(what, ["Traffic stops at once."]);
  if (!(await parts.prompts.confirm(`${what.charAt(0).toUpperCase()}${what.slice(1)} this box?`, false)))
    throw new WentBack();
  const machine = makeMachine();
  await machine.run(["systemctl", "--no-ask-password", what === "restart" ? "reboot" : "poweroff"]);
  return "The box goes down.";
}

/** Physical presence: this console, minutes after a start, and a word that only its screen shows. */
async function resetPassword({ prompts, local, randomBytes }: MenuParts): Promise<string> {
  const { body: state } = await local.send<{ possible: boolean; reason?: string }>("GET", "/api/v1/recovery/password");
  if (!state.possible) return `The password cannot be reset now: ${state.reason ?? ""}.`;
  const word = randomBytes(4).toString("hex");
  prompts.screen("reset the administrator's password", [
    "The new password is for admin, whose sessions and second factor end. It is told",
    "in the audit log, in the history, as an event and in the health of the box.",
    "",
    `To show that somebody sees this screen, type: ${word}`,
  ]);
  await prompts.text("The word above", "", (typed) => (typed.trim() === word ? undefined : "Expected the word above"));
  const password = await prompts.secret("New password for admin", complainOfPassword);
  await prompts.secret("The same again", (typed) => (typed === password ? undefined : "These were not the same"));
  await local.send("POST", "/api/v1/recovery/password", { body: { password } });
  return "admin has the new password.";
}

async function resetToFactory(parts: MenuParts): Promise<string> {
  const { prompts } = parts;
  const client = await logIn(parts, "reset to the factory state");
  const { hostname } = (await client.send<System>("GET", "/api/v1/system")).body;
  prompts.screen("reset to the factory state", [
    "Configuration, users, keys, logs and backups on the box go. There is no way back.",
  ]);
  await prompts.text(`To reset it, type the name of this box (${hostname})`, "", (typed) =>
    typed.trim() === hostname ? undefined : "Expected the name of this box",
  );
  const { body } = await client.send<{ message: string }>("POST", "/api/v1/system/factory-reset", {
    body: { hostname, keep: [] },
  });
  return body.message;
}
