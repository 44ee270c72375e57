/**
 * Refitting the kept weights of one layer: the Gram matrices of sampled examples, and the solves.
 *
 * @module
 */
import type { DeviceBuffer } from "../src/gpu/buffer.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { patchQuads, type RefitGeometry } from "../src/prune/refit/geometry.ts";
import { RefitLayer } from "../src/prune/refit/refit_layer.ts";
import { openRandomStream } from "../src/random.ts";
import { countQuads } from "../src/shape.ts";
import type { Cost } from "./cost.ts";
import { finishWork, type Workload } from "./measure.ts";

/** A 3 x 3 convolution with stride 1 whose output is as large as its input, channels a multiple of four. */
export interface RefitSize {
  readonly images: number;
  readonly channels: number;
  /** Height and width of input and output, in pixels, all of which are sampled. */
  readonly side: number;
  /** Share of the weights that are kept. */
  readonly kept: number;
}

/** The layer of the benches: the last ones of ResNet-20 at 50 %, 100 images: d = 576, 64 rows. */
export const benchRefit: RefitSize = { images: 100, channels: 64, side: 8, kept: 0.5 };

/** A refit that is ready to be submitted again and again. */
export interface RefitWorkload extends Workload, Disposable {
  /** What one repetition costs where the symmetric matrix is computed once, not twice. */
  readonly cost: Cost;
}

/** The geometry of a bench's layer. */
function makeGeometry({ channels, side }: RefitSize): RefitGeometry {
  return {
    name: "bench",
    inChannels: channels,
    inSize: [side, side],
    outChannels: channels,
    outSize: [side, side],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
  };
}

/** A refit on random examples, with what submits one accumulation and one solve. */
async function openRefit(gpu: Gpu, size: RefitSize) {
  const geometry = makeGeometry(size), { images, side, channels } = size;
  const pixels = images * side * side, quads = pixels * countQuads(channels);
  const weightQuads = channels * patchQuads(geometry);
  const random = openRandomStream(1, "bench refit");
  const held: DeviceBuffer[] = [];
  const bufferOf = (name: string, count: number, value: () => number) => {
    const buffer = gpu.createBuffer(name, 16 * count);
    buffer.write(Float32Array.from({ length: 4 * count }, value));
    held.push(buffer);
    return buffer;
  };
  const uniform = () => random.nextUniform() - 0.5;
  const x = bufferOf("x", quads, uniform), targets = bufferOf("targets", quads, uniform);
  const mask = bufferOf("mask", weightQuads, () => random.nextUniform() < size.kept ? 1 : 0);
  const dense = bufferOf("dense", weightQuads, uniform);
  const values = bufferOf("values", weightQuads, () => 0);
  const shift = bufferOf("shift", countQuads(channels), () => 0);
  const refit = new RefitLayer(gpu, geometry, { samples: pixels });
  const positions = Uint32Array.from({ length: pixels }, (_, i) => i);
  const accumulate = () => {
    // As in a run, the activations count as just written, so a texture path pays for copying them.
    for (const buffer of [x, targets]) buffer.version++;
    return refit.accumulate({ x: { buffer: x, quads }, targets: { buffer: targets, quads }, positions });
  };
  await accumulate();
  const slice = (buffer: DeviceBuffer) => ({ buffer, offset: 0 });
  const solve = () =>
    refit.solve({ mask: slice(mask), dense: slice(dense), values: slice(values), shift: slice(shift) });
  const dispose = () => {
    refit[Symbol.dispose]();
    for (const buffer of held) buffer[Symbol.dispose]();
  };
  return { accumulate, solve, dispose, geometry, pixels, columns: 9 * channels };
}

/** Runs asynchronous work one after the other, as `submit` and `finish` ask for it. */
function makeWorkload(
  gpu: Gpu,
  { run, cost, dispose }: {
    readonly run: () => Promise<unknown>;
    readonly cost: Cost;
    readonly dispose: () => void;
  },
): RefitWorkload {
  let last: Promise<unknown> = Promise.resolve();
  return {
    cost,
    submit: () => last = last.then(run),
    async finish() {
      await last;
      await finishWork(gpu);
    },
    [Symbol.dispose]: dispose,
  };
}

/** Prepares the Gram matrices of one batch, gathering and column sums included. */
export async function openRefitGram(gpu: Gpu, size: RefitSize = benchRefit): Promise<RefitWorkload> {
  const { accumulate, dispose, pixels, columns } = await openRefit(gpu, size);
  const elements = columns * (columns + 1) / 2 + columns * size.channels;
  const cost = { flops: 2 * pixels * elements, bytes: 4 * (2 * pixels * size.channels + elements) };
  return makeWorkload(gpu, { run: accumulate, cost, dispose });
}

/** Prepares the solves of all output rows, setting up and bringing back included. */
export async function openRefitSolve(gpu: Gpu, size: RefitSize = benchRefit): Promise<RefitWorkload> {
  const { solve, dispose, columns } = await openRefit(gpu, size);
  const { kept } = await solve();
  const flops = kept.reduce((sum, count) => sum + count ** 3 / 3, 0);
  const elements = columns * (columns + 1) / 2 + 2 * columns * size.channels;
  return makeWorkload(gpu, { run: solve, cost: { flops, bytes: 4 * elements }, dispose });
}
