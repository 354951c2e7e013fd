import t from "tap";
import { failedSuite, summarize } from "./results.ts";
import { type Suite, selectSuites } from "./suite.ts";

const suite = (name: string): Suite => ({ name, machine: "bios", run: async () => {} });
const all = ["boot", "farms", "boot-uefi"].map(suite);
const names = (wanted?: string) => selectSuites(all, wanted).map(({ name }) => name);

t.test("a name chooses the suite and its variants; none chooses all", async (t) => {
  t.same(names(), ["boot", "farms", "boot-uefi"]);
  t.same(names("boot"), ["boot", "boot-uefi"]);
  t.same(names("boot-uefi"), ["boot-uefi"]);
  t.same(names("boot-uefi,farms"), ["farms", "boot-uefi"], "in the order in which they run");
  t.throws(() => names("farms,bo"), /there is no suite bo; there are: boot, farms, boot-uefi/);
});

t.test("a suite that could not begin counts as a failure", async (t) => {
  const lost = failedSuite("farms", "there is no image");
  t.same(summarize([lost, { name: "boot", passed: 3, failed: 1, seconds: 9, checks: [] }]), { passed: 3, failed: 2 });
  t.match(lost.checks, [{ name: "there is no image", ok: false }]);
});
