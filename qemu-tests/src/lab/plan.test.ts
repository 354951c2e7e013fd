import t from "tap";
import { makeLabId, namespaceName, networkCommands, ownerOfNamespace, roles } from "./plan.ts";
import { uplinkCommands } from "./uplinks.ts";

const commands = (id: string) => [...networkCommands(id), ...uplinkCommands(id)];

t.test("a namespace's name tells the process that made it", async (t) => {
  const id = makeLabId(4711);
  for (const role of roles) t.equal(ownerOfNamespace(namespaceName(id, role)), 4711);
  t.equal(ownerOfNamespace("steelyard-lab-x-client"), undefined);
  t.equal(ownerOfNamespace("somebody-elses"), undefined);
});

t.test("every command stays inside the lab's own namespaces", async (t) => {
  const id = makeLabId(1);
  for (const command of commands(id)) {
    const target = command[0] === "-n" ? command[1] : command[2];
    t.ok(
      roles.some((role) => namespaceName(id, role) === target),
      command.join(" "),
    );
  }
});

t.test("interface names fit into the kernel's 15 characters", async (t) => {
  for (const command of commands(makeLabId(4_194_304))) {
    const added = command.indexOf("add");
    if (command[2] === "link" && added === 3) t.ok((command[4] ?? "").length <= 15, command.join(" "));
  }
});
