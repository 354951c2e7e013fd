import t from "tap";
import { drawBars } from "./bars.ts";

t.test("bars are as long as the shares, and none is longer than the table", async (t) => {
  const [first = "", second = ""] = drawBars({ b1: 150, b2: 50 }, 200).split("\n");
  t.equal(first.split("█").length - 1, 38);
  t.equal(second.split("█").length - 1, 13);
  t.match(first, /^b1 .* 150 {3}75 %$/);
  t.equal(first.length, second.length);
});

t.test("nothing is no bar, little is a short one", async (t) => {
  const lines = drawBars({ b1: 0, b2: 1 }, 1000).split("\n");
  t.notMatch(lines[0], /█/);
  t.match(lines[1], /█/);
  t.doesNotThrow(() => drawBars({ b1: 0 }, 0));
});
