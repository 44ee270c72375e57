/**
 * Holds N:M masks, blocks, ranges, counts, sparing and regrowth against the host. All are exact but the sums of blocks:
 * sumTolerance over a block's elements.
 */
import assert from "node:assert/strict";
import type { PlacedParameter } from "../../src/plan/layout.ts";
import { wholeWindow } from "../../src/plan/windows.ts";
import { layOutBlocks, lowerBlockMasks, lowerBlockSums } from "../../src/prune/groups/blocks.ts";
import {
  joinRanges,
  lowerCountSelected,
  lowerNOfM,
  lowerRegrowth,
  lowerSearch,
  lowerSelection,
  lowerSparing,
  lowerThreshold,
} from "../../src/prune/select/select.ts";
import { kernelNames } from "../../src/kernels/source.ts";
import { countQuads } from "../../src/shape.ts";
import { assertClose, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame, unwritten } from "./precision.ts";
import { wantedMask } from "./selection.ts";

const window = wholeWindow(1000, 1000);

/** A weight at a place of an arena: of a convolution, or of a linear layer behind a flatten. */
function weightOf(
  { rows, taps, channels, isLinear }: (typeof sizes)[number],
  offset: number,
): PlacedParameter {
  const rowQuads = taps * countQuads(channels);
  const sizes = { rowQuads, quads: rows * rowQuads, count: rows * taps * channels };
  const names = { name: "weight", fullName: `${rows}x${taps}x${channels}`, role: "weight" as const };
  const place = { window, offset, first: offset, ordinal: offset };
  const kind = { stream: names.fullName, arena: "values" as const, prunable: true };
  const shape = isLinear ? [rows, channels * taps] : [rows, channels, taps, 1];
  return { ...names, ...sizes, ...place, ...kind, rows, taps, channels, shape, initial: { constant: 0 } };
}

/** Weights in one arena: of one number, of odd sizes, of more than a workgroup; a gap before the last. */
const sizes = [
  { rows: 1, taps: 1, channels: 1, isLinear: true },
  { rows: 5, taps: 9, channels: 6, isLinear: false },
  { rows: 33, taps: 1, channels: 17, isLinear: true },
  { rows: 70, taps: 4, channels: 7, isLinear: true },
];
const weights = sizes.map((size, i) => {
  const before = sizes.slice(0, i).reduce(
    (sum, { rows, taps, channels }) => sum + rows * taps * countQuads(channels),
    3,
  );
  return weightOf(size, before + (i === 3 ? 2 : 0));
});
const arenaFloats = 4 * (weights[3].offset + weights[3].quads + 2);

/** Where each element of a weight lies, and the line and column that PyTorch, and sparse hardware, count it in. */
function elementsOf({ rows, taps, channels, offset, rowQuads, shape }: PlacedParameter) {
  const inner = rowQuads / taps, isLinear = shape.length === 2;
  return Array.from({ length: rows * taps * channels }, (_, i) => {
    const channel = i % channels,
      tap = Math.floor(i / channels) % taps,
      row = Math.floor(i / channels / taps);
    const place = 4 * (offset + row * rowQuads + tap * inner) + channel;
    const columns = isLinear ? { line: 0, column: channel * taps + tap } : { line: tap, column: channel };
    return { row, tap, channel, place, ...columns };
  });
}

/** Scores with ties, -1 where there is no weight; a mask that has removed some. */
function scoredArena(seed: number) {
  const scores = new Float32Array(arenaFloats).fill(-1), mask = new Float32Array(arenaFloats);
  const draws = randomTensor([arenaFloats], seed).values,
    keeps = randomTensor([arenaFloats], seed + 1).values;
  for (const { place } of weights.flatMap(elementsOf)) {
    scores[place] = Math.abs(Math.round(20 * draws[place])) / 20;
    mask[place] = keeps[place] > -0.7 ? 1 : 0;
  }
  return { scores, mask };
}

const layers = weights.map((tensor, layer) => ({ tensor, layer }));

for (const path of readPaths) {
  Deno.test(`n_of_m() keeps the best of every group of PyTorch's columns, ${path} path`, async () => {
    const { scores, mask } = scoredArena(1);
    for (const [keep, of] of [[2, 4], [1, 4], [4, 8], [1, 1], [3, 5], [1, 32], [31, 32], [2, 3]]) {
      const { floats } = await runKernels({
        path,
        dispatches: weights.map((tensor) => lowerNOfM(tensor, { keep, of })),
        buffers: { scores, mask },
      });
      const want = mask.slice();
      for (const tensor of weights) {
        const groups = Map.groupBy(
          elementsOf(tensor),
          ({ row, line, column }) => `${row} ${line} ${Math.floor(column / of)}`,
        );
        for (const group of groups.values()) {
          const kept = Math.ceil(keep * group.length / of);
          const rank = ({ place }: { place: number }) => mask[place] > 0 ? scores[place] : -1;
          const order = group.toSorted((a, b) => rank(a) - rank(b) || a.column - b.column);
          for (const { place } of order.slice(0, group.length - kept)) want[place] = 0;
        }
      }
      assertSame(floats("mask"), want, `${path} ${keep}:${of}`);
    }
  });

  Deno.test(`blocks() and block_sums() see the same blocks as the host, ${path} path`, async () => {
    const { scores, mask } = scoredArena(2);
    for (
      const granularity of ["filter", { rows: 1, channels: 4 }, { rows: 3, channels: 5 }, {
        rows: 99,
        channels: 99,
      }] as const
    ) {
      const blocks = layOutBlocks(weights, granularity),
        count = blocks.reduce((sum, { blocks }) => sum + blocks, 0);
      const members: number[][] = Array.from({ length: count }, () => []);
      for (const { tensor, size, shape, firstBlock } of blocks) {
        const across = Math.ceil(size.columns / shape.columns), deep = Math.ceil(size.taps / shape.taps);
        for (const { row, tap, channel, line: ownLine, column: ownColumn, place } of elementsOf(tensor)) {
          const [line, column] = granularity === "filter" ? [tap, channel] : [ownLine, ownColumn];
          const before = Math.floor(row / shape.rows) * deep + Math.floor(line / shape.taps);
          members[firstBlock + before * across + Math.floor(column / shape.columns)].push(place);
        }
      }
      assert(members.every((places) => places.length > 0), "all blocks have elements");
      const keep = Uint32Array.from(members, (_, i) => i % 3 === 1 ? 0 : 1);
      for (const isSquared of [true, false]) {
        const { floats, integers } = await runKernels({
          path,
          dispatches: [...lowerBlockSums(blocks, isSquared), ...lowerBlockMasks(blocks)],
          buffers: {
            scores,
            mask,
            block_keep: keep,
            block_sums: unwritten(count),
            block_counts: new Uint32Array(count).fill(9),
          },
        });
        const kept = members.map((places) => places.filter((place) => mask[place] > 0));
        const name = `${path} ${JSON.stringify(granularity)}`;
        assertSame(integers("block_counts").subarray(0, count), kept.map(({ length }) => length), name);
        const want = kept.map((places) =>
          places.reduce((sum, place) => sum + scores[place] ** (isSquared ? 2 : 1), 0)
        );
        const tolerance = sumTolerance(Math.max(...kept.map(({ length }) => length)), Math.max(...want));
        assertClose(floats("block_sums").subarray(0, count), want, { tolerance, name });
        const wantMask = mask.slice();
        for (const [i, places] of members.entries()) {
          if (keep[i] === 0) { for (const place of places) wantMask[place] = 0; }
        }
        assertSame(floats("mask"), wantMask, name);
      }
    }
  });

  Deno.test(`lowerSelection() decides among the weights of its ranges alone, ${path} path`, async () => {
    const { scores, mask } = scoredArena(3);
    assert.equal(joinRanges(weights).length, 2, "neighbours are joined");
    for (const chosen of [[0, 1, 2, 3], [1, 3], [2], [0]]) {
      const among = chosen.map((i) => weights[i]),
        places = among.flatMap(elementsOf).map(({ place }) => place);
      const own = scores.map((score, i) => places.includes(i) ? score : -1);
      const removed = places.filter((place) => mask[place] === 0).length;
      for (const remove of [removed, Math.floor((removed + places.length) / 2), places.length]) {
        const selection = lowerSelection(joinRanges(among), remove);
        const buffers = {
          scores,
          mask,
          "select_state": Uint32Array.of(remove, 0, 0, 0),
          "digit_counts": 2048,
        };
        const { floats } = await runKernels({ path, dispatches: selection, buffers });
        assertSame(
          floats("mask"),
          wantedMask({ scores: own, mask }, remove),
          `${path} ${remove} of ${chosen}`,
        );
      }
    }
  });

  Deno.test(`count_selected() counts what threshold() would remove, ${path} path`, async () => {
    const { scores, mask } = scoredArena(4), ranges = joinRanges(weights);
    for (const remove of [700, 1500]) {
      const { floats, integers } = await runKernels({
        path,
        dispatches: [
          ...lowerSearch(ranges),
          ...lowerCountSelected(layers),
          ...lowerThreshold(ranges, remove),
        ],
        buffers: {
          scores,
          mask,
          "select_state": Uint32Array.of(remove, 0, 0, 0),
          "digit_counts": 2048,
          layer_counts: 4,
        },
      });
      const want = weights.map((tensor) =>
        elementsOf(tensor).filter(({ place }) => floats("mask")[place] === 0).length
      );
      assertSame(integers("layer_counts"), want, `${path} ${remove}`);
      assert.equal(want.reduce((sum, count) => sum + count), remove);
    }
  });

  Deno.test(`spare() lifts what fell below a threshold only now, and notes what stood, ${path} path`, async () => {
    const { scores, mask } = scoredArena(5), threshold = 0.5;
    const stood = Float32Array.from({ length: arenaFloats }, (_, place) => place % 3 === 0 ? 1 : 0);
    const { floats } = await runKernels({
      path,
      dispatches: lowerSparing(layers, threshold),
      buffers: { scores, mask, stood },
    });
    const want = scores.slice(), wantStood = stood.slice();
    let spared = 0;
    for (const { offset, quads } of weights) {
      for (let place = 4 * offset; place < 4 * (offset + quads); place++) {
        const isPadding = scores[place] < 0;
        wantStood[place] = mask[place] > 0 && scores[place] >= threshold ? 1 : 0;
        if (isPadding || scores[place] >= threshold || stood[place] === 0) continue;
        want[place] = threshold;
        spared++;
      }
    }
    assertSame(floats("scores"), want, `${path} scores`);
    assertSame(floats("stood"), wantStood, `${path} stood`);
    assert(spared > 50);
  });

  Deno.test(`regrow() brings back removed weights by the score test, once, and no padding, ${path} path`, async () => {
    const { mask, scores } = scoredArena(5), examples = 100, threshold = 2;
    const gradient = Float32Array.from(randomTensor([arenaFloats], 6).values);
    const fisher = Float32Array.from(randomTensor([arenaFloats], 7).values, (value) => 20 * Math.abs(value));
    const regrown = Float32Array.from({ length: arenaFloats }, (_, place) => place % 3 === 0 ? 1 : 0);
    const { floats, integers } = await runKernels({
      path,
      dispatches: lowerRegrowth(layers, { examples, threshold }),
      buffers: { mask, regrown, scores, gradient_mean: gradient, fisher, layer_counts: 4 },
    });
    const want = mask.slice(), wantRegrown = regrown.slice(), counts = [0, 0, 0, 0];
    const found = floats("scores"), wantScores = scores.slice();
    let barred = 0, scoreError = 0;
    for (const { tensor, layer } of layers) {
      for (const { place } of elementsOf(tensor)) {
        const statistic = examples * gradient[place] ** 2, bound = threshold ** 2 * fisher[place];
        // No draw lies within rounding of the bound.
        assert(Math.abs(statistic - bound) > 1e-6 * bound);
        if (mask[place] > 0 || statistic <= bound) continue;
        if (regrown[place] > 0) {
          barred++;
          continue;
        }
        want[place] = 1;
        wantRegrown[place] = 1;
        const score = Math.sqrt(statistic / fisher[place]);
        scoreError = Math.max(scoreError, Math.abs(found[place] - score) / score);
        wantScores[place] = found[place];
        counts[layer]++;
      }
    }
    assertSame(floats("mask"), want, `${path} mask`);
    assertSame(floats("regrown"), wantRegrown, `${path} regrown`);
    assertSame(found, wantScores, `${path} scores`);
    assert(scoreError < 1e-6, `${path} scores: ${scoreError}`);
    assertSame(integers("layer_counts"), counts, `${path} counts`);
    assert(barred > 20 && counts[3] > 20 && counts[3] < 0.9 * elementsOf(weights[3]).length * 0.15);
  });
}

Deno.test("rank_keys() and is_selected() are parts of the kernels of selection", () => {
  for (const stem of ["select/rank_keys", "select/is_selected"]) assert(kernelNames.includes(stem));
});
