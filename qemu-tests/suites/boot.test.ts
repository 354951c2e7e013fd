import type { Test } from "tap";
import { interfaces } from "../src/box/answer-file.ts";
import { managementPort } from "../src/box/box.ts";
import { ask, makeFarm } from "../src/box/farms.ts";
import { readExposure } from "../src/box/units.ts";
import { inNamespace } from "../src/lab/namespaces.ts";
import { back, front, virtualAddresses } from "../src/lab/plan.ts";
import { runCommand } from "../src/run-command.ts";
import type { SuiteContext } from "../src/suite.ts";
import { tryConnection } from "../src/traffic/backends.ts";
import { addedSpace } from "../src/vm/disk.ts";
import { waitFor } from "../src/wait.ts";

const megabyte = 1024 * 1024;

/** Kernel messages of level err that say nothing about us. */
const harmlessKernelErrors = [
  // The emulated PCI root has no _OSC method.
  /_OSC/,
  // QEMU's CPU model has no microcode and no RAPL counters.
  /microcode|RAPL/i,
];

/** The first boot through SeaBIOS and GRUB, from an answer file. */
export const bootBios = {
  name: "boot",
  machine: "bios" as const,
  run: (context: SuiteContext) => checkBoot(context, /^steelyard\.yaml on /),
};

/** The same image through OVMF, its answers a credential in SMBIOS. */
export const bootUefi = {
  name: "boot-uefi",
  machine: "uefi" as const,
  run: async (context: SuiteContext) => {
    const { box, check } = context;
    await check("the firmware is UEFI", async (t) => {
      t.equal((await box.machine.guest(["test", "-d", "/sys/firmware/efi"], box.machine.scale(10_000))).code, 0);
    });
    await checkBoot(context, /^systemd credential steelyard\.answers$/);
    await check("a farm made over the API balances", async (t) => {
      await box.api.expect(201, "POST", "/farms", { body: { name: "web", ...makeFarm() } });
      t.match(await ask({}, 20, box.machine.scale(2_000)), { counts: { b1: 10, b2: 10 }, errors: [] });
    });
  },
};

/** `answers` is what the box says of where its answers came from. */
async function checkBoot(context: SuiteContext, answers: RegExp): Promise<void> {
  await checkHealth(context);
  await checkAnswers(context, answers);
  await checkConsole(context);
  await checkDisk(context);
  await checkFirewall(context);
  await checkFootprint(context);
}

async function checkHealth({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("boots with no failed unit", async (t) => {
    const state = () => machine.guest(["systemctl", "is-system-running"], machine.scale(10_000));
    const settled = await waitFor(
      "the boot to finish",
      async () => {
        const { stdout } = await state();
        return /starting|initializing/.test(stdout) ? undefined : stdout.trim();
      },
      { timeout: machine.scale(30_000), interval: 2_000 },
    );
    t.equal(await machine.shell("systemctl --failed --no-legend --plain"), "");
    t.equal(settled, "running");
  });
  await check("boots with no ordering cycle", async (t) => {
    t.equal(await machine.shell("journalctl --boot --no-pager | grep -i 'ordering cycle' || true"), "");
  });
  await check("boots with no kernel warning or error", async (t) => {
    const traces = "journalctl -k --boot --no-pager | grep -E 'WARNING: |BUG: |Oops|cut here|Call Trace' || true";
    t.equal(await machine.shell(traces), "");
    const errors = await machine.shell("journalctl -k --boot --no-pager --output=cat --priority=err");
    const lines = errors.split("\n").filter((line) => line !== "" && !/^-- /.test(line));
    t.same(
      lines.filter((line) => !harmlessKernelErrors.some((harmless) => harmless.test(line))),
      [],
    );
  });
  await check("shows no trouble on the serial console", async (t) => {
    t.same(await machine.serialFindings(), []);
  });
}

async function checkAnswers({ box, check }: SuiteContext, answers: RegExp): Promise<void> {
  const { machine, api } = box;
  await check("the answer file is applied", async (t) => {
    t.equal(await machine.shell("hostname"), "lb1");
    const addresses = JSON.parse(await machine.shell("ip -json address show")) as {
      ifname: string;
      addr_info: { local: string; prefixlen: number }[];
    }[];
    const of = (name: string) =>
      addresses.find(({ ifname }) => ifname === name)?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    const onFront = of(interfaces.front) ?? [];
    for (const address of [front.box.ipv4, virtualAddresses.ipv4, virtualAddresses.secondIpv4])
      t.ok(onFront.includes(`${address}/24`), `${address} on ${interfaces.front}: ${onFront.join(" ")}`);
    for (const address of [front.box.ipv6, virtualAddresses.ipv6])
      t.ok(onFront.includes(`${address}/64`), `${address} on ${interfaces.front}: ${onFront.join(" ")}`);
    const onBack = of(interfaces.back) ?? [];
    t.ok(onBack.includes(`${back.box.ipv4}/24`) && onBack.includes(`${back.box.ipv6}/64`), onBack.join(" "));
    t.match(await api.get("/system"), { hostname: "lb1", management: { interfaces: [interfaces.front] } });
    t.match(await api.get("/first-boot/report"), { source: answers });
  });
  await check("only the password of the answer file logs in", async (t) => {
    const stranger = box.newApi();
    for (const password of ["admin", "steelyard", `${box.password}x`]) {
      const { status } = await stranger.send("POST", "/sessions", { body: { user: "admin", password } });
      t.equal(status, 401, `with "${password.slice(0, 9)}…"`);
    }
    t.equal((await stranger.send("GET", "/farms")).status, 401, "and nothing is shown to a stranger");
    stranger.close();
  });
  await check("the API describes itself in OpenAPI 3.1", async (t) => {
    const document = await api.get("/openapi.json");
    t.match(document.openapi, /^3\.1/);
    t.ok(Object.keys(document.paths as object).some((path) => /\/farms\/\{\w+\}$/.test(path)));
  });
}

async function checkConsole({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("the serial console shows the API's address, the fingerprint and a login", async (t) => {
    // The first picture may be older than the certificate.
    const shown = async () => (await machine.serialText()).replace(/\s/g, "").includes(box.fingerprint);
    await waitFor("the fingerprint that the API really has", shown, { timeout: machine.scale(20_000) });
    const text = await machine.serialText();
    t.ok(text.includes(`https://${front.box.ipv4}:${managementPort}`), "the API's address");
    t.match(text, /Enter: log in/);
  });
  await check("so does the screen", async (t) => {
    const read = () => machine.shell("cat /dev/vcs1");
    const shown = async () => (await read()).replace(/\s/g, "").includes(box.fingerprint);
    await waitFor("the fingerprint on the screen", shown, { timeout: machine.scale(20_000) });
    t.match(await read(), /Enter: log in/);
  });
}

async function checkDisk({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("the root is read-only and verified, and /etc is not kept", async (t) => {
    t.match(await machine.shell("findmnt --noheadings --output FSTYPE,OPTIONS /"), /^erofs\s+ro\b/);
    t.not((await machine.guest(["touch", "/usr/touched"], machine.scale(10_000))).code, 0);
    t.match(await machine.shell("dmsetup ls --target verity 2>/dev/null || ls /sys/block/dm-0/dm/uuid"), /root|dm/);
    t.match(await machine.shell("findmnt --noheadings --output FSTYPE /etc"), /overlay/);
  });
  await check("/data has grown to the end of the disk, /config is kept apart", async (t) => {
    const size = Number(await machine.shell("df --block-size=1 --output=size /data | tail -1"));
    t.ok(size > addedSpace, `${Math.round(size / megabyte)} MB`);
    t.match(await machine.shell("findmnt --noheadings --output FSTYPE /config"), /ext4/);
  });
}

/** What nobody opened is silent: no answer, no refusal, from neither side. */
async function checkFirewall({ lab, box, check }: SuiteContext): Promise<void> {
  const patience = 1_500;
  await check("management is closed on the other interface", async (t) => {
    for (const address of [back.box.ipv4, front.box.ipv4, virtualAddresses.ipv4, `[${back.box.ipv6}]`]) {
      await expectSilence(t, lab.id, `https://${address}:${managementPort}/`);
    }
  });
  await check("the base firewall drops what nobody opened", async (t) => {
    const ports = [22, 80, 5555, 7000];
    const targets = [front.box.ipv4, virtualAddresses.ipv4, front.box.ipv6].flatMap((address) =>
      ports.map((port) => ({ address, port })),
    );
    const outcomes = await Promise.all(targets.map(({ address, port }) => tryConnection(address, port, patience)));
    targets.forEach(({ address, port }, index) => {
      t.equal(outcomes[index], "silent", `${address} port ${port}`);
    });
    t.equal(
      await tryConnection(front.box.ipv4, managementPort, box.machine.scale(2_000)),
      "open",
      "management is open",
    );
  });
}

/** curl's exit status 28: nothing came in time. 7 would be a refusal. */
async function expectSilence(t: Test, labId: string, url: string): Promise<void> {
  const curl = ["curl", "--silent", "--insecure", "--max-time", "2", "--output", "/dev/null", url];
  const { code } = await runCommand(inNamespace(labId, "b1", curl), { accept: [0, 7, 28, 35, 52, 56] });
  t.equal(code, 28, `${url} from the backends' side`);
}

async function checkFootprint({ box, check }: SuiteContext): Promise<void> {
  const { machine } = box;
  await check("uses less than 350 MB of memory when idle", async (t) => {
    const [total = 0, available = 0] = (
      await machine.shell("awk '/^(MemTotal|MemAvailable):/ {print $2}' /proc/meminfo")
    )
      .split("\n")
      .map((kilobytes) => Number(kilobytes) * 1024);
    const used = Math.round((total - available) / megabyte);
    t.comment(`${used} MB used of ${Math.round(total / megabyte)} MB`);
    t.ok(total > 0 && used < 350, `${used} MB`);
  });
  await check("the agent's unit is locked up: exposure at most 3.5", async (t) => {
    const unit = "steelyard-agent.service";
    const exposure = await readExposure(machine, unit);
    t.ok(exposure <= 3.5, `exposure ${exposure}`);
  });
}
