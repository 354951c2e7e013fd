import type { Lab } from "../lab/enter.ts";
import { front } from "../lab/plan.ts";
import { report } from "../progress.ts";
import { VirtualMachine, type VirtualMachineOptions } from "../vm/virtual-machine.ts";
import { InVainError, waitFor } from "../wait.ts";
import { makeAnswerFile, makePassword } from "./answer-file.ts";
import { Api, type ApiTarget } from "./api.ts";

export const managementPort = 444;

const certificate = "/config/local/api/certificate.pem";

export type BoxOptions = VirtualMachineOptions & {
  /** No answer file: the console asks. */
  blank?: boolean;
};

/** A Steelyard in the lab: the virtual machine, and the API once it serves. */
export class Box {
  readonly machine: VirtualMachine;
  readonly password: string;
  /** Told the seconds of every boot, from power on to an API that serves. */
  onBoot: ((seconds: number) => void) | undefined;
  #api: Api | undefined;
  #fingerprint: string | undefined;

  private constructor(machine: VirtualMachine, password: string) {
    this.machine = machine;
    this.password = password;
  }

  /** A box with the lab's answer file, unless another or a disc is given; off. */
  static async create(lab: Lab, { blank = false, ...options }: BoxOptions): Promise<Box> {
    const password = makePassword();
    const answers = blank || options.disc ? {} : { answerFile: makeAnswerFile(password, "lb1") };
    return new Box(await VirtualMachine.create(lab, { ...answers, ...options }), password);
  }

  get api(): Api {
    if (!this.#api) throw new Error(`${this.machine.name}: nobody logged in yet`);
    return this.#api;
  }

  /** SHA-256 of the API's certificate, as the guest's root knows it. What the console shows is a check of its own. */
  get fingerprint(): string {
    return this.#fingerprint ?? "";
  }

  /** Turns the box on, and waits until its API answers an authenticated request. Returns the seconds from power on. */
  async boot(): Promise<number> {
    const begin = Date.now();
    await this.machine.start();
    await this.waitUntilServing();
    const seconds = (Date.now() - begin) / 1000;
    this.onBoot?.(seconds);
    return seconds;
  }

  /** Waits for the certificate and the API, and logs in. Also after a reboot or a restart of the agent. */
  async waitUntilServing(): Promise<void> {
    const { machine } = this;
    const timeout = machine.scale(40_000);
    this.#fingerprint ??= await this.#explain(
      waitFor("the certificate of the API", () => this.#readFingerprint(), { timeout, interval: 1_000 }),
    );
    this.#api?.close();
    this.#api = this.newApi();
    const login = () => this.api.login("admin", this.password).then(() => true);
    await this.#explain(waitFor("a login at the API", login, { timeout, interval: 1_000 }));
    report(`${machine.name}: the API serves`);
  }

  /** A client without a session. */
  newApi(more: Partial<ApiTarget> = {}): Api {
    const timeout = this.machine.scale(5_000);
    return new Api({ address: front.box.ipv4, port: managementPort, fingerprint: this.fingerprint, timeout, ...more });
  }

  async #readFingerprint(): Promise<string | undefined> {
    if (!this.machine.running) throw new InVainError("QEMU ended");
    const text = await this.machine.serialText();
    const verdict = /^.*(?:Kernel panic|emergency mode|Failed to start .*steelyard-agent\.service).*$/m.exec(text);
    if (verdict) throw new InVainError(`the boot failed: ${verdict[0].trim()}`);
    const command = ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"];
    return findFingerprint((await this.machine.guest(command, this.machine.scale(5_000))).stdout);
  }

  async #explain<Value>(promise: Promise<Value>): Promise<Value> {
    try {
      return await promise;
    } catch (error) {
      await this.machine.saveJournal();
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.machine.name}: ${words}\n${this.machine.describeLogs()}`, { cause: error });
    }
  }
}

/** The last SHA-256 fingerprint in a console's text: 32 bytes in hexadecimal with colons, perhaps on two lines. */
export function findFingerprint(text: string): string | undefined {
  const found = text.match(/\b(?:[0-9A-Fa-f]{2}:\s*){31}[0-9A-Fa-f]{2}\b/g);
  return found?.at(-1)?.replace(/\s/g, "");
}
