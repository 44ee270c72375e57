/** Holds the selection against the reference's mask: it is exact, so that exactly the asked count goes. */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";
import { runSelection, type Selection, wantedMask } from "./selection.ts";

/** Many scores of each magnitude, none equal to another but by chance. */
function spreadScores(length: number): Float32Array {
  return Float32Array.from(randomTensor([length], 1, 30).values, (power) => 10 ** power);
}

const allKept = (length: number) => new Float32Array(length).fill(1);

/** How many weights there are: places whose score is not below zero. */
const weightsOf = ({ scores }: Selection) => scores.filter((score) => !(score < 0)).length;

async function checkSelection(path: ReadPath, selection: Selection, remove: number): Promise<void> {
  const { mask, counts } = await runSelection(path, selection, remove);
  const name = `${path}, ${remove} of ${weightsOf(selection)}`;
  assertSame(mask, wantedMask(selection, remove), name);
  const removed = selection.scores.filter((score, i) => !(score < 0) && mask[i] === 0).length;
  const before = selection.scores.filter((score, i) => !(score < 0) && selection.mask[i] === 0).length;
  assert.equal(removed, Math.max(remove, before), name);
  assertSame(counts, new Uint32Array(2048), `${name}: counts are left clear`);
}

/** Numbers to remove: none, one, all but one, all, and some between. */
function removalsOf(weights: number): readonly number[] {
  const counts = [0, 1, 2, Math.floor(weights / 3), Math.floor(weights / 2), weights - 1, weights];
  return [...new Set(counts.filter((count) => count >= 0 && count <= weights))];
}

async function checkAll(path: ReadPath, selection: Selection): Promise<void> {
  for (const remove of removalsOf(weightsOf(selection))) await checkSelection(path, selection, remove);
}

for (const path of readPaths) {
  Deno.test(`histogram(), pick() and threshold() remove exactly the lowest, ${path} path`, async () => {
    for (const length of [4, 28, 4 * 1501]) {
      await checkAll(path, { scores: spreadScores(length), mask: allKept(length) });
    }
  });

  Deno.test(`threshold() removes equal scores from the lowest place on, ${path} path`, async () => {
    const length = 4 * 1100;
    const levels = Float32Array.from(
      randomTensor([length], 2).values,
      (value) => Math.round(4 * Math.abs(value)),
    );
    await checkAll(path, { scores: levels, mask: allKept(length) });
    for (const score of [0, 1, 2 ** -149, Infinity]) {
      await checkAll(path, { scores: new Float32Array(length).fill(score), mask: allKept(length) });
    }
  });

  Deno.test(`select/histogram() tells apart zeros, denormals, neighbours and infinities, ${path} path`, async () => {
    const one = new Uint32Array(Float32Array.of(1).buffer)[0];
    const neighbours = new Float32Array(Uint32Array.of(one - 1, one, one + 1, one + 2).buffer);
    const extremes = [0, -0, 2 ** -149, 2 ** -148, 2 ** -127, 2 ** -126, 3.4028234663852886e38, Infinity];
    const eachOnce = [...extremes, ...neighbours, 0, Infinity, 2 ** -149, 1, 7];
    const scores = Float32Array.from({ length: 64 }, (_, i) => eachOnce[5 * i % eachOnce.length]);
    for (let remove = 0; remove <= 64; remove++) {
      await checkSelection(path, { scores, mask: allKept(64) }, remove);
    }
  });

  Deno.test(`threshold() leaves what is no weight alone, ${path} path`, async () => {
    const length = 4 * 301;
    const scores = spreadScores(length).map((score, i) => i % 4 === 3 || i > 1100 ? -1 : score);
    // A mask of padding is 0; one that is 1 must stay, too.
    const mask = allKept(length).map((_, i) => scores[i] < 0 && i % 8 === 3 ? 0 : 1);
    await checkAll(path, { scores, mask });
    await checkAll(path, { scores: new Float32Array(8).fill(-1), mask: allKept(8) });
  });

  Deno.test(`threshold() keeps removed weights removed and counts them, ${path} path`, async () => {
    const length = 4 * 260;
    const scores = spreadScores(length);
    const mask = Float32Array.from(randomTensor([length], 3).values, (value) => value > 0 ? 1 : 0);
    const removed = mask.filter((keep) => keep === 0).length;
    for (const remove of [0, 1, removed - 1, removed, removed + 1, length - 1, length]) {
      await checkSelection(path, { scores, mask }, remove);
    }
    // Round after round, as pruning does.
    let round: Selection = { scores, mask: allKept(length) };
    for (const remove of [100, 100, 350, 900]) {
      await checkSelection(path, round, remove);
      round = { scores: scores.map((score, i) => 1 / (score + i)), mask: wantedMask(round, remove) };
    }
  });

  Deno.test(`pick() settles where all weights of the key go, ${path} path`, async () => {
    const scores = Float32Array.of(1, 2, 2, 3), mask = allKept(4);
    const oneKey = new Uint32Array(Float32Array.of(2).buffer)[0] + 1;
    assertSame((await runSelection(path, { scores, mask }, 3)).state, [2, oneKey, 0xffffffff, 1], "settled");
    const state = (await runSelection(path, { scores, mask }, 2)).state;
    assertSame(state, [1, oneKey, 1, 0], "of two equal scores the one at place 1 goes");
  });

  Deno.test(`count_below() counts kept weights under the threshold, ${path} path`, async () => {
    for (const length of [4, 4 * 150]) {
      const scores = Float32Array.from(
        randomTensor([length], 4).values,
        (value, i) => i % 5 === 4 ? -1 : Math.abs(value),
      );
      scores.set([.5, 0, .49999997]);
      const mask = Float32Array.from(randomTensor([length], 5).values, (value) => value > -.5 ? 1 : 0);
      mask.fill(1, 0, 3);
      const shifted = (values: Float32Array) => Float32Array.of(0, 0, 0, 0, ...values);
      const dispatch = dispatchOver(length / 4, {
        kernel: "select/count_below",
        label: "count below",
        bindings: { scores: inputRef("scores"), mask: inputRef("mask"), counts: inputRef("counts") },
        params: { quads: length / 4, offset: 1, layer: 1, threshold: .5 },
      });
      const { integers } = await runKernels({
        path,
        dispatches: [dispatch],
        buffers: { scores: shifted(scores), mask: shifted(mask), counts: Uint32Array.of(3, 7) },
      });
      const want = scores.filter((score, i) => score >= 0 && score < .5 && mask[i] > 0).length;
      assertSame(integers("counts").subarray(0, 2), [3, 7 + want], `${path} count`);
    }
  });
}
