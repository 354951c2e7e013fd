import t from "tap";
import { apiDocument } from "./program.ts";
import { setUpCommand } from "./testing.ts";

const skip = apiDocument.paths["/api/v1/events"] ? false : "the API has no events";

t.test("events are printed as they happen, a line each", { skip }, async (t) => {
  const { run } = await setUpCommand(t);
  const plain = run("events --topic commits --count 1");
  const json = run("--json events --topic commits --count 1");
  // Both listen when the box has answered them; that is soon, and nobody tells.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await run("farm create web --vip 192.0.2.10 --port 80");
  t.match(await plain, { status: 0, out: /^\S+Z committed .*generation=3/ });
  t.match(JSON.parse((await json).out), { kind: "committed", data: { generation: 3 } });
  t.match(await run("events --count x"), { status: 2, err: /--count x: expected a number/ });
});
