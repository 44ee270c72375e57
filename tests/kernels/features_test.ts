/**
 * Holds the distance of features against the f64 reference, with u = 2^-24. A row's distance and size are sums of F
 * squares of values up to 2 r and r; a difference adds a rounding, which its square doubles. The size of all rows is a sum
 * of N F squares. So a loss, weight N times distance by size, is off by the roundings of both sums, taken relative to the
 * size, by those of a division and by four products; a slope times a difference likewise, and by the sum with what is
 * there.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import {
  type FeatureTensors,
  lowerFeatureGradient,
  lowerFeatureLoss,
  teacherFeatures,
} from "../../src/plan/features.ts";
import { countQuads } from "../../src/shape.ts";
import { featureDistance } from "../reference/features.ts";
import {
  assertClose,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  type RefTensor,
  tensorOf,
} from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, assertSame, divisionRoundings, unwritten } from "./precision.ts";

interface Case {
  /** (N, C, H, W). */
  readonly shape: readonly [number, number, number, number];
  readonly weight: number;
  readonly isRelu: boolean;
  readonly scale?: number;
  /** True where nothing is there before. */
  readonly isFirst?: boolean;
}

const cases: readonly Case[] = [
  { shape: [1, 1, 1, 1], weight: 1, isRelu: false },
  { shape: [2, 3, 1, 1], weight: .5, isRelu: true },
  { shape: [3, 5, 7, 9], weight: 4, isRelu: true, scale: 100 },
  { shape: [67, 6, 2, 3], weight: .25, isRelu: false, scale: 1e-3 },
  { shape: [130, 64, 2, 2], weight: 2, isRelu: true },
  { shape: [3, 5, 7, 9], weight: 4, isRelu: true, isFirst: true },
  { shape: [67, 6, 2, 3], weight: 1, isRelu: false, isFirst: true },
];

async function runFeatures(
  path: ReadPath,
  { student, teacher, weight, isRelu, isFirst = false }: Pick<Case, "weight" | "isRelu" | "isFirst"> & {
    readonly student: RefTensor;
    readonly teacher: RefTensor;
  },
) {
  const { shape } = student, [rows, channels, height, width] = shape;
  const losses = Float32Array.from(randomTensor([rows], 5).values), dy = randomTensor(shape, 6, .01);
  const compared: FeatureTensors = {
    map: 0,
    rows,
    quads: height * width * countQuads(channels),
    features: inputRef("features"),
  };
  const words = new Map<string, number>();
  const declare = (name: string, quads: number) => {
    words.set(name, 4 * quads);
    return inputRef(name);
  };
  const dispatches = [
    ...lowerFeatureLoss(weight, { ...compared, declare, isFirst }),
    lowerFeatureGradient({ ...compared, dy: inputRef("dy"), isRelu, isFirst }),
  ];
  const { floats } = await runKernels({
    path,
    dispatches,
    buffers: {
      features: imagesToQuads(student.values, shape),
      [teacherFeatures(0)]: imagesToQuads(teacher.values, shape),
      losses: isFirst ? unwritten(rows) : losses,
      dy: isFirst ? unwritten(4 * rows * compared.quads) : imagesToQuads(dy.values, shape),
      ...Object.fromEntries([...words].map(([name, count]) => [name, unwritten(count)])),
    },
  });
  assertPadding(floats("dy"), channels, { name: `${path} dy` });
  return {
    before: isFirst
      ? { losses: new Float32Array(rows), dy: new Float64Array(dy.values.length) }
      : { losses, dy: dy.values },
    losses: floats("losses").subarray(0, rows),
    dy: imagesFromQuads(floats("dy"), shape),
  };
}

/** Student and teacher with zeros among their features, as ReLUs give them. */
function countFeatures({ shape, isRelu, scale = 1 }: Case) {
  return [1, 2].map((seed) => {
    const { values } = randomTensor(shape, seed, scale);
    return tensorOf(shape, values.map((value) => isRelu ? Math.max(0, Math.abs(value) - scale / 4) : value));
  });
}

async function checkCase(path: ReadPath, one: Case, part: "losses" | "gradient"): Promise<void> {
  const { shape, weight, isRelu, scale = 1 } = one, [student, teacher] = countFeatures(one);
  const want = featureDistance(student, teacher, weight);
  const got = await runFeatures(path, { ...one, student, teacher });
  const [rows] = shape, count = student.values.length, features = count / rows;
  const size = teacher.values.reduce((sum, value) => sum + value * value, 0);
  const sums = (features + 3 + count + 1 + divisionRoundings + 4) * F32_ROUNDOFF;
  const name = `${path} ${shape.join(" x ")} ${part}`;
  if (part === "losses") {
    const largest = weight * rows * features * (2 * scale) ** 2 / size;
    const tolerance = 2 * sums * largest + F32_ROUNDOFF;
    assertClose(got.losses, want.losses.map((loss, n) => got.before.losses[n] + loss), { tolerance, name });
    return;
  }
  const gradients = want.dfeatures.values.map((gradient, i) =>
    isRelu && student.values[i] <= 0 ? 0 : gradient
  );
  const tolerance = 2 * sums * 2 * weight / size * 2 * scale + F32_ROUNDOFF * (.01 + maxAbs(gradients));
  assertClose(got.dy, gradients.map((gradient, i) => got.before.dy[i] + gradient), { tolerance, name });
}

for (const path of readPaths) {
  Deno.test(`feature_distances() and what adds them to losses are the reference's, ${path} path`, async () => {
    for (const one of cases) await checkCase(path, one, "losses");
  });

  Deno.test(`feature_gradient() adds the reference's, through a ReLU too, ${path} path`, async () => {
    for (const one of cases) await checkCase(path, one, "gradient");
  });

  Deno.test(`feature_loss() changes nothing without a distance or a size, ${path} path`, async () => {
    const [student, teacher] = countFeatures(cases[2]), { shape } = student, weight = 3, isRelu = false;
    const zero = tensorOf(shape, new Float64Array(student.values.length));
    for (const pair of [{ student: teacher, teacher }, { student, teacher: zero }]) {
      const { before, losses, dy } = await runFeatures(path, { ...pair, weight, isRelu });
      assertSame(losses, before.losses, `${path} losses`);
      assertSame(dy, before.dy, `${path} gradient`);
    }
  });
}
