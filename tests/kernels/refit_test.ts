/**
 * Holds the kernels of a refit one by one against f64; tests/prune/refit_test.ts holds them together. What only moves
 * numbers is exact; the others' tolerances stand where they are used.
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { dispatchProduct } from "../../src/kernels/gemm.ts";
import { sumSplits } from "../../src/kernels/reduce.ts";
import { channelRows, patchRows } from "../reference/refit.ts";
import { assertClose, dot, F32_ROUNDOFF, randomTensor, sumTolerance } from "../reference/tensor.ts";
import { imagesToQuads, readPaths, runKernels } from "./harness.ts";
import { assertPadding, assertSame, divisionRoundings, unwritten } from "./precision.ts";
import { chosenRows, packedIndex } from "./refit_layout.ts";
import { coresOf } from "./products.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";
import { coreSubgroupSize } from "../../src/gpu/subgroups.ts";
import { subgroupCores } from "../../src/kernels/cores.ts";
import type { Gpu } from "../../src/gpu/device.ts";

const none = 0xffffffff;

async function checkGather(path: ReadPath): Promise<void> {
  const window = { kernel: [3, 2], stride: [2, 1], padding: [1, 2], dilation: [1, 2] } as const;
  const x = randomTensor([3, 5, 7, 6], 1), y = randomTensor([3, 6, 4, 8], 2);
  const dense = randomTensor(y.shape, 4), pruned = randomTensor(y.shape, 5);
  // The third and the fourth pass too little on.
  const alpha = [0.5, -0.75, 9e-4, -9e-4, 1.1e-3, -2].map(Math.fround);
  const positions = Array.from({ length: 21 }, (_, i) => (i * 37) % 96), samples = 64;
  const pairs = new Uint32Array(2 * samples).fill(none);
  positions.forEach((position, i) => pairs.set([position, 95 - position], 2 * i));
  const patchQuads = 12, quads = 14, scale = 0.25;
  // The padding of a sum over patches is zero.
  const shift = randomTensor([4 * quads], 3).values.map((value, i) =>
    (i < 48 ? i % 8 < 5 : i < 54) ? value : 0
  );
  const shared = inputRefs({ positions: "positions", "shift_sums": "shift", v: "v" });
  const targetsOf = (tensors: Readonly<Record<string, string>>, HAS_SKIP: 0 | 1) =>
    dispatchOver(samples * 2, {
      kernel: "refit/gather_targets",
      label: "targets",
      bindings: { ...shared, target_values: inputRef("y"), ...inputRefs(tensors) },
      params,
      constants: { HAS_SKIP },
    });
  const params = { samples, quads, "patch_quads": patchQuads };
  const { floats } = await runKernels({
    path,
    dispatches: [
      dispatchOver(samples * patchQuads, {
        kernel: "refit/gather_patches",
        label: "patches",
        bindings: { ...shared, x: inputRef("x") },
        params: {
          ...params,
          in_height: 7,
          in_width: 6,
          in_quads: 2,
          out_height: 4,
          out_width: 8,
          kernel_width: 2,
          stride_y: 2,
          stride_x: 1,
          padding_y: 1,
          padding_x: 2,
          dilation_y: 1,
          dilation_x: 2,
        },
      }),
      targetsOf({ skip_dense: "y", skip_pruned: "y", alpha: "y" }, 0),
      targetsOf({ skip_dense: "dense", skip_pruned: "pruned", alpha: "alpha", v: "v with skip" }, 1),
    ],
    buffers: {
      x: imagesToQuads(x.values, x.shape),
      y: imagesToQuads(y.values, y.shape),
      dense: imagesToQuads(dense.values, y.shape),
      pruned: imagesToQuads(pruned.values, y.shape),
      alpha: Float32Array.from([...alpha, 0, 0]),
      positions: pairs,
      shift: Float32Array.from(shift),
      v: unwritten(4 * quads * samples),
      "v with skip": unwritten(4 * quads * samples),
    },
    step: { shift_scale: scale },
  });
  const v = floats("v"), withSkip = floats("v with skip");
  const patches = patchRows(x, positions, window);
  const opposite = positions.map((position) => 95 - position);
  const targets = channelRows(y, opposite), lines = channelRows(dense, opposite);
  const ownLines = channelRows(pruned, positions);
  // One rounding of the shift, unless fused, and one of the difference, both of numbers below 2.
  const tolerance = 4 * F32_ROUNDOFF;
  // A quotient of two roundings, below 2 over the least alpha that counts, and the rounding of its sum.
  const skipTolerance = tolerance + (3 + divisionRoundings) * F32_ROUNDOFF * 2 / 1.1e-3;
  for (let sample = 0; sample < samples; sample++) {
    const rowOf = (values: Float32Array) => values.subarray(4 * quads * sample, 4 * quads * (sample + 1));
    const row = rowOf(v), skipRow = rowOf(withSkip), name = `${path} sample ${sample}`;
    if (sample >= positions.length) {
      assertSame(row, new Float32Array(4 * quads), name);
      assertSame(skipRow.subarray(4 * patchQuads), new Float32Array(8), name);
      continue;
    }
    const own = Float64Array.from({ length: 48 }, (_, i) => {
      const tap = Math.floor(i / 8), channel = i % 8;
      return channel < 5 ? patches.values[sample * 30 + channel * 6 + tap] - scale * shift[i] : 0;
    });
    assertClose(row.subarray(0, 48), own, { tolerance, name });
    assertPadding(row.subarray(0, 48), 5, { name });
    const wanted = Float64Array.from(
      { length: 8 },
      (_, o) => o < 6 ? targets.values[sample * 6 + o] - scale * shift[48 + o] : 0,
    );
    assertClose(row.subarray(48), wanted, { tolerance, name });
    const lacking = wanted.map((value, o) => {
      const lack = o < 6 ? lines.values[sample * 6 + o] - ownLines.values[sample * 6 + o] : 0;
      return Math.abs(alpha[o]) >= 1e-3 ? value + lack / alpha[o] : value;
    });
    assertClose(skipRow.subarray(48), lacking, { tolerance: skipTolerance, name: `${name} with skip` });
    assertPadding(skipRow.subarray(48), 6, { name: `${name} with skip` });
  }
}

async function checkGram(path: ReadPath, cores = coresOf(path), gpu?: Gpu): Promise<void> {
  const samples = 192, cases = [{ quads: 3, first: 1, rows: 8 }, { quads: 41, first: 16, rows: 64 }];
  for (const { quads, first, rows } of cases) {
    const columns = 4 * first + rows, values = randomTensor([samples, 4 * quads], 1).values;
    const shape = {
      operation: "gemm/gram",
      rows,
      columns,
      segments: 3,
      inner: 16,
      splittable: true,
      sizes: { quads, first_quad: first },
    };
    const runs = cores.flatMap((core) => [1, 2].map((splits) => ({ core, splits })));
    const { floats } = await runKernels({
      path,
      gpu,
      dispatches: runs.flatMap(({ core, splits }, i): Dispatch[] => [
        dispatchProduct(shape, { core, splits }, {
          label: core,
          bindings: { v: inputRef("v"), sums: inputRef(`sums${i}`) },
          params: {},
        }),
        sumSplits({
          label: core,
          scratch: inputRef(`sums${i}`),
          out: inputRef(`out${i}`),
          offset: 0,
          quads: rows * columns / 4,
          splits,
          scale: 1,
        }),
      ]),
      buffers: {
        v: Float32Array.from(values),
        ...Object.fromEntries(runs.flatMap(({ splits }, i) => [
          [`sums${i}`, unwritten(rows * columns * splits)],
          [`out${i}`, unwritten(rows * columns)],
        ])),
      },
    });
    const columnOf = (c: number) =>
      Float64Array.from({ length: samples }, (_, s) => values[s * 4 * quads + c]);
    const columnValues = Array.from({ length: columns }, (_, c) => columnOf(c));
    const want = Float64Array.from(
      { length: rows * columns },
      (_, i) => dot(columnValues[4 * first + Math.floor(i / columns)], columnValues[i % columns]),
    );
    const tolerance = sumTolerance(samples + 2, samples);
    runs.forEach(({ core, splits }, i) => {
      assertClose(floats(`out${i}`), want, { tolerance, name: `${path} ${core} in ${splits}` });
    });
  }
}

async function checkCovariance(path: ReadPath): Promise<void> {
  // Two panels; channels of 3 in quads of 4, so every fourth column is padding.
  const columns = 76, count = 10, panels = [[0, 64, 64], [64, 12, 76]] as const;
  const products = randomTensor([64 * 64 + 12 * 76], 1, count).values,
    sums = randomTensor([columns], 2, 3).values;
  const { floats } = await runKernels({
    path,
    dispatches: [
      ...panels.map(([first, rows, width]) =>
        dispatchOver(rows * width / 4, {
          kernel: "refit/covariance",
          label: "covariance",
          bindings: { sums: inputRef("sums"), products: inputRef("products") },
          params: { rows, column_quads: width / 4, offset: first * 16, first, scale: 1 / count },
        })
      ),
      ...["products", "zeros"].map((covariance): Dispatch => ({
        kernel: "refit/damping",
        label: "damping",
        bindings: { covariance: inputRef(covariance), damping: inputRef(`${covariance} damping`) },
        params: { columns, width: 4, channels: 3, share: 0.5 },
        constants: {},
        workgroups: [1, 1, 1],
      })),
    ],
    buffers: {
      products: Float32Array.from(products, (value) => Math.abs(value)),
      sums: Float32Array.from(sums),
      zeros: products.length,
      "products damping": unwritten(4),
      "zeros damping": unwritten(4),
    },
  });
  const got = floats("products");
  let variance = 0;
  for (let row = 0; row < columns; row++) {
    for (let column = 0; column <= row; column++) {
      const i = packedIndex(row, column, columns);
      const want = Math.abs(products[i]) / count - sums[row] * sums[column] / count ** 2;
      // Two roundings of each mean, one each of their product, the quotients and the difference; terms below 1.
      assertClose([got[i]], [want], { tolerance: 8 * F32_ROUNDOFF, name: `${path} (${row}, ${column})` });
      if (row === column && row % 4 < 3) variance += want / 57;
    }
  }
  const tolerance = sumTolerance(57 + 4, 1);
  assertClose([floats("products damping")[0]], [0.5 * variance], { tolerance, name: `${path} damping` });
  assertSame([floats("zeros damping")[0]], [Math.fround(1e-12)], `${path} the least damping`);
}

async function checkSupport(path: ReadPath): Promise<void> {
  // More rows than a workgroup; 2 taps of 5 channels; what lies in the padding of the mask must not count.
  const rows = 19, rowQuads = 4, offset = 2, columns = 16;
  const mask = randomTensor([4 * (offset + rows * rowQuads)], 1).values.map((value) => value > 0.2 ? 1 : 0);
  mask.fill(0, 4 * offset, 4 * offset + columns);
  const kept = Array.from(
    { length: rows },
    (_, row) =>
      Array.from({ length: columns }, (_, i) => i).filter((i) =>
        i % 8 < 5 && mask[4 * offset + row * columns + i] !== 0
      ),
  );
  const chosen = Array.from({ length: rows }, (_, i) => (i * 7) % rows);
  const solved = randomTensor([rows, 16], 2).values;
  const flags = Uint32Array.from({ length: rows }, (_, row) => row % 5 === 3 ? 1 : 0);
  const { integers, floats } = await runKernels({
    path,
    dispatches: [
      dispatchOver(rows, {
        kernel: "refit/support",
        label: "support",
        bindings: { mask: inputRef("mask"), support: inputRef("support"), counts: inputRef("counts") },
        params: { rows, row_quads: rowQuads, in_quads: 2, channels: 5, offset },
      }),
      dispatchOver(rows, {
        kernel: "refit/scatter",
        label: "scatter",
        bindings: {
          solved: inputRef("solved"),
          support: inputRef("support"),
          counts: inputRef("counts"),
          chosen: inputRef("chosen"),
          flags: inputRef("flags"),
          out: inputRef("out"),
        },
        params: { systems: rows, size: 16, row_quads: rowQuads, offset },
      }),
    ],
    buffers: {
      mask: Float32Array.from(mask),
      support: rows * columns,
      counts: rows,
      solved: Float32Array.from(solved),
      chosen: chosenRows(chosen, chosen.map(() => 1)),
      flags,
      out: new Float32Array(mask.length).fill(7),
    },
  });
  for (const [row, own] of kept.entries()) {
    assert.equal(integers("counts")[row], own.length, `${path} count of row ${row}`);
    assertSame(
      integers("support").subarray(row * columns).subarray(0, own.length),
      own,
      `${path} row ${row}`,
    );
  }
  const out = new Float32Array(mask.length).fill(7);
  chosen.forEach((row, system) => {
    if (flags[row] !== 0) return;
    out.fill(0, 4 * offset + row * columns, 4 * offset + (row + 1) * columns);
    kept[row].forEach((i, a) => out[4 * offset + row * columns + i] = solved[16 * system + a]);
  });
  assertSame(floats("out"), out, `${path} scattered`);
}

for (const path of readPaths) {
  const checks = {
    "gather_patches() and gather_targets() gather, shift and leave out what is no sample": checkGather,
    "gram() is the product of columns, by every core": checkGram,
    "covariance() and damping() centre sums and average variances": checkCovariance,
    "support() and scatter() are each other's inverse": checkSupport,
  };
  for (const [name, check] of Object.entries(checks)) Deno.test(`${name}, ${path} path`, () => check(path));
}

const { gpu: subgroupDevice, ignore } = await openWithSubgroups();

for (const path of readPaths) {
  Deno.test({
    name: `gram() is the product of columns, by every core that needs subgroups, ${path} path`,
    ignore,
    fn: () => checkGram(path, subgroupCores(coreSubgroupSize), subgroupDevice),
  });
}
