import { report } from "../src/progress.ts";
import type { Suite, SuiteContext } from "../src/suite.ts";
import { SerialDialogue } from "../src/vm/serial-dialogue.ts";
import { VirtualMachine } from "../src/vm/virtual-machine.ts";
import { waitFor } from "../src/wait.ts";

const password = "seventeen brass weights";

/** A box whose password is lost, and one that becomes the template of others. The last of its machine: it ends powered off. */
export const recovery: Suite = {
  name: "recovery",
  machine: "uefi",
  run: async (context) => {
    await checkPassword(context);
    // Two boots, some minutes: in the long run alone.
    if (context.all) await checkSeal(context);
  },
};

const [enter, down, clear] = ["\r", "\x1b[B", "\x15"];

async function checkPassword({ box, check }: SuiteContext): Promise<void> {
  const { machine, api } = box;
  const soon = machine.scale(15_000);
  await check("a lost password is reset by whoever is at the console and sees its screen", async (t) => {
    const dialogue = await SerialDialogue.open(machine.serialSocket);
    try {
      await dialogue.press("m");
      await dialogue.see(/What shall be done/, soon);
      await dialogue.press(down, down, enter);
      const screen = await dialogue.see(/type: [0-9a-f]{8}/, soon);
      await dialogue.press("00000000", enter);
      await dialogue.see(/Expected the word above/, soon);
      await dialogue.press(clear, /type: ([0-9a-f]{8})/.exec(screen)?.[1] ?? "", enter);
      await dialogue.see(/New password for admin/, soon);
      await dialogue.press("password123", enter);
      await dialogue.see(/Expected a password that is not among/, soon);
      await dialogue.press(clear, password, enter);
      await dialogue.see(/The same again/, soon);
      await dialogue.press(password, enter);
      await dialogue.see(/admin has the new password/, soon);
    } finally {
      dialogue.close();
    }
    t.notOk((await machine.serialText()).includes(password), "it was never shown");
    t.equal((await api.send("GET", "/system")).status, 401, "sessions of before have ended");
    t.equal((await api.send("POST", "/sessions", { body: { user: "admin", password: box.password } })).status, 401);
    await api.login("admin", password);
    t.match((await api.get("/system/status")).problems.join(), /password/, "the health of the box tells");
    t.match(await machine.shell("steelyard config history | head -3"), /reset the password of admin at the console/);
  });
}

type Identity = { machineId: string; hostKey: string; certificate: string };

async function readIdentity(machine: VirtualMachine): Promise<Identity> {
  const words = await machine.shell(
    [
      "cat /etc/machine-id",
      "cut -d' ' -f2 /config/local/ssh/ssh_host_ed25519_key.pub",
      "openssl x509 -in /config/local/api/certificate.pem -noout -fingerprint -sha256 | cut -d= -f2",
    ].join(" && "),
    machine.scale(5_000),
  );
  const [machineId = "", hostKey = "", certificate = ""] = words.split("\n");
  return { machineId, hostKey, certificate };
}

/** Starts a copy of a sealed disk, until its API takes the password that the template had. */
async function startCopy(context: SuiteContext, name: string): Promise<Identity> {
  const { lab, box } = context;
  const { accelerator, disk } = box.machine;
  const copy = await VirtualMachine.create(lab, { name, image: disk, accelerator, firmware: "uefi" });
  const begin = Date.now();
  await copy.start();
  try {
    const patience = { timeout: copy.scale(40_000), interval: 1_000 };
    const identity = await waitFor("the identity of the copy", () => readIdentity(copy), patience);
    const login = async () => {
      const api = box.newApi({ fingerprint: identity.certificate });
      await api.login("admin", password).finally(() => api.close());
      return true;
    };
    await waitFor("a login at the copy", login, patience);
    report(`recovery: ${name} serves ${Math.round((Date.now() - begin) / 1000)} s after power on`);
    return identity;
  } catch (error) {
    await copy.saveJournal();
    throw new Error(`${error instanceof Error ? error.message : error}\n${copy.describeLogs()}`, { cause: error });
  } finally {
    await copy.cutPower();
  }
}

async function checkSeal(context: SuiteContext): Promise<void> {
  const { box, check } = context;
  const { machine, api } = box;
  await check("copies of a sealed disk serve as it did, each with an identity of its own", async (t) => {
    await api.expect(200, "PATCH", "/system?confirmWithin=0", { body: { ssh: { enabled: true } } });
    const patience = { timeout: machine.scale(20_000) };
    const template = await waitFor("the identity of the template", () => readIdentity(machine), patience);
    // The channel goes down with the box, so the answer may not come.
    machine.guest(["steelyard", "seal", "--yes", "--keep-configuration"], machine.scale(20_000)).catch(() => undefined);
    await waitFor("the box to power off", async () => !machine.running, { timeout: machine.scale(30_000) });
    const identities = [template, await startCopy(context, "copy1"), await startCopy(context, "copy2")];
    for (const part of ["machineId", "hostKey", "certificate"] as const) {
      const values = identities.map((each) => each[part]);
      t.equal(new Set(values).size, 3, `${part}: ${values.join(", ")}`);
      t.ok(
        values.every((value) => value.length >= 32),
        part,
      );
    }
  });
}
