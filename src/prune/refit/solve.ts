/**
 * Solving the normal equations of output rows, each on its own support, as dispatches.
 *
 * @module
 */
import type { ReadPath } from "../../kernels/assemble.ts";
import { checkIterations, type Dispatch, dispatchOver, spreadWorkgroups } from "../../kernels/dispatch.ts";
import { quadsOf } from "../../shape.ts";
import { blockColumns, type SystemBatch } from "./batches.ts";
import { patchQuads, type RefitGeometry } from "./geometry.ts";

/** The dispatches that find the damping and list the kept weights, into `damping`, `support` and `counts`. */
export function lowerSupport(
  geometry: RefitGeometry,
  { damping, maskOffset }: { readonly damping: number; readonly maskOffset: number },
): readonly Dispatch[] {
  const { name, inChannels, outChannels } = geometry;
  const quads = patchQuads(geometry), inQuads = quadsOf(inChannels);
  return [
    {
      kernel: "refit/damping",
      label: `${name} damping`,
      bindings: { covariance: "covariance", damping: "damping" },
      params: { columns: 4 * quads, width: 4 * inQuads, channels: inChannels, share: damping },
      constants: {},
      workgroups: [1, 1, 1],
    },
    dispatchOver(outChannels, {
      kernel: "refit/support",
      label: `${name} support`,
      bindings: { mask: "mask", support: "support", counts: "counts" },
      params: {
        rows: outChannels,
        row_quads: quads,
        in_quads: inQuads,
        channels: inChannels,
        offset: maskOffset,
      },
    }),
  ];
}

/** Where a batch's results go, and what the means take. */
export interface SolveSettings {
  readonly geometry: RefitGeometry;
  /** First quad of the dense weight, of the refit one and, where asked for, of its signal to noise. */
  readonly denseOffset: number;
  readonly valuesOffset: number;
  readonly scoresOffset: number | undefined;
  /** First float of the outputs' shifts. */
  readonly shiftOffset: number;
  /** 1 / samples in all, and 1 / samples of the preliminary mean. */
  readonly scale: number;
  readonly shiftScale: number;
  /** How systems are read. */
  readonly path: ReadPath;
}

/** The dispatches that set up, factor and solve a batch of systems, and bring the results to their places. */
export function lowerSolve(batch: SystemBatch, settings: SolveSettings): readonly Dispatch[] {
  return [
    ...lowerSystems(batch, settings),
    ...lowerFactor(batch, settings),
    ...lowerResults(batch, settings),
  ];
}

/** The matrices' lower triangles, two lines of which together are a line and a quad long; then all lines below. */
function lowerSystems(
  { rows, size, lines }: SystemBatch,
  { geometry, denseOffset }: SolveSettings,
): readonly Dispatch[] {
  const systems = rows.length,
    columns = 4 * patchQuads(geometry),
    label = `${geometry.name} systems of ${size}`;
  const shared = { damping: "damping", support: "support", counts: "counts", chosen: "chosen" };
  const params = { systems, rows: lines, size, columns };
  return [
    dispatchOver(systems * (size / 2) * (size / 4 + 1), {
      kernel: "refit/gather_systems",
      label,
      bindings: { ...shared, covariance: "covariance", systems: "systems" },
      params,
    }),
    dispatchOver(systems * (lines - size) * size / 4, {
      kernel: "refit/gather_right_sides",
      label: `${label}, right sides`,
      bindings: { ...shared, cross_covariance: "cross_covariance", dense: "dense", systems: "systems" },
      params: { ...params, dense_offset: 4 * denseOffset },
    }),
  ];
}

/** Cholesky by block columns from the left, then the substitution from the last one back. */
function lowerFactor(
  { rows, size, lines }: SystemBatch,
  { geometry, path }: SolveSettings,
): readonly Dispatch[] {
  const systems = rows.length, quads = size / 4, blocks = size / blockColumns;
  const label = (what: string) => `${geometry.name} ${what}`;
  const shared = { systems: "systems", inverses: "inverses" };
  const dispatches = Array.from({ length: blocks }, (_, block): Dispatch[] => {
    const params = { systems, rows: lines, quads, blocks, block };
    const diagonal = dispatchOver(systems, {
      kernel: "refit/factor_diagonal",
      label: label(`diagonal ${block}`),
      bindings: { ...shared, damping: "damping", chosen: "chosen", flags: "flags" },
      params,
    });
    const panel = dispatchOver(systems * (lines - blockColumns * (block + 1)) / 8, {
      kernel: "refit/factor_panel",
      label: label(`panel ${block}`),
      bindings: shared,
      params,
    });
    return [{ ...diagonal, path }, { ...panel, path }];
  }).flat();
  // An invocation takes every 64th line of each block, and 64 sums.
  checkIterations("refit/back_substitute", blocks * (69 + Math.ceil(size / 128)));
  return [...dispatches, {
    kernel: "refit/back_substitute",
    label: label("substitution"),
    bindings: { ...shared, solutions: "solutions" },
    params: { rows: lines, quads, blocks },
    constants: {},
    workgroups: spreadWorkgroups(systems),
    path,
  }];
}

function lowerResults(
  { rows, size, lines }: SystemBatch,
  { geometry, path, valuesOffset, scoresOffset, shiftOffset, scale, shiftScale }: SolveSettings,
): readonly Dispatch[] {
  const systems = rows.length, rowQuads = patchQuads(geometry), { name } = geometry;
  const shared = { support: "support", counts: "counts", chosen: "chosen", flags: "flags" };
  const scatter = (solved: string, out: string, offset: number) =>
    dispatchOver(systems, {
      kernel: "refit/scatter",
      label: `${name} ${out}`,
      bindings: { ...shared, solved, out },
      params: { systems, size, row_quads: rowQuads, offset },
    });
  const shift = dispatchOver(systems, {
    kernel: "refit/shift",
    label: `${name} shift`,
    bindings: {
      ...shared,
      solutions: "solutions",
      sums: "column_sums",
      shift_sums: "shift_sums",
      shift: "shift",
    },
    params: {
      systems,
      size,
      columns: 4 * rowQuads,
      offset: shiftOffset,
      scale,
      shift_scale: shiftScale,
    },
  });
  // The shift goes first: it flags what is not finite.
  const weights = [shift, scatter("solutions", "values", valuesOffset)];
  if (scoresOffset === undefined) return weights;
  const signals = dispatchOver(systems * size, {
    kernel: "refit/signal_to_noise",
    label: `${name} signal to noise`,
    bindings: { systems: "systems", solutions: "solutions", signals: "signals" },
    params: { systems, rows: lines, quads: size / 4 },
  });
  return [...weights, { ...signals, path }, scatter("signals", "scores", scoresOffset)];
}
