import { parse, stringify } from "yaml";
import { makeAnswerFile, makePassword } from "../../../qemu-tests/src/box/answer-file.ts";
import { Api } from "../../../qemu-tests/src/box/api.ts";
import { findFingerprint, managementPort } from "../../../qemu-tests/src/box/box.ts";
import type { Lab } from "../../../qemu-tests/src/lab/enter.ts";
import { front } from "../../../qemu-tests/src/lab/plan.ts";
import { VirtualMachine, type VirtualMachineOptions } from "../../../qemu-tests/src/vm/virtual-machine.ts";
import { InVainError, waitFor } from "../../../qemu-tests/src/wait.ts";
import { toConfiguration } from "../farms.ts";
import type { HandFarm } from "../peers/nft-rules.ts";

export type BenchBoxOptions = Omit<VirtualMachineOptions, "answerFile"> & { farms: readonly HandFarm[] };

/** A box whose answer file brings farms: 250 of them by single API calls would take longer than all that is measured. */
export class BenchBox {
  readonly machine: VirtualMachine;
  readonly #password: string;
  #api: Api | undefined;

  private constructor(machine: VirtualMachine, password: string) {
    this.machine = machine;
    this.#password = password;
  }

  static async create(lab: Lab, { farms, ...options }: BenchBoxOptions): Promise<BenchBox> {
    const password = makePassword();
    const answers = parse(makeAnswerFile(password, "bench")) as Record<string, unknown>;
    answers.farms = Object.fromEntries(farms.map((farm) => [farm.name, toConfiguration(farm)]));
    const answerFile = `#steelyard\n${stringify(answers)}`;
    return new BenchBox(await VirtualMachine.create(lab, { ...options, answerFile }), password);
  }

  get api(): Api {
    if (!this.#api) throw new Error(`${this.machine.name}: nobody logged in yet`);
    return this.#api;
  }

  /** Waits for the certificate's fingerprint on the console and for a login; `timeout` as under KVM. */
  async waitUntilServing(timeout = 60_000): Promise<void> {
    const { machine } = this;
    const patience = { timeout: machine.scale(timeout), interval: 1_000 };
    const read = async () => findFingerprint(await readConsole(machine));
    try {
      const fingerprint = await waitFor("the certificate's fingerprint on the console", read, patience);
      const target = { address: front.box.ipv4, port: managementPort, fingerprint, timeout: machine.scale(20_000) };
      this.#api?.close();
      this.#api = new Api(target);
      const login = () => this.api.login("admin", this.#password).then(() => true);
      await waitFor("a login at the API", login, patience);
    } catch (error) {
      await machine.saveJournal();
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${machine.name}: ${words}\n${machine.describeLogs()}`, { cause: error });
    }
  }

  async stop(): Promise<void> {
    this.#api?.close();
    await this.machine.cutPower();
  }
}

/** What the console says so far. Throws `InVainError` when the boot has failed: then nothing more will come. */
export async function readConsole(machine: VirtualMachine): Promise<string> {
  if (!machine.running) throw new InVainError("QEMU ended");
  const text = await machine.serialText();
  const verdict = /^.*(?:Kernel panic|emergency mode|Failed to start .*steelyard-agent\.service).*$/m.exec(text);
  if (verdict) throw new InVainError(`the boot failed: ${verdict[0].trim()}`);
  return text;
}
