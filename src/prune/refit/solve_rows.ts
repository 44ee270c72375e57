/**
 * Solves output rows on a device, batch by batch, with more damping for rows that are singular in f32.
 *
 * @module
 */
import { bindBuffers, type BoundBuffer } from "../../gpu/bind.ts";
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Program } from "../../gpu/executor.ts";
import { readBuffers } from "../../gpu/readback.ts";
import {
  batchSystems,
  blockColumns,
  diagonalQuads,
  lowerSolve,
  recordQuads,
  type SolveSettings,
  type SystemBatch,
  systemQuads,
} from "./solve.ts";
import { Scratch, type ScratchQuads } from "./scratch.ts";

/** Maximum bytes of the systems that are solved side by side, unless others are asked for: 64 MiB. */
export const defaultScratchBytes = 2 ** 26;

/** The rows to solve, and their buffers. */
export interface RowSolve {
  /** Kept weights of every output row. */
  readonly kept: readonly number[];
  /** Maximum bytes of the systems of a batch; a single system may need more. */
  readonly scratchBytes: number;
  readonly settings: SolveSettings;
  /** The buffer `flags`, one word per output row. */
  readonly flags: DeviceBuffer;
  /** All other buffers of the dispatches, except the systems'. */
  readonly bound: Readonly<Record<string, BoundBuffer>>;
}

/**
 * Maximum number of tenfold raises of a row's damping: from the default to 3 x 10^5 times the inputs' mean variance.
 */
const maxRaises = 8;

/**
 * Solves every output row. Singular rows are solved again with ten times the damping.
 *
 * @returns The factor by which each row's damping was raised (1: not raised); undefined if a row needs more than any
 *   finite system does.
 */
export async function solveRows(gpu: Gpu, solve: RowSolve): Promise<readonly number[] | undefined> {
  const factors = solve.kept.map(() => 1);
  let rows: readonly number[] = [...factors.keys()];
  for (let raises = 0; raises <= maxRaises; raises++) {
    rows = await solveOnce(gpu, { rows, factors, solve });
    if (rows.length === 0) return factors;
    for (const row of rows) factors[row] *= 10;
  }
  return undefined;
}

/** Solves rows with the present damping factors, and returns the singular rows. */
async function solveOnce(gpu: Gpu, { rows, factors, solve }: {
  readonly rows: readonly number[];
  readonly factors: readonly number[];
  readonly solve: RowSolve;
}): Promise<number[]> {
  const { kept, scratchBytes, settings, flags, bound } = solve;
  const withIdentity = settings.scoresOffset !== undefined;
  const batches = batchSystems(rows, { counts: kept, scratchQuads: scratchBytes / 16, withIdentity });
  using scratch = new Scratch(gpu, settings.geometry.name, solveScratch(batches));
  flags.write(new Uint32Array(kept.length));
  for (const batch of batches) {
    const chosen = new DataView(new ArrayBuffer(8 * batch.rows.length));
    batch.rows.forEach((row, i) => {
      chosen.setUint32(8 * i, row, true);
      chosen.setFloat32(8 * i + 4, factors[row], true);
    });
    scratch.get("chosen").write(new Uint8Array(chosen.buffer));
    // Only the quads of the batch are mirrored.
    const systems = { buffer: scratch.get("systems"), quads: batch.rows.length * systemQuads(batch) };
    const all: Readonly<Record<string, BoundBuffer>> = { ...bound, ...scratch.bound, systems };
    using program = await Program.create(gpu, lowerSolve(batch, settings), {
      bind: bindBuffers("refit", { input: (name) => all[name] }),
    });
    program.run();
  }
  const [bytes] = await readBuffers(gpu, [{ buffer: flags }]);
  const failed = new Uint32Array(bytes);
  return rows.filter((row) => failed[row] !== 0);
}

/** Buffers that are large enough for all batches. */
export function solveScratch(batches: readonly SystemBatch[]): ScratchQuads {
  const maxOf = (quadsOfBatch: (batch: SystemBatch) => number) => Math.max(...batches.map(quadsOfBatch));
  const columns = maxOf(({ rows, size }) => rows.length * size / 4);
  return {
    plain: {
      solutions: columns,
      signals: columns,
      chosen: maxOf(({ rows }) => rows.length / 2),
      diagonals: maxOf(({ rows }) => rows.length * diagonalQuads),
    },
    mirrored: {
      systems: maxOf((batch) => batch.rows.length * systemQuads(batch)),
      inverses: columns * 4 / blockColumns * recordQuads,
    },
  };
}
