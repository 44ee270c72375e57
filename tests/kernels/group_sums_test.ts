/**
 * Holds sums of scores, or of their squares, by group against f64. Tolerance: sumTolerance over a group's elements; counts are exact.
 */
import { wholeWindow } from "../../src/plan/windows.ts";
import { lowerGroupSums } from "../../src/prune/groups/scores.ts";
import { assertClose, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame, unwritten } from "./precision.ts";

/** Runs (first, stride, count) by group: none, one element, strides, a run longer than a workgroup, several runs. */
const groups: readonly (readonly (readonly [number, number, number])[])[] = [
  [[3, 1, 1]],
  [],
  [[0, 1, 1003]],
  [[5, 4, 130], [700, 9, 7], [1, 1, 0], [2, 1, 3]],
  [[1, 3, 64], [2, 3, 65]],
];

for (const path of readPaths) {
  Deno.test(`group_sums() adds kept and scored elements by group, ${path} path`, async () => {
    for (const [repeat, isSquared] of [[1, true], [1, false], [23, true]] as const) {
      const all = Array.from({ length: repeat }, () => groups).flat();
      const starts = new Uint32Array(all.length + 1);
      for (const [i, runs] of all.entries()) starts[i + 1] = starts[i] + runs.length;
      const scores = Float32Array.from(
        randomTensor([1004], 1).values,
        (value) => value < -0.6 ? -1 : Math.abs(value),
      );
      const mask = Float32Array.from(randomTensor([1004], 2).values, (value) => value > -0.3 ? 1 : 0);
      const buffers = {
        "group_starts": starts,
        "group_runs": Uint32Array.from(all.flat().flatMap((run) => [...run, 0])),
        scores,
        mask,
        "group_sums": unwritten(all.length),
        "group_counts": new Uint32Array(all.length).fill(7),
      };
      const dispatches = [lowerGroupSums(wholeWindow(251, 251), all.length, isSquared)];
      const run = () => runKernels({ path, dispatches, buffers });
      const result = await run();
      const want = all.map((runs) => {
        const places = runs.flatMap(([first, stride, count]) =>
          Array.from({ length: count }, (_, k) => first + k * stride)
        );
        const counted = places.filter((place) => scores[place] >= 0 && mask[place] > 0);
        return {
          sum: counted.reduce((sum, place) => sum + scores[place] ** (isSquared ? 2 : 1), 0),
          count: counted.length,
        };
      });
      const sums = result.floats("group_sums").subarray(0, all.length);
      const name = `${path}, ${all.length} groups`;
      const magnitude = Math.max(...want.map(({ sum }) => sum));
      assertClose(sums, want.map(({ sum }) => sum), { tolerance: sumTolerance(1003, magnitude), name });
      assertSame(
        result.integers("group_counts").subarray(0, all.length),
        want.map(({ count }) => count),
        name,
      );
      assertSame((await run()).floats("group_sums"), result.floats("group_sums"), "twice the same bits");
    }
  });
}
