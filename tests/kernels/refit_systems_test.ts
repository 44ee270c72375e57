/**
 * Holds the kernels that set up and solve the normal equations of a refit, one by one, against f64.
 */
import type { ReadPath } from "../../src/kernels/assemble.ts";
import { type Dispatch, dispatchOver } from "../../src/kernels/dispatch.ts";
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
import { readPaths, runKernels } from "./harness.ts";
import { assertSame, unwritten } from "./precision.ts";
import { chosenRows, packedIndex } from "./refit_layout.ts";

/** A panel and a bit of columns; more systems than a workgroup has lanes where one takes one. */
async function checkSystems(path: ReadPath): Promise<void> {
  const columns = 72, size = 32, lines = 2 * size + 8, outputs = 11, denseOffset = 8;
  const covariance = Float32Array.from(randomTensor([64 * 64 + 8 * 72], 1).values);
  const cross = Float32Array.from(randomTensor([outputs, columns], 2).values);
  const dense = Float32Array.from(randomTensor([denseOffset + outputs * columns], 3).values);
  const counts = Uint32Array.from({ length: outputs }, (_, row) => [0, 1, size, 17][row % 4]);
  const support = new Uint32Array(outputs * columns).fill(none);
  for (let row = 0; row < outputs; row++) {
    for (let a = 0; a < counts[row]; a++) support[row * columns + a] = a * 2 + row % 3 + (a > 15 ? 3 : 0);
  }
  const chosen = Array.from({ length: outputs }, (_, i) => (5 * i) % outputs);
  const factors = chosen.map((row) => row % 2 === 0 ? 1 : 10), damping = 0.25;
  const shared = {
    damping: "damping",
    support: "support",
    counts: "counts",
    chosen: "chosen",
    systems: "systems",
  };
  const params = { systems: outputs, rows: lines, size, columns };
  const { floats } = await runKernels({
    path,
    dispatches: [
      dispatchOver(outputs * (size / 2) * (size / 4 + 1), {
        kernel: "refit/gather_systems",
        label: "systems",
        bindings: { ...shared, covariance: "covariance" },
        params,
      }),
      dispatchOver(outputs * (lines - size) * size / 4, {
        kernel: "refit/gather_right_sides",
        label: "right sides",
        bindings: { ...shared, cross_covariance: "cross", dense: "dense" },
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
      systems: unwritten(outputs * lines * size),
    },
  });
  const systems = floats("systems");
  for (const [system, row] of chosen.entries()) {
    const kept = support.subarray(row * columns, row * columns + counts[row]), d = damping * factors[system];
    const own = systems.subarray(system * lines * size, (system + 1) * lines * size);
    for (let a = 0; a < size; a++) {
      const line = Array.from({ length: a + 1 }, (_, b) => {
        const diagonal = a === b ? d : 0;
        return a < kept.length
          ? Math.fround(covariance[packedIndex(kept[a], kept[b], columns)] + diagonal)
          : diagonal;
      });
      assertSame(own.subarray(a * size, a * size + a + 1), line, `${path} system ${system} line ${a}`);
    }
    const right = Float64Array.from({ length: size }, (_, b) => {
      const place = row * columns + kept[b];
      return b < kept.length ? cross[place] + d * dense[denseOffset + place] : 0;
    });
    // A product and a sum, of at most 1 + 2.5.
    const name = `${path} system ${system} right side`, tolerance = 2 * 3.5 * F32_ROUNDOFF;
    assertClose(own.subarray(size * size, size * size + size), right, { tolerance, name });
    const below = Float64Array.from({ length: (7 + size) * size }, (_, i) => {
      const line = Math.floor(i / size) - 7;
      return line === i % size ? 1 : 0;
    });
    assertSame(own.subarray(size * (size + 1)), below, `${path} system ${system} below`);
  }
}

const none = 0xffffffff;

/** Dispatches that factor and solve systems, as src/prune/refit/solve.ts has them. */
function solveDispatches(systems: number, size: number, lines: number): readonly Dispatch[] {
  const shared = { systems: "systems", inverses: "inverses" }, quads = size / 4, blocks = size / 16;
  const factor = Array.from({ length: blocks }, (_, block): Dispatch[] => {
    const params = { systems, rows: lines, quads, blocks, block };
    return [
      dispatchOver(systems, {
        kernel: "refit/factor_diagonal",
        label: "diagonal",
        bindings: { ...shared, damping: "damping", chosen: "chosen", flags: "flags" },
        params,
      }),
      dispatchOver(systems * (lines - 16 * (block + 1)) / 8, {
        kernel: "refit/factor_panel",
        label: "panel",
        bindings: shared,
        params,
      }),
    ];
  }).flat();
  return [
    ...factor,
    {
      kernel: "refit/back_substitute",
      label: "substitution",
      bindings: { ...shared, solutions: "solutions" },
      params: { rows: lines, quads, blocks },
      constants: {},
      workgroups: [systems, 1, 1],
    },
    dispatchOver(systems * size, {
      kernel: "refit/signal_to_noise",
      label: "signals",
      bindings: { systems: "systems", solutions: "solutions", signals: "signals" },
      params: { systems, rows: lines, quads },
    }),
  ];
}

/** Systems A = B B^T + I of one block, of several, and of more lines than a workgroup has lanes; the last is singular. */
async function checkSolve(path: ReadPath): Promise<void> {
  for (
    const { size, systems } of [{ size: 16, systems: 1 }, { size: 48, systems: 11 }, { size: 96, systems: 3 }]
  ) {
    const lines = 2 * size + 8, spoilt = systems - 1;
    const words = new Float32Array(systems * lines * size).fill(NaN);
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
      const own = words.subarray(s * lines * size, (s + 1) * lines * size);
      own.fill(0, size * size);
      for (let a = 0; a < size; a++) {
        for (let b = 0; b <= a || b % 4 !== 0; b++) own[a * size + b] = values[a * size + b];
        own[size * size + a] = right.values[s * size + a];
        own[(size + 8 + a) * size + a] = 1;
      }
      if (systems > 1 && s === spoilt) own[(size - 3) * size + size - 3] = 0.5;
    }
    const { floats, integers } = await runKernels({
      path,
      dispatches: solveDispatches(systems, size, lines),
      buffers: {
        systems: words,
        inverses: systems * size * 16,
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
        solutions: "solutions",
        support: "support",
        counts: "counts",
        chosen: "chosen",
        flags: "flags",
        sums: "sums",
        shift_sums: "shift_sums",
        shift: "shift",
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
    "factor_diagonal(), factor_panel(), back_substitute() and signal_to_noise() solve, and flag": checkSolve,
    "shift() is what the means lack, and flags what is not finite": checkShift,
  };
  for (const [name, check] of Object.entries(checks)) Deno.test(`${name}, ${path} path`, () => check(path));
}
