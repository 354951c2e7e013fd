import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Lab } from "../lab/enter.ts";
import { inNamespace } from "../lab/namespaces.ts";
import { report } from "../progress.ts";
import { InVainError, waitFor } from "../wait.ts";
import { chooseProcessors, scaleTimeout } from "./accelerator.ts";
import { type Accelerator, discDriveId, type Hardware, type MachineDescription, qemuArguments } from "./arguments.ts";
import { GuestChannel, type GuestResult } from "./channel.ts";
import { crossedPairs } from "./crossed-cards.ts";
import { burnDisc, type Disc } from "./disc.ts";
import { createAnswerDisk, createOverlay, prepareUefi } from "./disk.ts";
import { findEmulator } from "./emulator.ts";
import { Qmp } from "./qmp.ts";
import { type SerialFinding, scanSerial, stripControl } from "./serial-scan.ts";

export type VirtualMachineOptions = {
  name: string;
  image: string;
  accelerator: Accelerator;
  firmware: "bios" | "uefi";
  hardware?: Hardware;
  answerFile?: string;
  /** How the machine gets it: on a disk of its own unless told, or as a credential in SMBIOS (systemd.system-credentials(7)). */
  answersBy?: "disk" | "credential";
  /** Gives the machine a CD-ROM drive with this disc in it. */
  disc?: Disc;
  /** How many pairs of cards the machine has beside the lab's that are wired to each other. */
  crossedPairs?: number;
  /** Whether it has cards towards the lab's routers. */
  uplinkCards?: boolean;
  memoryMegabytes?: number;
  processors?: number;
  directKernel?: MachineDescription["directKernel"];
  kernelArguments?: string;
};

/** One box of the lab: its disk outlives starts and stops, so it can lose power and come back. */
export class VirtualMachine {
  readonly name: string;
  readonly accelerator: Accelerator;
  readonly logs: { serial: string; journal: string; qemu: string };
  readonly #lab: Lab;
  readonly #description: MachineDescription;
  #serialStart = 0;
  #discs = 1;
  #process: ChildProcess | undefined;
  #channel: GuestChannel | undefined;
  #qmp: Qmp | undefined;

  private constructor(lab: Lab, description: MachineDescription) {
    this.name = description.name;
    this.accelerator = description.accelerator;
    this.#lab = lab;
    this.#description = description;
    this.logs = {
      serial: description.serialLog,
      journal: join(lab.logs, `${description.name}-journal.log`),
      qemu: join(lab.logs, `${description.name}-qemu.log`),
    };
  }

  /** Prepares disks and firmware; {@link start} turns it on. */
  static async create(lab: Lab, options: VirtualMachineOptions): Promise<VirtualMachine> {
    const directory = join(lab.directory, options.name);
    await mkdir(directory, { recursive: true });
    const disk = join(directory, "disk.qcow2");
    await createOverlay(options.image, disk);
    const answerDisk = join(directory, "answer.img");
    const { answerFile, answersBy = "disk" } = options;
    if (answerFile !== undefined && answersBy === "disk") await createAnswerDisk(answerDisk, answerFile);
    const disc = join(directory, "disc-1.iso");
    if (options.disc !== undefined) await burnDisc(disc, options.disc);
    return new VirtualMachine(lab, {
      name: options.name,
      accelerator: options.accelerator,
      memoryMegabytes: options.memoryMegabytes ?? 1024,
      processors: options.processors ?? (await chooseProcessors(options.accelerator)),
      disk,
      hardware: options.hardware ?? "virtual",
      ...(options.firmware === "uefi" ? { uefi: await prepareUefi(directory) } : {}),
      ...(answerFile === undefined ? {} : answersBy === "disk" ? { answerDisk } : { answerCredential: answerFile }),
      ...(options.disc === undefined ? {} : { disc }),
      sockets: {
        qmp: join(lab.sockets, `${options.name}-qmp`),
        channel: join(lab.sockets, `${options.name}-channel`),
        serial: join(lab.sockets, `${options.name}-serial`),
      },
      serialLog: join(lab.logs, `${options.name}-serial.log`),
      ...(options.crossedPairs === undefined
        ? {}
        : { crossed: crossedPairs(lab.sockets, options.name, options.crossedPairs) }),
      ...(options.uplinkCards === undefined ? {} : { uplinkCards: options.uplinkCards }),
      ...(options.kernelArguments === undefined ? {} : { kernelArguments: options.kernelArguments }),
      ...(options.directKernel ? { directKernel: options.directKernel } : {}),
    });
  }

  /** Path of the socket that is the serial console, for a person or a test that types. */
  get serialSocket(): string {
    return this.#description.sockets.serial;
  }

  /** Path of the disk. Only while the machine is off may it be looked into. */
  get disk(): string {
    return this.#description.disk;
  }

  get running(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Milliseconds a thing may take here, from what it may take under KVM. */
  scale(milliseconds: number): number {
    return scaleTimeout(this.accelerator, milliseconds);
  }

  async start(): Promise<void> {
    if (this.running) throw new Error(`${this.name} runs already`);
    const { sockets } = this.#description;
    const ends = (this.#description.crossed ?? []).flatMap(({ near, far }) => [near.socket, far.socket]);
    for (const socket of [...Object.values(sockets), ...ends]) await rm(socket, { force: true });
    this.#serialStart = await stat(this.logs.serial).then(
      ({ size }) => size,
      () => 0,
    );
    const argv = [...(await findEmulator()).command, ...qemuArguments(this.#description)];
    const [file, ...rest] = inNamespace(this.#lab.id, "switch", argv);
    const qemu = spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = qemu;
    const log = createWriteStream(this.logs.qemu, { flags: "a" });
    qemu.stdout.pipe(log, { end: false });
    qemu.stderr.pipe(log, { end: false });
    report(`${this.name}: power on (${this.accelerator}, ${this.#description.uefi ? "UEFI" : "BIOS"})`);
    this.#qmp = await this.#whileRunning("QEMU's control socket", () => Qmp.connect(sockets.qmp), 20_000);
    this.#channel = await this.#whileRunning("the test channel", () => GuestChannel.connect(sockets.channel), 20_000);
  }

  /** Waits until the guest answers on the test channel. */
  async waitForGuest(): Promise<void> {
    // The port holds what comes before the guest opens it; a question lost in a reset is asked again.
    await this.#whileRunning("the guest's test channel", () => this.guest(["true"], 10_000), this.scale(60_000));
    report(`${this.name}: the guest answers`);
  }

  /** Runs a command as root in the guest. Fails on an exit status that is not accepted. */
  async run(argv: readonly string[], options: { timeout?: number; accept?: number[] } = {}): Promise<GuestResult> {
    const result = await this.guest(argv, options.timeout ?? this.scale(10_000));
    if (!(options.accept ?? [0]).includes(result.code)) {
      const words = (result.stderr || result.stdout).trim();
      throw new Error(`${this.name}: ${argv.join(" ")}: exit status ${result.code}: ${words}\n${this.describeLogs()}`);
    }
    return result;
  }

  /** Standard output of a shell line in the guest, trimmed. */
  async shell(line: string, timeout?: number): Promise<string> {
    const options = timeout === undefined ? {} : { timeout };
    return (await this.run(["/bin/sh", "-c", line], options)).stdout.trim();
  }

  async guest(argv: readonly string[], timeout: number): Promise<GuestResult> {
    if (!this.#channel) throw new Error(`${this.name} is off`);
    return this.#channel.ask(argv, timeout);
  }

  get qmp(): Qmp {
    if (!this.#qmp) throw new Error(`${this.name} is off`);
    return this.#qmp;
  }

  /** Puts the cable of a card in or takes it out: the card by the id of its netdev. */
  async setLink(name: string, up: boolean): Promise<void> {
    await this.qmp.execute("set_link", { name, up });
  }

  /** Ends QEMU with SIGKILL: the box loses power. */
  async cutPower(): Promise<void> {
    if (!this.#process) return;
    const ended = this.running ? once(this.#process, "exit") : undefined;
    this.#process.kill("SIGKILL");
    await ended;
    this.#forget();
  }

  /** Presses the power button and waits; a guest that does not go down in time loses power. */
  async shutDown(): Promise<void> {
    if (!this.running || !this.#process) return this.#forget();
    const ended = once(this.#process, "exit");
    await this.qmp.execute("system_powerdown");
    const timer = setTimeout(() => this.#process?.kill("SIGKILL"), this.scale(20_000));
    await ended;
    clearTimeout(timer);
    this.#forget();
  }

  /** At the next power on the cards sit in each other's slots. */
  swapCards(): void {
    this.#description.swappedCards = !this.#description.swappedCards;
  }

  /** Changes the disc in the drive of the running machine, as an operator does in a hypervisor's window. */
  async changeDisc(disc: Disc): Promise<void> {
    const image = join(dirname(this.disk), `disc-${++this.#discs}.iso`);
    await burnDisc(image, disc);
    await this.qmp.execute("blockdev-change-medium", { id: discDriveId, filename: image, format: "raw", force: true });
  }

  async serialText(): Promise<string> {
    return stripControl(await readFile(this.logs.serial, "utf8").catch(() => ""));
  }

  /** Trouble on the serial console since power on. */
  async serialFindings(): Promise<SerialFinding[]> {
    return scanSerial((await readFile(this.logs.serial, "latin1").catch(() => "")).slice(this.#serialStart));
  }

  /** Brings the guest's journal to the host. Called after a failure and at the end; a guest that does not answer has none to give. */
  async saveJournal(): Promise<void> {
    if (!this.running) return;
    const command = "journalctl --boot --no-pager --output=short-monotonic | tail -n 4000";
    const result = await this.guest(["/bin/sh", "-c", command], this.scale(15_000)).catch(() => undefined);
    if (result) await writeFile(this.logs.journal, result.stdout);
  }

  describeLogs(): string {
    return `logs: ${this.logs.serial} ${this.logs.journal} ${this.logs.qemu}`;
  }

  #forget(): void {
    this.#channel?.close();
    this.#qmp?.close();
    this.#channel = undefined;
    this.#qmp = undefined;
    this.#process = undefined;
  }

  async #whileRunning<Value>(what: string, probe: () => Promise<Value>, timeout: number): Promise<Value> {
    try {
      const guarded = () => {
        if (!this.running) throw new InVainError("QEMU ended");
        return probe();
      };
      return await waitFor(what, guarded, { timeout, interval: 200 });
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.name}: ${words}\n${this.describeLogs()}`, { cause: error });
    }
  }
}
