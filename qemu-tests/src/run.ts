import { parseArgs } from "node:util";
import { Box, managementPort } from "./box/box.ts";
import { attachConsole } from "./console.ts";
import { enterLab, type Lab } from "./lab/enter.ts";
import { forwardedPort, forwardInside, listenOutside } from "./lab/forward.ts";
import { back, backendPorts, backends, front, namespaceName, virtualAddresses } from "./lab/plan.ts";
import { imagePath } from "./paths.ts";
import { setQuiet } from "./progress.ts";
import { bold } from "./steps.ts";
import { startBackends } from "./traffic/backends.ts";
import { chooseAccelerator } from "./vm/accelerator.ts";

/**
 * The lab of the tests, for a person: the appliance between a client and two servers, its serial console on this terminal, its
 * API on 127.0.0.1.
 *
 *     node --import ./register.mjs qemu-tests/src/run.ts [--profile virt] [--image FILE] [--firmware bios|uefi] [--blank]
 */
const { values } = parseArgs({
  options: {
    profile: { type: "string", default: "virt" },
    image: { type: "string" },
    firmware: { type: "string", default: "bios" },
    // Without an answer file: the first-boot wizard asks on the console.
    blank: { type: "boolean", default: false },
  },
});

await enterLab(runForPerson, { beside: listenOutside });

async function runForPerson(lab: Lab): Promise<number> {
  setQuiet();
  const image = values.image ?? imagePath(values.profile);
  const firmware = values.firmware === "uefi" ? "uefi" : "bios";
  const accelerator = await chooseAccelerator(image);
  await startBackends(lab);
  const box = await Box.create(lab, {
    name: "run",
    image,
    accelerator,
    firmware,
    blank: values.blank,
  });
  const forward = await forwardInside(lab, front.box.ipv4, managementPort);
  printWelcome(lab, box);
  await box.machine.start();
  try {
    await attachConsole(box.machine.serialSocket);
  } finally {
    process.stdout.write("\r\nTaking the virtual machine and its network down.\r\n");
    forward.close();
    await box.machine.cutPower();
  }
  return 0;
}

function printWelcome(lab: Lab, box: Box): void {
  const inside = (role: "client" | "b1") => `ip netns exec ${namespaceName(lab.id, role)}`;
  const login = values.blank ? "set on the console at the first boot" : `admin, password ${box.password}`;
  process.stdout.write(`
${bold("Steelyard's lab.")} This terminal becomes the appliance's serial console; ${bold("Ctrl-]")} leaves and takes everything down.

  log in      ${login}
  API         https://127.0.0.1:${forwardedPort()}/api/v1   once the console shows its fingerprint
  networks    client ${front.client.ipv4} -- nic0 ${front.box.ipv4} [appliance] nic1 ${back.box.ipv4} -- ${backends.b1.ipv4}, ${backends.b2.ipv4}
  free for farms  ${virtualAddresses.ipv4}, ${virtualAddresses.secondIpv4}, ${virtualAddresses.ipv6}
  servers     http on ${backendPorts.http} and ${backendPorts.alternativeHttp}, echo on ${backendPorts.echo}, UDP on ${backendPorts.udp}
  as client   ${inside("client")} curl http://${virtualAddresses.ipv4}/      (in another terminal, as root)
  logs        ${lab.logs}

`);
}
