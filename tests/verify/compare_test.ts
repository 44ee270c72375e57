import { assert, assertEquals } from "@std/assert";
import { compare } from "../../src/verify/goldens.ts";

const check = (got: readonly number[], want: readonly number[], floor?: number) =>
  compare("case", { got, want, relative: 0.125, ...(floor === undefined ? {} : { floor }) });

Deno.test("compare() allows a share of the largest wanted value, or of 1 where that is larger", () => {
  assertEquals(check([8, 3], [8, 4]), { name: "case", error: 1, allowed: 1, passed: true });
  assertEquals(check([8, 2.5], [8, 4]), { name: "case", error: 1.5, allowed: 1, passed: false });
  assertEquals(check([0.125], [0.25]).allowed, 0.125);
  assertEquals(check([0.125], [0.25], 0).allowed, 0.03125);
  assert(check([0.125], [0.25]).passed && !check([0.125], [0.25], 0).passed);
});

Deno.test("compare() fails where a value on either side is not finite, or the sizes differ", () => {
  for (const value of [NaN, Infinity, -Infinity]) {
    for (
      const [got, want] of [[[value, 1], [1, 1]], [[1, 1], [value, 1]], [[1, 1], [1, value]], [[value, 1], [
        value,
        1,
      ]]]
    ) {
      const { passed, error } = check(got, want);
      assertEquals([passed, error], [false, Infinity], `${got} for ${want}`);
    }
    assert(!check([2, 1], [value, NaN]).passed);
  }
  assert(!check([1], [1, 1]).passed);
  assert(!check([1, 1], [1]).passed);
  assert(!check([], [1]).passed);
});
