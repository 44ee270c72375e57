import { assert, assertEquals } from "@std/assert";
import { drawBeta, openRandomStream } from "../src/random.ts";

const count = 40_000;

for (const alpha of [1e-3, 0.2, 1, 2, 8, 1000]) {
  Deno.test(`drawBeta() has the moments of Beta(alpha, alpha), alpha ${alpha}`, () => {
    const stream = openRandomStream(1, "test");
    const draws = Array.from({ length: count }, () => drawBeta(alpha, stream));
    assert(draws.every((draw) => draw >= 0 && draw <= 1));
    const mean = (power: number) => draws.reduce((sum, draw) => sum + (draw - 0.5) ** power, 0) / count;
    // Central moments: 0, 1 / (4 (2a + 1)), 0, 3 / (16 (2a + 1) (2a + 3)), and the sixth and eighth by the same rule.
    const moments = [1, 3, 5, 7].reduce<number[]>(
      (known, odd) => [...known, known.at(-1)! * odd / (4 * (2 * alpha + odd))],
      [1],
    );
    // Five standard deviations of a mean over the draws, whose variance is the moment of twice the power.
    for (const power of [1, 2, 3, 4]) {
      const want = power % 2 === 0 ? moments[power / 2] : 0;
      const deviation = Math.sqrt((moments[power] - want ** 2) / count);
      const got = mean(power);
      assert(Math.abs(got - want) <= 5 * deviation, `moment ${power}: ${got}, expected ${want}`);
    }
  });
}

Deno.test("drawBeta() gives 0 or 1 where alpha leaves nothing between, and the same for the same seed", () => {
  const draw = (alpha: number, seed: number) => {
    const stream = openRandomStream(seed, "test");
    return Array.from({ length: 100 }, () => drawBeta(alpha, stream));
  };
  assertEquals(new Set(draw(1e-300, 1)), new Set([0, 1]));
  assertEquals(draw(0.2, 3), draw(0.2, 3));
  assert(draw(0.2, 3)[0] !== draw(0.2, 4)[0]);
});
