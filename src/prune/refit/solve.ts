/**
 * The dispatches that solve the normal equations of output rows, each on its own support.
 *
 * @module
 */
import type { ReadPath } from "../../kernels/interface.ts";
import { inputRef } from "../../kernels/buffer_ref.ts";
import { checkIterations, type Dispatch, dispatchOver, spreadWorkgroups } from "../../kernels/dispatch.ts";
import { coreSubgroupSize } from "../../gpu/subgroups.ts";
import { countQuads } from "../../shape.ts";
import { patchQuads, type RefitGeometry } from "./geometry.ts";

/** Columns per block of the factorisation; sizes are multiples of it. */
export const blockColumns = 32;

/** Kept quads of a system's diagonal block: its factor's inverses (kernels/refit/systems.wgsl). */
export const recordQuads = 192;

/** Quads of a diagonal block. */
export const diagonalQuads = blockColumns * blockColumns / 4;

/** Lines of the right side; the last seven are zeros. */
const rightSideLines = 8;

/** The layout of a system in block columns, one after the other (kernels/refit/systems.wgsl). */
export interface SystemLayout {
  /** Columns of its matrix. */
  readonly size: number;
  /** Lines of the first block column: the matrix, the right side and, if asked for, a block of the identity. */
  readonly lines: number;
  /** Lines by which each block column is shorter than the one before. */
  readonly shrink: number;
}

/** Systems of one size that are solved side by side, one per output row with at most as many kept weights. */
export interface SystemBatch extends SystemLayout {
  readonly rows: readonly number[];
}

/** Minimum number of systems side by side before a much smaller one is deferred: the lanes of most processors. */
const minSystems = 8;

/** A smaller system is deferred if it has fewer than this share of the largest system's columns. */
const minShare = 0.75;

/** The layout of systems of a size, with or without lines of the identity. */
export function systemLayout(size: number, withIdentity: boolean): SystemLayout {
  const lines = size + rightSideLines;
  return withIdentity
    ? { size, lines: lines + blockColumns, shrink: 0 }
    : { size, lines, shrink: blockColumns };
}

/** Lines of a block column of a system. */
function blockLines({ lines, shrink }: SystemLayout, block: number): number {
  return lines - shrink * block;
}

/** Quads of the first block columns of a system, or of all. */
export function systemQuads(layout: SystemLayout, blocks = layout.size / blockColumns): number {
  return blockColumns / 4 * (layout.lines * blocks - layout.shrink * blocks * (blocks - 1) / 2);
}

/**
 * Groups output rows by the number of their kept weights, largest first, ties by row.
 *
 * @param rows The output rows to solve.
 * @param counts Kept weights of every output row.
 * @param scratchQuads Maximum quads of the systems of a batch; a single system may need more.
 * @param withIdentity True to compute the inverse's diagonal.
 */
export function batchSystems(
  rows: readonly number[],
  { counts, scratchQuads, withIdentity }: {
    readonly counts: ArrayLike<number>;
    readonly scratchQuads: number;
    readonly withIdentity: boolean;
  },
): readonly SystemBatch[] {
  const sizeOf = (row: number) => blockColumns * Math.max(1, Math.ceil(counts[row] / blockColumns));
  const sorted = [...rows].sort((a, b) => counts[b] - counts[a] || a - b);
  const batches: SystemBatch[] = [];
  for (let start = 0; start < sorted.length;) {
    const layout = systemLayout(sizeOf(sorted[start]), withIdentity), { size } = layout;
    const maxRows = Math.max(1, Math.floor(scratchQuads / systemQuads(layout)));
    let end = start + 1;
    while (end < sorted.length && end - start < maxRows) {
      if (end - start >= minSystems && sizeOf(sorted[end]) < minShare * size) break;
      end++;
    }
    batches.push({ rows: sorted.slice(start, end), ...layout });
    start = end;
  }
  return batches;
}

/** The dispatches that find the damping and list the kept weights, into `damping`, `support` and `counts`. */
export function lowerSupport(
  geometry: RefitGeometry,
  { damping, maskOffset }: { readonly damping: number; readonly maskOffset: number },
): readonly Dispatch[] {
  const { name, inChannels, outChannels } = geometry;
  const quads = patchQuads(geometry), inQuads = countQuads(inChannels);
  return [
    {
      kernel: "refit/damping",
      label: `${name} damping`,
      bindings: { covariance: inputRef("covariance"), damping: inputRef("damping") },
      params: { columns: 4 * quads, width: 4 * inQuads, channels: inChannels, share: damping },
      constants: {},
      workgroups: [1, 1, 1],
    },
    dispatchOver(outChannels, {
      kernel: "refit/support",
      label: `${name} support`,
      bindings: { mask: inputRef("mask"), support: inputRef("support"), counts: inputRef("counts") },
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

/** The outputs of a batch, and the scales of the means. */
export interface SolveSettings {
  readonly geometry: RefitGeometry;
  /** First quad of the dense weight, of the refitted weight and, if asked for, of its signal to noise. */
  readonly denseOffset: number;
  readonly valuesOffset: number;
  readonly scoresOffset: number | undefined;
  /** First float of the outputs' shifts. */
  readonly shiftOffset: number;
  /** 1 / number of all samples, and 1 / number of samples of the preliminary mean. */
  readonly scale: number;
  readonly shiftScale: number;
  /** The read path of systems. */
  readonly path: ReadPath;
  /** Lanes of the device's subgroups, if they work. */
  readonly subgroupSize: number | undefined;
}

/** The dispatches that set up, factor and solve a batch of systems, and write the results. */
export function lowerSolve(batch: SystemBatch, settings: SolveSettings): readonly Dispatch[] {
  return [
    ...lowerSystems(batch, settings),
    ...lowerFactor(batch, settings),
    ...lowerResults(batch, settings),
  ];
}

/** The layout of a batch's systems, as params of all kernels. */
function layoutParams({ rows, size, lines, shrink }: SystemBatch) {
  return { systems: rows.length, size, lines, shrink };
}

/** The matrices' lower triangles by block columns, two of which are size + 32 lines long; then the lines below. */
function lowerSystems(
  batch: SystemBatch,
  { geometry, denseOffset, path }: SolveSettings,
): readonly Dispatch[] {
  const { rows, size } = batch, systems = rows.length;
  const columns = 4 * patchQuads(geometry), label = `${geometry.name} systems of ${size}`;
  const shared = {
    damping: inputRef("damping"),
    support: inputRef("support"),
    counts: inputRef("counts"),
    chosen: inputRef("chosen"),
  };
  const params = { ...layoutParams(batch), columns };
  const matrices = dispatchOver(systems * Math.ceil(size / blockColumns / 2) * (size + blockColumns) / 4, {
    kernel: "refit/gather_systems",
    label,
    bindings: { ...shared, covariance: inputRef("covariance"), systems: inputRef("systems") },
    params,
  });
  const rightSides = dispatchOver(systems * 8 * size / 4, {
    kernel: "refit/gather_right_sides",
    label: `${label}, right sides`,
    bindings: {
      ...shared,
      cross_covariance: inputRef("cross_covariance"),
      dense: inputRef("dense"),
      systems: inputRef("systems"),
    },
    params: { ...params, dense_offset: 4 * denseOffset },
  });
  return [{ ...matrices, path }, rightSides];
}

/**
 * The lines of a diagonal block minus the blocks to the left, or the lines below it, factored: four per invocation.
 */
function lowerPanel(
  batch: SystemBatch,
  { block, isDiagonal }: { readonly block: number; readonly isDiagonal: boolean },
  { geometry, path, subgroupSize }: SolveSettings,
): Dispatch {
  const systems = batch.rows.length, withSubgroups = subgroupSize === coreSubgroupSize;
  const groups = (isDiagonal ? blockColumns : blockLines(batch, block) - blockColumns) / 4;
  const first = systems * systemQuads(batch, block), end = systems * systemQuads(batch, block + 1);
  const dispatch = dispatchOver(systems * groups, {
    kernel: withSubgroups ? "refit/factor_panel_subgroup" : "refit/factor_panel",
    label: `${geometry.name} ${isDiagonal ? "diagonal" : "panel"} ${block}`,
    bindings: {
      systems: inputRef("systems"),
      inverses: inputRef("inverses"),
      diagonals: inputRef("diagonals"),
    },
    params: { ...layoutParams(batch), block },
    constants: { IS_DIAGONAL: isDiagonal ? 1 : 0 },
  });
  return {
    ...dispatch,
    // A subgroup works on lines of one system, eight per lane.
    ...(withSubgroups
      ? { workgroups: spreadWorkgroups(systems * Math.ceil(groups / (2 * coreSubgroupSize))) }
      : {}),
    path,
    writes: { systems: { first, quads: isDiagonal ? 0 : end - first } },
  };
}

/** Cholesky by block columns from the left, then the substitution from the last one back. */
function lowerFactor(batch: SystemBatch, settings: SolveSettings): readonly Dispatch[] {
  const { rows, size } = batch, { geometry, path } = settings;
  const systems = rows.length, blocks = size / blockColumns;
  const dispatches = Array.from({ length: blocks }, (_, block): Dispatch[] => {
    const records = systems * recordQuads;
    const diagonal = dispatchOver(systems, {
      kernel: "refit/factor_diagonal",
      label: `${geometry.name} inverses ${block}`,
      bindings: {
        diagonals: inputRef("diagonals"),
        inverses: inputRef("inverses"),
        damping: inputRef("damping"),
        chosen: inputRef("chosen"),
        flags: inputRef("flags"),
      },
      params: { ...layoutParams(batch), block },
    });
    return [
      lowerPanel(batch, { block, isDiagonal: true }, settings),
      { ...diagonal, writes: { inverses: { first: block * records, quads: records } } },
      lowerPanel(batch, { block, isDiagonal: false }, settings),
    ];
  }).flat();
  // An invocation works on every 16th line of each block: 16 sums, and the products with the inverses.
  checkIterations("refit/back_substitute", blocks * (32 + Math.ceil(size / 32)));
  return [...dispatches, {
    kernel: "refit/back_substitute",
    label: `${geometry.name} substitution`,
    bindings: {
      systems: inputRef("systems"),
      inverses: inputRef("inverses"),
      solutions: inputRef("solutions"),
    },
    params: layoutParams(batch),
    constants: {},
    workgroups: spreadWorkgroups(systems),
    path,
  }];
}

function lowerResults(
  batch: SystemBatch,
  { geometry, path, valuesOffset, scoresOffset, shiftOffset, scale, shiftScale }: SolveSettings,
): readonly Dispatch[] {
  const { rows: { length: systems }, size } = batch, rowQuads = patchQuads(geometry), { name } = geometry;
  const shared = {
    support: inputRef("support"),
    counts: inputRef("counts"),
    chosen: inputRef("chosen"),
    flags: inputRef("flags"),
  };
  const scatter = (solved: string, out: string, offset: number) =>
    dispatchOver(systems, {
      kernel: "refit/scatter",
      label: `${name} ${out}`,
      bindings: { ...shared, solved: inputRef(solved), out: inputRef(out) },
      params: { systems, size, row_quads: rowQuads, offset },
    });
  const shift = dispatchOver(systems, {
    kernel: "refit/shift",
    label: `${name} shift`,
    bindings: {
      ...shared,
      solutions: inputRef("solutions"),
      sums: inputRef("column_sums"),
      shift_sums: inputRef("shift_sums"),
      shift: inputRef("shift"),
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
  // The shift comes first: it flags numbers that are not finite.
  const weights = [shift, scatter("solutions", "values", valuesOffset)];
  if (scoresOffset === undefined) return weights;
  const signals = dispatchOver(systems * size, {
    kernel: "refit/z",
    label: `${name} signal to noise`,
    bindings: {
      systems: inputRef("systems"),
      solutions: inputRef("solutions"),
      signals: inputRef("signals"),
    },
    params: layoutParams(batch),
  });
  return [...weights, { ...signals, path }, scatter("signals", "scores", scoresOffset)];
}
