import { user } from "../access/schema.ts";
import { hostName } from "../configuration/fields.ts";
import { SteelyardError } from "../errors.ts";
import { complainOfPassword, describeFailure, emptyDraft, summarize, toAnswers } from "./draft.ts";
import { askToKeep, type Trial } from "./keep.ts";
import { WentBack } from "./prompts.ts";
import { askDns, askIpv4, askIpv6, testNetwork } from "./screens-addresses.ts";
import { askBonds, askInterface, askVlan } from "./screens-links.ts";
import { complain, type Given, keys, type ScreensOptions, type Step, title } from "./steps.ts";

export type { ScreensOptions } from "./steps.ts";

/** The first-boot questions as screens: Enter goes on, Escape goes back, and nothing is done before the last one says so. */

export async function runScreens(options: ScreensOptions): Promise<void> {
  const steps: Step[] = [
    askHostname,
    askInterface,
    askBonds,
    askVlan,
    askIpv4,
    askIpv6,
    askDns,
    testNetwork,
    askPassword,
    askSsh,
    askTimeZone,
  ];
  let given: Given = { draft: emptyDraft, password: "" };
  for (let at = 0; ; ) {
    const step = steps[at];
    try {
      if (!step) {
        if (await apply(options, given)) return;
        at = 0;
        continue;
      }
      given = await step(options, given);
      at += 1;
    } catch (error) {
      if (!(error instanceof WentBack)) throw error;
      at = Math.max(0, at - 1);
    }
  }
}

const askHostname: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(1, "name"), [
    "This appliance has no configuration yet. Twelve screens make the first one;",
    `the rest is done over the API. ${keys}`,
  ]);
  const hostname = await prompts.text("Host name", draft.hostname, (typed) => complain(hostName, typed.trim()));
  return { ...rest, draft: { ...draft, hostname } };
};

const askPassword: Step = async ({ prompts }, given) => {
  prompts.screen(title(9, "password"), [
    "The administrator's name is admin. At least 10 characters; empty: no password,",
    `an SSH key alone. ${keys}`,
  ]);
  if (given.password !== "" && (await prompts.confirm("Keep the password that was given before?", true))) return given;
  const password = await prompts.secret("Password for admin", (typed) =>
    typed === "" ? undefined : complainOfPassword(typed),
  );
  if (password !== "")
    await prompts.secret("The same again", (typed) => (typed === password ? undefined : "These were not the same"));
  return { ...given, password };
};

const askSsh: Step = async ({ prompts }, { draft, password, ...rest }) => {
  const keyAlone = password === "";
  prompts.screen(
    title(10, "SSH"),
    keyAlone
      ? [
          "Without a password the administrator comes by SSH and with a key, or not at all:",
          `the login here needs one too. ${keys}`,
        ]
      : ["On the management interface. Without it, the box is managed over HTTPS and", `from here. ${keys}`],
  );
  const ssh = keyAlone || (await prompts.confirm("Switch SSH on?", draft.ssh));
  if (!ssh) return { ...rest, password, draft: { ...draft, ssh, sshKeys: [] } };
  const list = user.shape.sshKeys;
  const question = keyAlone ? "SSH key of admin" : "SSH key of admin (empty for the password alone)";
  const key = await prompts.text(question, draft.sshKeys[0] ?? "", (typed) =>
    typed.trim() === "" && !keyAlone ? undefined : complain(list, [typed.trim()]),
  );
  return { ...rest, password, draft: { ...draft, ssh, sshKeys: key === "" ? [] : [key] } };
};

const askTimeZone: Step = async ({ prompts }, { draft, ...rest }) => {
  prompts.screen(title(11, "time zone"), ["Of logs on the box. Type a part of its name, the arrows choose.", keys]);
  const zones = ["UTC", ...Intl.supportedValuesOf("timeZone").filter((each) => each !== "UTC")];
  const timeZone = await prompts.search("Time zone", zones, draft.timeZone);
  return { ...rest, draft: { ...draft, timeZone } };
};

/** True when the box has its configuration; false begins again with the answers as presets. */
async function apply({ prompts, complete, interval }: ScreensOptions, { draft, password }: Given): Promise<boolean> {
  prompts.screen(title(12, "summary"), summarize(draft, password).trimEnd().split("\n"));
  const next = await prompts.choose("Use these settings?", [
    { value: "apply", label: "apply" },
    { value: "change", label: "go through them again" },
  ]);
  if (next === "change") return false;
  prompts.screen("first boot", ["Applying the settings. This can take a minute."]);
  let trial: Trial;
  try {
    trial = await complete(toAnswers(draft, password));
  } catch (error) {
    if (error instanceof SteelyardError && error.code === "exists") throw error;
    prompts.screen("first boot", ["The settings could not be used:", ...describeFailure(error).trimEnd().split("\n")]);
    await prompts.choose("And now?", [{ value: "again", label: "change them" }]);
    return false;
  }
  if (await askToKeep(prompts, trial, interval)) return true;
  prompts.screen("first boot", ["The settings were taken back, and the box has no configuration again."]);
  await prompts.choose("And now?", [{ value: "again", label: "change them" }]);
  return false;
}
