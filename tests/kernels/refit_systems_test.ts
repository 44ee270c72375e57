/**
 * Holds the kernels that set up and solve the normal equations of a refit, one by one, against f64.
 */
import { inputRef, inputRefs } from "../../src/kernels/buffer_ref.ts";
import type { Gpu } from "../../src/gpu/device.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
import { mirroredQuads } from "../../src/prune/refit/scratch.ts";
import { blockCondition, inverseOf } from "../reference/refit.ts";
import {
  assertClose,
  dot,
  F32_ROUNDOFF,
  maxAbs,
  randomTensor,
  sumTolerance,
  zeros,
} from "../reference/tensor.ts";
import { readPaths, runKernels, sharedGpu } from "./harness.ts";
import { assertSame, unwritten } from "./precision.ts";
import { type BlockColumns, chosenRows, packedIndex, systemFloats, systemIndex } from "./refit_layout.ts";
import { openWithSubgroups } from "../helpers/subgroups.ts";

/** A panel and a bit of columns; more systems than a workgroup has lanes where one takes one. */
async function checkSystems(path: ReadPath): Promise<void> {
  const columns = 136, size = 96, outputs = 11, denseOffset = 8;
  const layout: BlockColumns = { systems: outputs, size, withIdentity: false };
  const covariance = Float32Array.from(randomTensor([64 * 64 + 64 * 128 + 8 * 136], 1).values);
  const cross = Float32Array.from(randomTensor([outputs, columns], 2).values);
  const dense = Float32Array.from(randomTensor([denseOffset + outputs * columns], 3).values);
  const counts = Uint32Array.from({ length: outputs }, (_, row) => [0, 1, size, 41][row % 4]);
  const support = new Uint32Array(outputs * columns).fill(none);
  for (let row = 0; row < outputs; row++) {
    for (let a = 0; a < counts[row]; a++) {
      support[row * columns + a] = a + row % 3 + (a > 15 ? 3 + row : 0) + (a > 40 ? 20 : 0);
    }
  }
  const chosen = Array.from({ length: outputs }, (_, i) => (5 * i) % outputs);
  const factors = chosen.map((row) => row % 2 === 0 ? 1 : 10), damping = 0.25;
  const shared = inputRefs({
    damping: "damping",
    support: "support",
    counts: "counts",
    chosen: "chosen",
    systems: "systems",
  });
  const params = { systems: outputs, size, lines: size + 8, shrink: 32, columns };
  const { floats } = await runKernels({
    path,
    dispatches: [
      dispatchOver(outputs * 2 * (size + 32) / 4, {
        kernel: "refit/gather_systems",
        label: "systems",
        bindings: { ...shared, covariance: inputRef("covariance") },
        params,
      }),
      dispatchOver(outputs * 8 * size / 4, {
        kernel: "refit/gather_right_sides",
        label: "right sides",
        bindings: { ...shared, cross_covariance: inputRef("cross"), dense: inputRef("dense") },
        params: { ...params, dense_offset: denseOffset },
      }),
    ],
    buffers: {
      covariance,
      cross,
      dense,
      damping: Float32Array.of(damping),
      support,
      counts,
      chosen: chosenRows(chosen, factors),
      systems: unwritten(systemFloats(layout)),
    },
  });
  const systems = floats("systems");
  for (const [system, row] of chosen.entries()) {
    const kept = support.subarray(row * columns, row * columns + counts[row]), d = damping * factors[system];
    const own = (line: number, count: number) =>
      Float32Array.from({ length: count }, (_, column) => systems[systemIndex(layout, system, line, column)]);
    for (let a = 0; a < size; a++) {
      const line = Array.from({ length: a + 1 }, (_, b) => {
        const diagonal = a === b ? d : 0;
        return a < kept.length
          ? Math.fround(covariance[packedIndex(kept[a], kept[b], columns)] + diagonal)
          : diagonal;
      });
      assertSame(own(a, a + 1), line, `${path} system ${system} line ${a}`);
    }
    const right = Float64Array.from({ length: size }, (_, b) => {
      const place = row * columns + kept[b];
      return b < kept.length ? cross[place] + d * dense[denseOffset + place] : 0;
    });
    // A product and a sum, of at most 1 + 2.5.
    const name = `${path} system ${system} right side`, tolerance = 2 * 3.5 * F32_ROUNDOFF;
    assertClose(own(size, size), right, { tolerance, name });
    for (let line = size + 1; line < size + 8; line++) {
      assertSame(own(line, size), new Float32Array(size), `${path} system ${system} line ${line}`);
    }
  }
}

const none = 0xffffffff;

/** Dispatches that factor and solve systems, as src/prune/refit/solve.ts has them. */
function solveDispatches(
  { systems, size, withIdentity }: BlockColumns,
  withSubgroups: boolean,
): readonly Dispatch[] {
  const shared = inputRefs({ systems: "systems", inverses: "inverses" });
  const layout = { systems, size, lines: size + (withIdentity ? 40 : 8), shrink: withIdentity ? 0 : 32 };
  const factor = Array.from({ length: size / 32 }, (_, block): Dispatch[] => {
    const params = { ...layout, block };
    const panel = (lines: number, isDiagonal: boolean): Dispatch => {
      const dispatch = dispatchOver(systems * lines / 4, {
        kernel: withSubgroups ? "refit/factor_panel_subgroup" : "refit/factor_panel",
        label: "panel",
        bindings: { ...shared, diagonals: inputRef("diagonals") },
        params,
        constants: { IS_DIAGONAL: isDiagonal ? 1 : 0 },
      });
      return withSubgroups ? { ...dispatch, workgroups: [systems * Math.ceil(lines / 64), 1, 1] } : dispatch;
    };
    return [
      panel(32, true),
      dispatchOver(systems, {
        kernel: "refit/factor_diagonal",
        label: "diagonal",
        bindings: {
          diagonals: inputRef("diagonals"),
          inverses: inputRef("inverses"),
          damping: inputRef("damping"),
          chosen: inputRef("chosen"),
          flags: inputRef("flags"),
        },
        params,
      }),
      panel(layout.lines - layout.shrink * block - 32, false),
    ];
  }).flat();
  return [
    ...factor,
    {
      kernel: "refit/back_substitute",
      label: "substitution",
      bindings: { ...shared, solutions: inputRef("solutions") },
      params: layout,
      constants: {},
      workgroups: [systems, 1, 1],
    },
    dispatchOver(systems * size, {
      kernel: "refit/z",
      label: "signals",
      bindings: {
        systems: inputRef("systems"),
        solutions: inputRef("solutions"),
        signals: inputRef("signals"),
      },
      params: layout,
    }),
  ];
}

/** Systems A = B B^T + I of one block, of several, and of more lines than a workgroup has lanes; the last is singular. */
async function checkSolve(path: ReadPath, device: Promise<Gpu> = sharedGpu()): Promise<void> {
  const gpu = await device, withSubgroups = gpu.subgroups !== undefined;
  for (
    const { size, systems } of [{ size: 32, systems: 1 }, { size: 64, systems: 11 }, { size: 96, systems: 3 }]
  ) {
    const layout: BlockColumns = { systems, size, withIdentity: true }, spoilt = systems - 1;
    // The identity is not there before it is factored.
    const words = new Float32Array(4 * mirroredQuads(systemFloats(layout) / 4)).fill(NaN);
    const matrices = Array.from({ length: systems }, (_, s) => {
      const b = randomTensor([size, size], 10 * size + s), a = zeros([size, size]);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          let sum = i === j ? 1 : 0;
          for (let k = 0; k < size; k++) sum += b.values[i * size + k] * b.values[j * size + k];
          a.values[i * size + j] = Math.fround(sum);
        }
      }
      return a;
    });
    const right = randomTensor([systems, size], 5);
    for (const [s, { values }] of matrices.entries()) {
      const set = (line: number, column: number, value: number) =>
        words[systemIndex(layout, s, line, column)] = value;
      for (let a = 0; a < size; a++) {
        for (let b = 0; b <= a || b % 4 !== 0; b++) set(a, b, values[a * size + b]);
        for (let line = size; line < size + 8; line++) {
          set(line, a, line === size ? right.values[s * size + a] : 0);
        }
      }
      if (systems > 1 && s === spoilt) set(size - 3, size - 3, 0.5);
    }
    const { floats, integers } = await runKernels({
      gpu,
      path,
      dispatches: solveDispatches(layout, withSubgroups),
      buffers: {
        systems: words,
        inverses: 4 * mirroredQuads(systems * size / 32 * 192),
        diagonals: unwritten(systems * 32 * 32),
        damping: Float32Array.of(1),
        chosen: chosenRows(
          Array.from({ length: systems }, (_, s) => systems - 1 - s),
          Array(systems).fill(1),
        ),
        flags: systems,
        solutions: unwritten(systems * size),
        signals: unwritten(systems * size),
      },
    });
    const wanted = Array.from({ length: systems }, (_, row) => systems > 1 && row === 0 ? 1 : 0);
    assertSame(integers("flags").subarray(0, systems), wanted, `${path} ${size} flags`);
    for (const [s, matrix] of matrices.entries()) {
      const w = floats("solutions").subarray(s * size, (s + 1) * size), name = `${path} ${size} system ${s}`;
      if (systems > 1 && s === spoilt) continue;
      const residual = Float64Array.from({ length: size }, (_, i) => {
        let sum = -right.values[s * size + i];
        for (let j = 0; j < size; j++) sum += matrix.values[i * size + j] * w[j];
        return sum;
      });
      // Backward error of Cholesky with inverses of diagonal blocks: see refitTolerance in tests/prune/refit_cases.ts.
      const squareSum = (values: ArrayLike<number>) => dot(values, values);
      const inverse = inverseOf(matrix);
      const elementError = blockCondition(matrix, 16) * sumTolerance(size + 48, maxAbs(matrix.values));
      const tolerance = elementError * Math.sqrt(squareSum(w));
      assertClose(residual, zeros([size]).values, { tolerance, name });
      const variances = Float64Array.from({ length: size }, (_, a) => inverse.values[a * size + a]);
      const signals = floats("signals").subarray(s * size, (s + 1) * size);
      // z^-2 w^2 is the inverse's diagonal.
      const got = Float64Array.from(signals, (z, a) => (w[a] / z) ** 2);
      const moved = elementError *
        maxAbs(variances.map((_, a) => squareSum(inverse.values.subarray(a * size, (a + 1) * size))));
      const rounding = sumTolerance(size + 32, maxAbs(variances));
      assertClose(got, variances, { tolerance: moved + rounding, name: `${name} inverse` });
    }
  }
}

async function checkShift(path: ReadPath): Promise<void> {
  const columns = 8, size = 16, outputs = 9, offset = 3, scale = 0.5, shiftScale = 0.125;
  const sums = randomTensor([columns + 12], 1).values, shiftSums = randomTensor([columns + 12], 2).values;
  const solutions = Float32Array.from(randomTensor([outputs, size], 3).values);
  const counts = Uint32Array.from({ length: outputs }, (_, row) => row % 5);
  const support = Uint32Array.from(
    { length: outputs * columns },
    (_, i) => (i % columns) + Math.floor(i / 40) % 3,
  );
  const chosen = Array.from({ length: outputs }, (_, i) => outputs - 1 - i);
  const flags = new Uint32Array(outputs);
  flags[2] = 1;
  // Row 3 keeps three weights, one of which is not finite: it is flagged and left.
  solutions[(outputs - 1 - 3) * size + 1] = Infinity;
  const { floats, integers } = await runKernels({
    path,
    dispatches: [dispatchOver(outputs, {
      kernel: "refit/shift",
      label: "shift",
      bindings: {
        solutions: inputRef("solutions"),
        support: inputRef("support"),
        counts: inputRef("counts"),
        chosen: inputRef("chosen"),
        flags: inputRef("flags"),
        sums: inputRef("sums"),
        shift_sums: inputRef("shift_sums"),
        shift: inputRef("shift"),
      },
      params: { systems: outputs, size, columns, offset, scale, shift_scale: shiftScale },
    })],
    buffers: {
      solutions,
      support,
      counts,
      chosen: chosenRows(chosen, chosen.map(() => 1)),
      flags,
      sums: Float32Array.from(sums),
      shift_sums: Float32Array.from(shiftSums),
      shift: new Float32Array(offset + outputs).fill(7),
    },
  });
  const mean = (column: number) => shiftSums[column] * shiftScale + sums[column] * scale;
  const want = Float64Array.from({ length: outputs }, (_, row) => {
    if (row === 2 || row === 3) return 7;
    let rest = mean(columns + row);
    for (let a = 0; a < counts[row]; a++) {
      rest -= solutions[chosen.indexOf(row) * size + a] * mean(support[row * columns + a]);
    }
    return rest;
  });
  // Five terms of at most 1, the means in them of two roundings.
  const tolerance = sumTolerance(5 + 4, 5);
  const shift = floats("shift").subarray(offset, offset + outputs);
  assertClose(shift, want, { tolerance, name: `${path} shift` });
  assertSame(integers("flags").subarray(0, outputs), [0, 0, 1, 1, 0, 0, 0, 0, 0], `${path} flags`);
}

for (const path of readPaths) {
  const checks = {
    "gather_systems() and gather_right_sides() pick rows and columns": checkSystems,
    "factor_diagonal(), factor_panel(), back_substitute() and z() solve, and flag": checkSolve,
    "shift() is what the means lack, and flags what is not finite": checkShift,
  };
  for (const [name, check] of Object.entries(checks)) {
    Deno.test(`${name}, ${path} path`, () => check(path));
  }
}

const { gpu: subgroupDevice, ignore } = await openWithSubgroups();

for (const path of readPaths) {
  Deno.test({
    name: `factor_panel_subgroup() factors as factor_panel() does, ${path} path`,
    ignore,
    fn: () => checkSolve(path, Promise.resolve(subgroupDevice)),
  });
}
