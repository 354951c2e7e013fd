import t from "tap";
import { InVainError, waitFor, withTimeout } from "./wait.ts";

t.test("waits until the probe gives something", async (t) => {
  let tries = 0;
  const value = await waitFor("three", async () => ++tries === 3 && "done", { timeout: 1_000, interval: 1 });
  t.equal(value, "done");
  t.equal(tries, 3);
});

t.test("a probe that throws is asked again; its last words are in the error", async (t) => {
  const probe = async () => {
    throw new Error("not there");
  };
  await t.rejects(waitFor("the box", probe, { timeout: 30, interval: 5 }), /waited 0 s for the box: not there/);
});

t.test("waiting in vain ends at once", async (t) => {
  let tries = 0;
  const probe = async () => {
    tries++;
    throw new InVainError("QEMU ended");
  };
  await t.rejects(waitFor("the box", probe, { timeout: 60_000 }), /QEMU ended/);
  t.equal(tries, 1);
});

t.test("a promise that takes too long fails with what it was for", async (t) => {
  await t.rejects(withTimeout("an answer", 10, new Promise(() => {})), /an answer: no answer in 10 ms/);
  t.equal(await withTimeout("an answer", 1_000, Promise.resolve(1)), 1);
});
