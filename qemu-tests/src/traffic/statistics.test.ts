import t from "tap";
import { binomialBound, isWithinBound } from "./statistics.ts";

t.test("the bound is five standard deviations of the binomial distribution", async (t) => {
  t.match(binomialBound(400, 0.5), { expected: 200, tolerance: 50 });
  t.ok(Math.abs(binomialBound(400, 0.75).tolerance - 43.3) < 0.01);
});

t.test("weights that are not obeyed are outside the bound", async (t) => {
  t.ok(isWithinBound(300, 400, 0.75));
  t.ok(isWithinBound(270, 400, 0.75));
  t.notOk(isWithinBound(200, 400, 0.75), "1:1 where 3:1 was asked");
  t.notOk(isWithinBound(400, 400, 0.75), "all to one");
});
