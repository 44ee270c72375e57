/**
 * Holds the criteria of more than one kernel against f64, as pruning lowers them. Tolerances are relative, since only
 * numbers above zero are added: a rounding an addition, precision.ts for roots and divisions.
 */
import assert from "node:assert/strict";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import type { Graph } from "../../src/model/graph.ts";
import { layOutParameters, placeParameter, takeParameter } from "../../src/plan/layout.ts";
import {
  type Criterion,
  criterionScratch,
  lowerScores,
  scoredTensors,
} from "../../src/prune/score/criteria.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { fpgmScores, lampScores, snrScores } from "../reference/criteria.ts";
import { randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertRoundings, divisionRoundings, sqrtRoundings, unwritten } from "./precision.ts";

const conv = (name: string, outChannels: number, kernel: number) =>
  ({ kind: "conv2d", name, outChannels, kernel, stride: 1, padding: 1, bias: false }) as const;
const norm = (name: string) => ({ kind: "batchnorm2d", name, epsilon: 1e-5, momentum: 0.1 }) as const;

/** Weights of one number, of several blocks of 2,048 floats, and of one; batch norm behind two of them. */
const graph: Graph = {
  name: "criteria",
  input: { channels: 1, height: 4, width: 4 },
  layers: [
    { ...conv("one", 1, 1), padding: 0 },
    conv("wide", 17, 3),
    norm("norm1"),
    conv("large", 33, 3),
    norm("norm2"),
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "last", outFeatures: 3, bias: true },
  ],
};
const model = { graph, layout: layOutParameters(graph) };

/** An arena of numbers that a draw makes of -1 to 1, zeros in the padding. */
function arenaOf(seed: number, of: (value: number) => number = (value) => value): Float32Array {
  const arena = new Float32Array(4 * model.layout.quads);
  for (const [i, parameter] of model.layout.parameters.entries()) {
    if (parameter.arena === "statistics") continue;
    const { values } = randomTensor([parameter.count], seed + i);
    placeParameter(parameter, values.map(of), arena);
  }
  return arena;
}

/** Scores by a criterion; the floats of no scored weight must stay as they are. */
async function scoresOf(path: ReadPath, criterion: Criterion, arenas: Record<string, Float32Array>) {
  // Buffers larger than need be, as they are shared by tensors.
  const scratch = [...criterionScratch(model, criterion)].map((
    [name, words],
  ) => [name, unwritten(words + 9)]);
  const { floats } = await runKernels({
    path,
    dispatches: lowerScores(model, criterion, { examples: 1, seed: 0 }),
    buffers: { ...arenas, ...Object.fromEntries(scratch), scores: unwritten(4 * model.layout.quads) },
  });
  const scored = scoredTensors(model, criterion);
  const size = scored.reduce((sum, { quads }) => sum + 4 * quads, 0);
  assert.equal(floats("scores").filter((score) => !Number.isNaN(score)).length, size);
  return scored.map((tensor) => ({ tensor, scores: takeParameter(tensor, floats("scores")) }));
}

Deno.test("lowerScores() lowers criteria of several kernels to all of them", () => {
  const kernelsOf = (criterion: Criterion) => {
    const dispatches = lowerScores(model, criterion, { examples: 1, seed: 0 });
    return [...new Set(dispatches.map(({ kernel }) => kernel))].sort();
  };
  const lamp = ["score/sort_blocks", "score/sort_step", "score/square_sums", "score/larger_sums"];
  assert.deepEqual(kernelsOf("lamp"), [...lamp, "score/score:score/lamp"].sort());
  assert.deepEqual(kernelsOf("fpgm"), ["score/row_distances", "score/row_totals", "score/score:score/rows"]);
});

for (const path of readPaths) {
  Deno.test(`lamp() is the square over the squares as large or larger, ${path} path`, async () => {
    // With many ties and zeros; all different; and all alike.
    const draws = [
      (value: number) => Math.round(8 * value) / 8,
      (value: number) => Math.sign(value) * 10 ** (6 * Math.abs(value) - 6),
      () => -0.3,
    ];
    for (const [i, of] of draws.entries()) {
      const mean = arenaOf(10 * i, of);
      for (const { tensor, scores } of await scoresOf(path, "lamp", { mean })) {
        const want = lampScores(takeParameter(tensor, mean));
        // Of a sum: a chunk from a key on, a chunk, the chunks of a lane twice, the scan of 256 lanes.
        const additions = 64 + 64 + 2 * Math.ceil(8192 / 64 / 256) + 8 + 2;
        const name = `${path} lamp of ${tensor.fullName}, draw ${i}`;
        assertRoundings(scores, want, { roundings: additions + 3 + divisionRoundings, name });
      }
    }
  });

  Deno.test(`fpgm is the sum of distances to the other filters, ${path} path`, async () => {
    const mean = arenaOf(3);
    for (const { tensor, scores } of await scoresOf(path, "fpgm", { mean })) {
      const { rows, rowQuads } = tensor;
      const want = fpgmScores(takeParameter(tensor, mean), rows);
      const roundings = (rowQuads + 2 + 3) / 2 + sqrtRoundings + 2 * rows;
      assertRoundings(scores, want, { roundings, name: `${path} fpgm of ${tensor.fullName}` });
    }
  });

  Deno.test(`row_scales() gives filters the scale of the batch norm behind them, ${path} path`, async () => {
    const mean = arenaOf(4), scored = await scoresOf(path, "bn-scale", { mean });
    assert.deepEqual(scored.map(({ tensor }) => tensor.fullName), ["wide.weight", "large.weight"]);
    for (const [i, { tensor, scores }] of scored.entries()) {
      const scale = model.layout.parameters.find(({ fullName }) => fullName === `norm${i + 1}.weight`)!;
      const scales = takeParameter(scale, mean), size = tensor.count / tensor.rows;
      const want = scores.map((_, j) => Math.abs(scales[Math.floor(j / size)]));
      assert.deepEqual(scores, want, `${path} ${tensor.fullName}`);
    }
  });

  Deno.test(`snr() is the mean over the deviation, and finite for weights that never moved, ${path} path`, async () => {
    const mean = arenaOf(5), variance = arenaOf(6, (value) => value < -0.8 ? 0 : 10 ** (3 * value - 9));
    for (const { tensor, scores } of await scoresOf(path, "snr", { mean, variance })) {
      const want = snrScores(takeParameter(tensor, mean), takeParameter(tensor, variance));
      const roundings = sqrtRoundings + divisionRoundings;
      assertRoundings(scores, want, { roundings, name: `${path} snr of ${tensor.fullName}` });
    }
  });
}

Deno.test("row_distances() compares filters in chunks where they are long", async () => {
  const rows = 5, rowQuads = 2, mean = Float32Array.from(randomTensor([4 * rows * rowQuads], 1).values);
  for (const rowsPerChunk of [1, 2, 5]) {
    const chunks = Math.ceil(rows / rowsPerChunk);
    const { floats } = await runKernels({
      path: "storage",
      dispatches: [{
        kernel: "score/row_distances",
        label: "distances",
        bindings: { mean: inputRef("mean"), distances: inputRef("distances") },
        params: { rows, row_quads: rowQuads, offset: 0, rows_per_chunk: rowsPerChunk, chunks },
        constants: {},
        workgroups: [1, 1, 1],
      }, {
        kernel: "score/row_totals",
        label: "totals",
        bindings: { parts: inputRef("distances"), row_scores: inputRef("row_scores") },
        params: { rows, chunks },
        constants: {},
        workgroups: [1, 1, 1],
      }],
      buffers: { mean, distances: unwritten(rows * chunks), row_scores: unwritten(rows) },
    });
    const want = fpgmScores(mean, rows).filter((_, i) => i % (4 * rowQuads) === 0);
    const roundings = 4 + sqrtRoundings + 2 * rows;
    assertRoundings(floats("row_scores").subarray(0, rows), want, {
      roundings,
      name: `${rowsPerChunk} a chunk`,
    });
  }
});
