/**
 * Holds the criteria against the f64 reference. Tolerances are relative: one rounding a product, precision.ts for roots
 * and divisions; the mean of a filter has sumTolerance over its weights and a division.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { pointwiseCriteria } from "../../src/prune/score/pointwise.ts";
import { countQuads } from "../../src/shape.ts";
import { accumulateFisher, signalToNoise, updateRunningMean } from "../reference/confidence.ts";
import { gradientScores, magnitudeScores, obdScores, taylorScores } from "../reference/criteria.ts";
import { assertClose, F32_ROUNDOFF, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { fromQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import {
  assertPadding,
  assertRoundings,
  assertSame,
  divisionRoundings,
  sqrtRoundings,
  unwritten,
} from "./precision.ts";

/** A weight of so many filters, taps a filter and channels a tap. */
interface Weight {
  readonly rows: number;
  readonly taps: number;
  readonly channels: number;
}

const weights: readonly Weight[] = [
  { rows: 1, taps: 1, channels: 1 },
  { rows: 5, taps: 9, channels: 6 },
  { rows: 33, taps: 1, channels: 17 },
];

/** Quads of an arena before and behind the weight. */
const offset = 3;

/** Lays a weight into an arena, other values around it. */
function arenaOf({ rows, taps, channels }: Weight, values: ArrayLike<number>): Float32Array {
  const quads = toQuads(values, rows * taps, channels);
  const arena = new Float32Array(quads.length + 8 * offset).fill(9);
  arena.set(quads, 4 * offset);
  return arena;
}

/** The score core with a criterion: one of the library's, or an operation of kernels/score/. */
function operationOf(criterion: string): Pick<Dispatch, "kernel" | "text"> {
  if (!Object.hasOwn(pointwiseCriteria, criterion)) return { kernel: `score/score:score/${criterion}` };
  const graph = seedNetwork({ channels: 3, height: 8, width: 8, classes: 2 });
  const layout = layOutParameters(graph), context = { graph, layout, layer: 0, examples: 1, seed: 0 };
  const type = pointwiseCriteria[criterion as keyof typeof pointwiseCriteria];
  const [{ kernel, text }] = type.lower(layout.parameters[0], context);
  return { kernel, ...(text === undefined ? {} : { text }) };
}

/** Runs a criterion and returns its scores; checks the padding and that nothing else is written. */
async function runScore(
  path: ReadPath,
  weight: Weight,
  { criterion, params = {}, arenas, others = {}, before = [] }: {
    readonly criterion: string;
    readonly params?: Dispatch["params"];
    /** The buffers that the criterion reads, by binding. */
    readonly arenas: Readonly<Record<string, Float32Array>>;
    /** The buffers that only the dispatches before it name. */
    readonly others?: Readonly<Record<string, Float32Array>>;
    readonly before?: readonly Dispatch[];
  },
): Promise<Float64Array> {
  const { rows, taps, channels } = weight;
  const inner = countQuads(channels), quads = rows * taps * inner;
  const { floats } = await runKernels({
    path,
    dispatches: [
      ...before,
      dispatchOver(quads, {
        ...operationOf(criterion),
        label: criterion,
        bindings: inputRefs(
          Object.fromEntries([...Object.keys(arenas), "scores"].map((name) => [name, name])),
        ),
        params: { ...params, quads, offset, inner, channels },
      }),
    ],
    buffers: { ...arenas, ...others, scores: unwritten(4 * (quads + 2 * offset)) },
  });
  const scores = floats("scores");
  const own = scores.subarray(4 * offset, 4 * (offset + quads));
  const name = `${path} ${criterion} ${JSON.stringify(weight)}`;
  assertPadding(own, channels, { name, value: -1 });
  const around = [...scores.subarray(0, 4 * offset), ...scores.subarray(4 * (offset + quads))];
  if (!around.every(Number.isNaN)) throw new Error(`${name}: writes beside its tensor`);
  return fromQuads(own, rows * taps, channels);
}

/** Means and mean gradients of both signs, and a Fisher diagonal of twelve orders of magnitude. */
function statisticsOf({ rows, taps, channels }: Weight) {
  const count = [rows * taps * channels];
  const mean = randomTensor(count, 1).values, gradient = randomTensor(count, 2).values;
  const fisher = randomTensor(count, 3, 6).values.map((power) => Math.fround(10 ** power));
  return { mean, gradient, fisher };
}

for (const path of readPaths) {
  Deno.test(`score() gives the reference's magnitude, gradient, taylor and obd, ${path} path`, async () => {
    for (const weight of weights) {
      const { mean, gradient, fisher } = statisticsOf(weight);
      const arenas = {
        mean: arenaOf(weight, mean),
        "gradient_mean": arenaOf(weight, gradient),
        fisher: arenaOf(weight, fisher),
      };
      const name = `${path} ${JSON.stringify(weight)}`;
      const only = (...names: (keyof typeof arenas)[]) =>
        Object.fromEntries(names.map((arena) => [arena, arenas[arena]]));
      const score = (criterion: string, needed: Record<string, Float32Array>) =>
        runScore(path, weight, { criterion, arenas: needed });
      assertSame(await score("magnitude", only("mean")), magnitudeScores(mean), name);
      assertSame(await score("gradient", only("gradient_mean")), gradientScores(gradient), name);
      const taylor = await score("taylor", only("mean", "gradient_mean"));
      assertRoundings(taylor, taylorScores(mean, gradient), { roundings: 1.01, name: `taylor ${name}` });
      const obd = await score("obd", only("mean", "fisher"));
      assertRoundings(obd, obdScores(mean, fisher), { roundings: 3.01, name: `obd ${name}` });
    }
  });

  Deno.test(`confidence() is the reference's signal to noise, ${path} path`, async () => {
    for (const weight of weights) {
      const { mean, fisher } = statisticsOf(weight);
      const priorPrecision = Math.fround(12.3), exampleCount = 50000;
      const got = await runScore(path, weight, {
        criterion: "confidence",
        params: { layer: 2, examples: exampleCount },
        arenas: {
          mean: arenaOf(weight, mean),
          fisher: arenaOf(weight, fisher),
          prior_precision: Float32Array.of(1, 2, priorPrecision, 4),
        },
      });
      // A product and a sum under the root enter by half, then the root and a product.
      const roundings = 2 + sqrtRoundings + .01;
      const want = signalToNoise(mean, fisher, { exampleCount, priorPrecision });
      assertRoundings(got, want, { roundings, name: `${path} confidence` });
    }
  });

  Deno.test(`row_norms() and rows() give every weight its filter's mean, ${path} path`, async () => {
    for (const weight of weights) {
      const { rows, taps, channels } = weight;
      const { mean } = statisticsOf(weight);
      const rowWeights = taps * channels, rowQuads = taps * countQuads(channels);
      const want = mean.map((_, i) => {
        const row = Math.floor(i / rowWeights);
        const own = mean.subarray(row * rowWeights, (row + 1) * rowWeights);
        return own.reduce((sum, value) => sum + Math.abs(value), 0) / rowWeights;
      });
      const got = await runScore(path, weight, {
        criterion: "rows",
        params: { row_quads: rowQuads },
        arenas: { row_scores: unwritten(rows) },
        others: { mean: arenaOf(weight, mean) },
        before: [
          dispatchOver(rows, {
            kernel: "score/row_norms",
            label: "row norms",
            bindings: { mean: inputRef("mean"), row_norms: inputRef("row_scores") },
            params: { rows, row_quads: rowQuads, offset, row_weights: rowWeights },
          }),
        ],
      });
      const tolerance = sumTolerance(rowWeights + divisionRoundings, 1);
      assertClose(got, want, { tolerance, name: `${path} l1 ${JSON.stringify(weight)}` });
    }
  });

  Deno.test(`random() is the hash of ordinal and seed, uniform in [0, 1), ${path} path`, async () => {
    const mix = (value: number) => {
      let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
      bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
      return (bits ^ (bits >>> 16)) >>> 0;
    };
    const weight = { rows: 40, taps: 9, channels: 28 }, count = 40 * 9 * 28, ordinal = 11;
    for (const seed of [0, 1, 0xdeadbeef]) {
      const got = await runScore(path, weight, {
        criterion: "random",
        params: { seed, ordinal },
        arenas: {},
      });
      const want = got.map((_, i) => (mix(4 * ordinal + i + mix(seed) | 0) >>> 8) / 2 ** 24);
      assertSame(got, want, `${path} random, seed ${seed}`);
      // Six standard deviations: of the mean of uniforms, and of a binomial count of a tenth.
      const mean = got.reduce((sum, value) => sum + value, 0) / count;
      assertClose([mean], [.5], { tolerance: 6 / Math.sqrt(12 * count), name: "mean" });
      const tenths = Array.from(
        { length: 10 },
        (_, bin) => got.filter((v) => Math.floor(10 * v) === bin).length,
      );
      const tolerance = 6 * Math.sqrt(count * .1 * .9);
      assertClose(tenths, tenths.map(() => count / 10), { tolerance, name: "counts of tenths" });
    }
  });

  Deno.test(`accumulate() gives the reference's Fisher diagonal and mean gradient, ${path} path`, async () => {
    const batches = 3, batchSize = 16;
    for (const quads of [1, 67]) {
      const gradients = Array.from({ length: batches }, (_, i) => randomTensor([4 * quads], i + 1).values);
      const { floats } = await runKernels({
        path,
        dispatches: gradients.map((_, i) =>
          dispatchOver(quads, {
            kernel: "score/accumulate",
            label: "accumulate",
            bindings: {
              gradients: inputRef(`gradients${i}`),
              fisher: inputRef("fisher"),
              gradient_mean: inputRef("gradient_mean"),
              tally: inputRef("tally"),
            },
            params: { quads },
          })
        ),
        buffers: {
          ...Object.fromEntries(gradients.map((values, i) => [`gradients${i}`, Float32Array.from(values)])),
          fisher: 4 * quads,
          gradient_mean: 4 * quads,
          tally: 4,
        },
        step: { fisher_weight: batchSize / batches, gradient_weight: 1 / batches, index: 0 },
      });
      const fisher = new Float64Array(4 * quads), mean = new Float64Array(4 * quads);
      for (const [i, values] of gradients.entries()) {
        accumulateFisher(fisher, values, { batchSize, count: i + 1 });
        updateRunningMean(mean, values, i + 1);
      }
      // The weight is rounded; a term has one or two products, and the sum one addition a batch.
      const roundings = (3 + batches) * F32_ROUNDOFF;
      assertClose(floats("fisher"), fisher, { tolerance: roundings * batchSize, name: `${path} fisher` });
      assertClose(floats("gradient_mean"), mean, { tolerance: roundings, name: `${path} mean gradient` });
    }
  });
}
