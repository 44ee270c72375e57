/**
 * Holds the convolution that takes over ReLU and max pooling against the f64 reference of the three layers after one
 * another: "gemm/conv2d_forward_pooled", "gemm/conv2d_backward_weight_pooled", "reduce/bias_backward_pooled" and
 * "layer/maxpool2d_backward_argmax". Tolerances are sumTolerance over the terms of a sum, whose operands are at most 1;
 * windows with two nearly equal largest values are left out of the argmax, since f32 may order them the other way.
 */
import { assert, assertEquals } from "@std/assert";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import { coreSubgroupSize } from "../../src/gpu/subgroups.ts";
import { subgroupCores, usableCores } from "../../src/kernels/cores.ts";
import type { ProductShape } from "../../src/kernels/product.ts";
import type { ConvolutionContext } from "../../src/model/convolution.ts";
import {
  pooledBackwardBias,
  pooledBackwardWeight,
  pooledForward,
  pooledForwardShape,
} from "../../src/model/pooled_convolution.ts";
import { countQuads, mapShape, windowedLength } from "../../src/shape.ts";
import { conv2dBackward, conv2dForward } from "../reference/conv2d.ts";
import { maxPool2dBackward, maxPool2dForward } from "../reference/pool2d.ts";
import { reluBackward, reluForward } from "../reference/relu.ts";
import { assertClose, randomTensor, type RefTensor, sumTolerance } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";
import { contraryFusions, type PooledFusion, pooledFusions, pooledPasses } from "./places.ts";

const convolutions: readonly Case[] = [
  { x: [2, 3, 6, 8], outputs: 5, kernel: 3, stride: 1, padding: 1 },
  { x: [3, 5, 7, 9], outputs: 17, kernel: 3, stride: 1, padding: 1 },
  { x: [1, 1, 2, 2], outputs: 1, kernel: 1, stride: 1, padding: 0 },
  { x: [2, 9, 11, 8], outputs: 33, kernel: 5, stride: 2, padding: 2 },
  { x: [2, 4, 10, 7], outputs: 8, kernel: 3, stride: 1, padding: 0 },
];
interface Case {
  readonly x: readonly [number, number, number, number];
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

const pool = { kernel: 2, stride: 2, padding: 0 };

/** The f64 results of convolution, ReLU and pooling, forward and backward. */
function reference({ x, w, b, dy }: Record<"x" | "w" | "b" | "dy", RefTensor>, window: Case) {
  const convolved = conv2dForward(x, w, b, window), open = reluForward(convolved);
  const gradient = reluBackward(convolved, maxPool2dBackward(open, dy, pool));
  return { convolved, y: maxPool2dForward(open, pool), gradient, ...conv2dBackward(x, w, gradient, window) };
}

/** True where no window's largest value is so near to another of its values, or to 0, that f32 may order them anew. */
function isClear({ shape: [n, c, h, w], values }: RefTensor, tolerance: number): boolean {
  for (let plane = 0; plane < n * c; plane++) {
    for (let y = 0; y + 1 < h; y += 2) {
      for (let x = 0; x + 1 < w; x += 2) {
        const window = [0, 1, w, w + 1].map((step) => values[plane * h * w + y * w + x + step]).sort((p, q) =>
          q - p
        );
        if (Math.abs(window[0]) < 2 * tolerance) return false;
        if (window[0] > 0 && window[0] - window[1] < 2 * tolerance) return false;
      }
    }
  }
  return true;
}

async function checkPooled(path: ReadPath, { window, core, splits = 1, fusions = [], gpu }: {
  readonly window: Case;
  /** The core of the forward pass, and of the other where it serves any product. */
  readonly core: string;
  readonly splits?: number;
  /** Forward passes beside the one with bias and argmax. */
  readonly fusions?: readonly PooledFusion[];
  /** The device to run on, where it is not to be the one without subgroups. */
  readonly gpu?: Gpu;
}): Promise<void> {
  const { x: xShape, outputs, kernel } = window, [batch, channels, height, width] = xShape;
  const outHeight = windowedLength(height, window), outWidth = windowedLength(width, window);
  const pooledShape = [batch, outputs, Math.floor(outHeight / 2), Math.floor(outWidth / 2)];
  const terms = channels * kernel * kernel;
  // A seed whose windows are clear exists for such small maps within a few tries.
  const operands = Array.from({ length: 50 }, (_, seed) => ({
    x: randomTensor(xShape, 10 + seed),
    w: randomTensor([outputs, channels, kernel, kernel], 60 + seed),
    b: randomTensor([outputs], 110 + seed),
    dy: randomTensor(pooledShape, 160 + seed),
  })).find(({ x, w, b }) => isClear(conv2dForward(x, w, b, window), sumTolerance(terms + 1, terms + 1)));
  if (!operands) throw new Error("no seed gives clear windows");
  const want = reference(operands, window);
  const weightQuads = outputs * kernel * kernel * countQuads(channels), bias = weightQuads;
  const values = new Float32Array(4 * (weightQuads + countQuads(outputs)));
  values.set(imagesToQuads(operands.w.values, operands.w.shape));
  values.set(Float32Array.from(operands.b.values), 4 * bias);
  const context: ConvolutionContext = {
    name: "case",
    choose: ({ splittable, operation }) => ({
      core: operation === "gemm/conv2d_forward_pooled" ? core : core.replace("_windows", ""),
      splits: splittable ? splits : 1,
    }),
    weight: 0,
    bias,
    geometry: {
      images: batch,
      inQuads: countQuads(channels),
      inHeight: height,
      inWidth: width,
      outChannels: outputs,
      outHeight,
      outWidth,
      kernelHeight: kernel,
      kernelWidth: kernel,
      stride: window.stride,
      padding: window.padding,
    },
  };
  const fused = {
    y: inputRef("y"),
    argmax: inputRef("argmax"),
    dy: inputRef("dy"),
    output: mapShape(outputs, pooledShape[2], pooledShape[3]),
  };
  const words: Record<string, number> = {};
  const scratch = (purpose: string, quads: number) => {
    words[purpose] = 4 * quads;
    return inputRef(purpose);
  };
  const cellsHigh = Math.ceil(outHeight / 2),
    cellsWide = Math.ceil(outWidth / 2),
    quads = countQuads(outputs);
  const cells = batch * cellsHigh * cellsWide * quads;
  const dispatches = [
    ...pooledForward(context, { x: inputRef("x"), pool: fused, keepsArgmax: true, scratch }),
    ...pooledBackwardWeight(context, { x: inputRef("x"), pool: fused, scratch }),
    ...pooledBackwardBias(context, { pool: fused, bias, scratch }),
    dispatchOver(cells, {
      kernel: "layer/maxpool2d_backward_argmax",
      label: "argmax",
      bindings: { dy: inputRef("dy"), argmax: inputRef("argmax"), dx: inputRef("dx") },
      params: {
        cells,
        "cells_high": cellsHigh,
        "cells_wide": cellsWide,
        quads,
        "in_height": outHeight,
        "in_width": outWidth,
        "pooled_height": pooledShape[2],
        "pooled_width": pooledShape[3],
      },
    }),
  ];
  const pooledWords = 4 * batch * pooledShape[2] * pooledShape[3] * quads;
  const passes = pooledPasses(context, fusions, {
    convolve: (hasBias) => conv2dForward(operands.x, operands.w, hasBias ? operands.b : undefined, window),
    scratch,
  });
  const { floats } = await runKernels({
    gpu,
    path,
    dispatches: [...dispatches, ...passes.dispatches],
    buffers: {
      x: imagesToQuads(operands.x.values, xShape),
      values,
      dy: imagesToQuads(operands.dy.values, pooledShape),
      y: unwritten(pooledWords),
      argmax: unwritten(pooledWords),
      dx: unwritten(4 * batch * outHeight * outWidth * quads),
      gradients: values.length,
      ...passes.buffers,
      ...words,
    },
  });
  const operations = dispatches.flatMap((dispatch) => dispatch.kernel.split(":"));
  assert(backwardKernels.every((kernel) => operations.includes(kernel)), "all kernels are run");
  const name = `${path}, ${core}, ${splits} splits, ${JSON.stringify(window)}`;
  const forward = { tolerance: sumTolerance(terms + 1, terms + 1) };
  assertClose(imagesFromQuads(floats("y"), pooledShape), want.y.values, { ...forward, name: `y, ${name}` });
  assertPadding(floats("y"), outputs, { name: `y, ${name}` });
  const gradient = imagesFromQuads(floats("dx"), want.gradient.shape);
  assertEquals([...gradient], [...want.gradient.values], `dx, ${name}`);
  const pixels = batch * pooledShape[2] * pooledShape[3];
  const gradients = floats("gradients"), sums = { tolerance: sumTolerance(4 * pixels, pixels) };
  const dw = imagesFromQuads(gradients, operands.w.shape);
  assertClose(dw, want.dw.values, { ...sums, name: `dw, ${name}` });
  const db = gradients.subarray(4 * bias, 4 * bias + outputs);
  assertClose(db, want.db.values, { ...sums, name: `db, ${name}` });
}

/** The kernels held here beside the forward pass. */
const backwardKernels = [
  "gemm/conv2d_backward_weight_pooled",
  "reduce/bias_backward_pooled",
  "layer/maxpool2d_backward_argmax",
];

/** A forward pass without bias and argmax; on one core, since all call one `store_block`, every combination. */
function fusionsOf(core: string): readonly PooledFusion[] {
  return core === "gemm/software/register_8x8" ? pooledFusions : contraryFusions;
}

for (const path of readPaths) {
  Deno.test(`conv2d_forward_pooled() and its backward passes agree with three layers, ${path} path`, async () => {
    for (const window of convolutions) {
      for (const core of usableCores(path, undefined)) {
        // Every size of textures costs software adapters a compilation.
        if (/8x16|16x8/.test(core) && window !== convolutions[0]) continue;
        const fusions = window === convolutions[0] ? fusionsOf(core) : [];
        for (const splits of [1, 3]) await checkPooled(path, { window, core, splits, fusions });
      }
    }
  });
}

const windowCore = "gemm/software/subgroup_8x32_windows";

/** Windows in pairs: one pair and several, filters of one, three and five taps, more columns than a block has. */
const pairedConvolutions: readonly Case[] = [
  { x: [1, 1, 2, 4], outputs: 1, kernel: 1, stride: 1, padding: 0 },
  { x: [2, 3, 7, 8], outputs: 5, kernel: 3, stride: 1, padding: 1 },
  { x: [1, 9, 11, 8], outputs: 33, kernel: 5, stride: 1, padding: 2 },
  { x: [3, 5, 6, 15], outputs: 3, kernel: 3, stride: 1, padding: 0 },
];

const { gpu: withSubgroups, ignore } = await openWithSubgroups();

for (const path of readPaths) {
  Deno.test(`${windowCore} agrees with three layers, ${path} path`, { ignore }, async () => {
    for (const window of pairedConvolutions) {
      const fusions = fusionsOf(windowCore);
      await checkPooled(path, { window, core: windowCore, fusions, gpu: withSubgroups });
    }
  });

  Deno.test(`subgroup cores agree with three layers, ${path} path`, { ignore }, async () => {
    for (const core of subgroupCores(coreSubgroupSize)) {
      const fusions = fusionsOf(core);
      await checkPooled(path, { window: convolutions[0], core, fusions, gpu: withSubgroups });
    }
  });
}

Deno.test("usableCores() offers the core for windows only where they come in pairs", () => {
  const geometry = {
    images: 1,
    inQuads: 1,
    inHeight: 8,
    inWidth: 8,
    outChannels: 4,
    outHeight: 8,
    outWidth: 8,
  };
  const shapeOf = (width: number, stride: number) =>
    pooledForwardShape({ ...geometry, kernelHeight: 3, kernelWidth: 3, stride, padding: 1 }, {
      y: inputRef("y"),
      argmax: inputRef("argmax"),
      dy: inputRef("dy"),
      output: mapShape(4, 4, width),
    });
  const offers = (shape?: ProductShape) =>
    usableCores("texture", coreSubgroupSize, shape).includes(windowCore);
  assert(offers(shapeOf(4, 1)));
  for (const shape of [shapeOf(3, 1), shapeOf(4, 2), undefined]) assert(!offers(shape));
});
