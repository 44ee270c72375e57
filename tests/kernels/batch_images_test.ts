/**
 * Holds batches against the same sums on the host, coins and all. Tolerance: a byte's division by 255, a difference and
 * a product, on |byte / 255| + |mean| <= 2 times the largest inverse deviation.
 */
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { countQuads } from "../../src/shape.ts";
import { assertClose, F32_ROUNDOFF, randomTensor } from "../reference/tensor.ts";
import { imagesFromQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, assertSame, divisionRoundings, unwritten } from "./precision.ts";

/** A data set of images (count, channels, height, width) and the rows of a batch. */
interface BatchCase {
  readonly images: readonly [number, number, number, number];
  readonly batch: number;
  readonly shift: number;
  readonly flip: boolean;
  readonly cutout?: number;
  readonly seed: number;
}

const cases: readonly BatchCase[] = [
  { images: [1, 1, 1, 1], batch: 1, shift: 0, flip: false, seed: 0 },
  { images: [5, 3, 5, 7], batch: 3, shift: 0, flip: false, seed: 1 },
  { images: [4, 1, 7, 5], batch: 9, shift: 0, flip: true, seed: 2 },
  { images: [7, 3, 8, 8], batch: 16, shift: 2, flip: true, seed: 3 },
  { images: [7, 3, 8, 8], batch: 16, shift: 2, flip: true, seed: 0xfedcba98 },
  { images: [3, 5, 3, 4], batch: 4, shift: 4, flip: false, seed: 5 },
  { images: [2, 2, 9, 11], batch: 33, shift: 4, flip: true, seed: 6 },
  { images: [2, 1, 3, 2], batch: 9, shift: 4, flip: true, seed: 7 },
  { images: [1, 1, 1, 1], batch: 2, shift: 0, flip: false, cutout: 1, seed: 8 },
  { images: [5, 3, 9, 11], batch: 20, shift: 0, flip: false, cutout: 4, seed: 9 },
  { images: [5, 5, 7, 6], batch: 20, shift: 2, flip: true, cutout: 3, seed: 10 },
];

/** The finalizer of MurmurHash3, as the kernel has it. */
function mixBits(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}

/** Bytes, classes, chosen rows and normalisation, the same for a case every time. */
function inputsOf({ images: [count, channels, height, width], batch }: BatchCase) {
  const random = (length: number, seed: number, below: number) =>
    Uint32Array.from(randomTensor([length], seed).values, (value) => Math.floor((value + 1) / 2 * below));
  const bytes = Uint8Array.from(random(count * channels * height * width, 1, 256));
  bytes[0] = 255;
  return {
    bytes,
    classes: random(count, 2, 1000),
    rows: random(batch, 3, count),
    mean: Float32Array.from(randomTensor([channels], 4).values, Math.abs),
    inverse: Float32Array.from(randomTensor([channels], 5).values, (value) => 3 + value),
  };
}

async function runBatch(path: ReadPath, batchCase: BatchCase) {
  const { images: [, channels, height, width], batch, shift, flip, cutout = 0, seed } = batchCase;
  const { bytes, classes, rows, mean, inverse } = inputsOf(batchCase);
  const inner = countQuads(channels), quads = batch * height * width * inner;
  const strips = batch * height * Math.ceil(width / 4) * inner;
  const words = new Uint32Array(Math.ceil(bytes.length / 4));
  new Uint8Array(words.buffer).set(bytes);
  const normalization = new Float32Array(8 * inner);
  normalization.set(mean);
  normalization.set(inverse, 4 * inner);
  const { floats, integers } = await runKernels({
    path,
    dispatches: [
      dispatchOver(strips, {
        kernel: "data/batch_images",
        label: "batch",
        bindings: {
          normalization: inputRef("normalization"),
          images: inputRef("images"),
          classes: inputRef("classes"),
          rows: inputRef("rows"),
          x: inputRef("x"),
          labels: inputRef("labels"),
        },
        params: { strips, inner, channels, height, width, shift, cutout },
        constants: { FLIP: flip ? 1 : 0 },
      }),
    ],
    buffers: { normalization, images: words, classes, rows, x: unwritten(4 * quads), labels: batch },
    step: { seed },
  });
  return { x: floats("x"), labels: integers("labels").subarray(0, batch) };
}

/** The batch in f64, (N, C, H, W). */
function wantedBatch(batchCase: BatchCase): { readonly x: Float64Array; readonly mirrored: number } {
  const { images: [, channels, height, width], batch, shift, flip, cutout = 0, seed } = batchCase;
  const { bytes, rows, mean, inverse } = inputsOf(batchCase);
  const x = new Float64Array(batch * channels * height * width);
  let mirrored = 0;
  for (let row = 0; row < batch; row++) {
    const coins = mixBits((seed ^ mixBits(row + 1)) >>> 0);
    const isMirrored = flip && coins % 2 === 1;
    const down = (coins >>> 1) % (2 * shift + 1) - shift, right = (coins >>> 16) % (2 * shift + 1) - shift;
    mirrored += isMirrored ? 1 : 0;
    const places = mixBits((coins ^ 0x9e3779b9) >>> 0);
    const top = (places & 0xffff) % height - Math.floor(cutout / 2);
    const left = (places >>> 16) % width - Math.floor(cutout / 2);
    for (let i = 0; i < channels * height * width; i++) {
      const column = i % width,
        line = Math.floor(i / width) % height,
        channel = Math.floor(i / (width * height));
      const fromLine = line + down, fromColumn = (isMirrored ? width - 1 - column : column) + right;
      const inside = fromLine >= 0 && fromLine < height && fromColumn >= 0 && fromColumn < width;
      const place = ((rows[row] * channels + channel) * height + fromLine) * width + fromColumn;
      const byte = inside ? bytes[place] / 255 : 0;
      const isCut = line >= top && line < top + cutout && column >= left && column < left + cutout;
      x[row * channels * height * width + i] = isCut ? 0 : (byte - mean[channel]) * inverse[channel];
    }
  }
  return { x, mirrored };
}

for (const path of readPaths) {
  Deno.test(`batch_images() gathers, shifts, mirrors, normalises and cuts out, ${path} path`, async () => {
    for (const batchCase of cases) {
      const { images: [, channels, height, width], batch } = batchCase;
      const name = `${path} ${JSON.stringify(batchCase)}`;
      const { x, labels } = await runBatch(path, batchCase);
      const want = wantedBatch(batchCase);
      const tolerance = (divisionRoundings + 2) * F32_ROUNDOFF * 2 * 4;
      const got = imagesFromQuads(x, [batch, channels, height, width]);
      assertClose(got, want.x, { tolerance, name });
      assertPadding(x, channels, { name });
      const { classes, rows } = inputsOf(batchCase);
      assertSame(labels, rows.map((row) => classes[row]), `${name} labels`);
      assertSame((await runBatch(path, batchCase)).x, x, `${name}: one seed, one batch`);
    }
  });

  Deno.test(`batch_images() mirrors about half of the rows, and others with another seed, ${path} path`, async () => {
    const batchCase: BatchCase = { images: [1, 1, 1, 2], batch: 400, shift: 0, flip: true, seed: 11 };
    const { x } = await runBatch(path, batchCase);
    const want = wantedBatch(batchCase);
    // Six standard deviations of 400 fair coins.
    assertClose([want.mirrored], [200], { tolerance: 60, name: "mirrored rows" });
    const other = (await runBatch(path, { ...batchCase, seed: 12 })).x;
    const changed = x.filter((value, i) => i % 8 === 0 && value !== other[i]).length;
    assertClose([changed], [200], { tolerance: 60, name: "rows that another seed mirrors otherwise" });
  });
}
