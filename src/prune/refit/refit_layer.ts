/**
 * Refits one layer: its kept weights become the least-squares solution on new examples.
 *
 * @module
 */
import { ConfigError, NumericError, ShapeError } from "../../errors.ts";
import { bindBuffers, type BoundBuffer, bufferRange, wholeBuffer } from "../../gpu/bind.ts";
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Program } from "../../gpu/executor.ts";
import { readBuffers } from "../../gpu/readback.ts";
import type { QuadRange } from "../../kernels/buffer_ref.ts";
import { countQuads } from "../../shape.ts";
import { checkGeometry, patchQuads, type RefitGeometry } from "./geometry.ts";
import {
  type GramContext,
  gramPanels,
  gramScratchQuads,
  lowerAccumulation,
  lowerCovariances,
  lowerShift,
  noPosition,
  panelQuads,
  sampleQuads,
  segmentSamples,
} from "./gram.ts";
import { Scratch, type ScratchQuads } from "./scratch.ts";
import { lowerSupport } from "./solve.ts";
import { defaultScratchBytes, solveRows } from "./solve_rows.ts";

/** The context of the dispatches over as many samples as are gathered together at most. */
export function makeGramContext(
  { choose, path }: Pick<Gpu, "choose" | "path">,
  geometry: RefitGeometry,
  samples: number,
): GramContext {
  return { geometry, samples: segmentSamples * Math.ceil(samples / segmentSamples), choose, path };
}

/** The buffers of a layer's refit. */
export function layerScratch(context: GramContext): ScratchQuads {
  const { geometry } = context, panels = gramPanels(geometry), outputs = geometry.outChannels;
  const { samples: sampled, ...sums } = gramScratchQuads(context);
  return {
    plain: {
      ...sums,
      positions: context.samples / 2,
      "column_sums": sampleQuads(geometry),
      "cross_covariance": panelQuads(panels, "cross_covariance"),
      damping: 1,
      support: outputs * patchQuads(geometry),
      counts: outputs / 4,
      flags: outputs / 4,
    },
    mirrored: {
      samples: sampled,
      "shift_sums": sampleQuads(geometry),
      covariance: panelQuads(panels, "covariance"),
    },
  };
}

/**
 * Refits one layer: call `accumulate` for all examples, then `solve`, which may be repeated with other masks. With U
 * the sampled patches, T their targets and m, t the means of both over the n samples:
 *
 *     H = U^T U / n - m m^T,  C = U^T T / n - m t^T,  d = damping mean(diag H)
 *     w_r = (H[S_r, S_r] + d I)^-1 (C + d W0^T)[S_r, r]  on the support S_r of every output row r,  b = t - W m
 *
 * the posterior mean of the kept weights given that the others are zero, under a prior around W0. b is the number to
 * add to W x so that the means agree. It is subtracted from a batch norm's running mean; or it is the new bias, if
 * the targets include the bias. Samples are shifted by the mean of the first batch, to avoid cancellation in H and C
 * in f32. Source: Hubara et al. 2021 (AdaPrune), arXiv 2102.08124; Frantar and Alistarh 2022, arXiv 2208.11580.
 *
 * Holds H as a packed triangle, C, and scratch for `samples` patches. Dispose of it to free them.
 */
export class RefitLayer {
  readonly #gpu: Gpu;
  readonly #context: GramContext;
  readonly #scratchBytes: number;
  readonly #scratch: Scratch;
  readonly #takesMeans: boolean;
  readonly #accumulation: Accumulation;
  #count = 0;
  #shiftCount = 0;
  #isCentred = false;

  /**
   * Allocates the buffers of a layer's refit.
   *
   * @throws {ShapeError} If sizes do not fit together, or the adapter's limits do not allow the buffers.
   */
  constructor(gpu: Gpu, geometry: RefitGeometry, options: LayerRefitOptions) {
    const { samples, scratchBytes = defaultScratchBytes, isCentred = true } = options;
    checkGeometry(geometry);
    if (!Number.isInteger(samples) || samples < 1) {
      const wanted = "a whole number above 0";
      throw new ShapeError({
        act: "refit layer",
        thing: geometry.name,
        current: `${samples} samples`,
        wanted,
      });
    }
    this.#gpu = gpu;
    this.#scratchBytes = scratchBytes;
    this.#takesMeans = isCentred;
    this.#context = makeGramContext(gpu, geometry, samples);
    this.#scratch = new Scratch(gpu, geometry.name, layerScratch(this.#context));
    this.#accumulation = new Accumulation(gpu, this.#context, this.#scratch.bound);
  }

  /** The number of accumulated samples. */
  get count(): number {
    return this.#count;
  }

  /**
   * Adds samples of examples to the Gram matrices. The work is submitted without waiting for it.
   *
   * @throws {ShapeError} If a position lies outside the examples.
   * @throws {ConfigError} After a solution.
   */
  async accumulate(examples: RefitExamples): Promise<void> {
    const { positions, targetLines = positions } = examples;
    this.#checkExamples(examples);
    const { samples } = this.#context;
    for (let start = 0; start < positions.length; start += samples) {
      const pairs = new Uint32Array(2 * samples).fill(noPosition);
      const own = Math.min(samples, positions.length - start);
      for (let i = 0; i < own; i++) {
        pairs[2 * i] = positions[start + i];
        pairs[2 * i + 1] = targetLines[start + i];
      }
      this.#scratch.get("positions").write(pairs);
      const { shift, add } = await this.#accumulation.on(examples);
      if (this.#shiftCount === 0) {
        if (this.#takesMeans) shift.run({ "shift_scale": 0 });
        this.#shiftCount = own;
      }
      add.run({ "shift_scale": this.#shiftScale });
      this.#count += own;
    }
  }

  /**
   * Solves every output row on its support, and writes weights, shifts and scores.
   *
   * @throws {ConfigError} If nothing was accumulated, or the damping is no number above 0.
   * @throws {NumericError} If examples or targets are not finite; rows that were not written keep what they have.
   */
  async solve(targets: SolveBuffers): Promise<LayerSolution> {
    const { geometry, path } = this.#context,
      { dense, values, shift, scores, damping: share = 3e-3 } = targets;
    if (this.#count === 0) this.#refuse("no samples", "a call of accumulate() before");
    if (!(share > 0 && share < Infinity)) this.#refuse(`damping ${share}`, "a number above 0");
    const { damping, kept } = await this.#prepare(targets.mask, share);
    const factors = await solveRows(this.#gpu, {
      kept,
      scratchBytes: this.#scratchBytes,
      flags: this.#scratch.get("flags"),
      settings: {
        geometry,
        path,
        subgroupSize: this.#gpu.subgroups?.size,
        denseOffset: dense.offset,
        valuesOffset: values.offset,
        scoresOffset: scores?.offset,
        shiftOffset: 4 * shift.offset,
        scale: 1 / this.#count,
        shiftScale: this.#shiftScale,
      },
      bound: {
        ...this.#scratch.bound,
        dense: boundAt(dense),
        values: boundAt(values),
        shift: boundAt(shift),
        ...(scores ? { scores: boundAt(scores) } : {}),
      },
    });
    if (!factors) this.#fail("rows without a solution");
    const raised = factors.flatMap((factor, row) => factor > 1 ? [{ row, factor }] : []);
    return { damping, kept, raised };
  }

  /** Turns the sums of the first batch into the shift of all samples. */
  get #shiftScale(): number {
    return this.#takesMeans ? 1 / this.#shiftCount : 0;
  }

  /** Turns sums into covariances, once, and finds the damping and every row's kept weights. */
  async #prepare(
    mask: ParameterSlice,
    share: number,
  ): Promise<{ readonly damping: number; readonly kept: readonly number[] }> {
    const { geometry } = this.#context;
    const dispatches = [
      ...(this.#isCentred ? [] : lowerCovariances(geometry, this.#count)),
      ...lowerSupport(geometry, { damping: share, maskOffset: mask.offset }),
    ];
    const sums = this.#scratch.get("column_sums");
    if (!this.#takesMeans) sums.write(new Float32Array(sums.sizeBytes / 4));
    this.#isCentred = true;
    const all: Readonly<Record<string, BoundBuffer>> = {
      ...this.#scratch.bound,
      mask: boundAt(mask),
    };
    using program = await Program.create(this.#gpu, dispatches, {
      bind: bindBuffers("refit", { input: (name) => all[name] }),
    });
    program.run();
    const [counted, damped] = await readBuffers(this.#gpu, [
      { buffer: this.#scratch.get("counts") },
      { buffer: this.#scratch.get("damping"), sizeBytes: 4 },
    ]);
    const kept = [...new Uint32Array(counted, 0, geometry.outChannels)];
    const [damping] = new Float32Array(damped);
    if (!Number.isFinite(damping)) this.#fail(`a mean variance of ${damping}`);
    return { damping, kept };
  }

  #checkExamples({ x, targets, positions, targetLines = positions, skip }: RefitExamples): void {
    if (this.#isCentred) this.#refuse("it was solved", "a new one for more samples");
    const { name, inSize, inChannels, outSize, outChannels } = this.#context.geometry;
    const images = Math.floor(x.quads / (inSize[0] * inSize[1] * countQuads(inChannels)));
    const linesOf = ({ quads }: BoundBuffer) => Math.floor(quads / countQuads(outChannels));
    const own = Math.min(images * outSize[0] * outSize[1], skip ? linesOf(skip.pruned) : Infinity);
    const wanted = Math.min(linesOf(targets), skip ? linesOf(skip.dense) : Infinity);
    const stray = positions.find((position) => position >= own) ?? targetLines.find((line) => line >= wanted);
    if (stray !== undefined) {
      const current = `a sample at ${stray}`, below = `places below ${own}, of targets below ${wanted}`;
      throw new ShapeError({ act: "refit layer", thing: name, current, wanted: below });
    }
    if (targetLines.length === positions.length) return;
    const current = `${targetLines.length} target lines`, length = `${positions.length}`;
    throw new ShapeError({ act: "refit layer", thing: name, current, wanted: length });
  }

  #refuse(current: string, wanted: string): never {
    throw new ConfigError({ act: "refit layer", thing: this.#context.geometry.name, current, wanted });
  }

  #fail(current: string): never {
    const thing = this.#context.geometry.name, wanted = "finite examples and targets";
    throw new NumericError({ act: "refit layer", thing, current, wanted });
  }

  [Symbol.dispose](): void {
    this.#accumulation[Symbol.dispose]();
    this.#scratch[Symbol.dispose]();
  }
}

/** Options of opening a layer's refit. */
export interface LayerRefitOptions {
  /** Maximum samples that are gathered together; memory for so many patches is allocated. */
  readonly samples: number;
  /** Maximum bytes of the systems that are solved side by side; at least one system. Default: 64 MiB. */
  readonly scratchBytes?: number;
  /**
   * False if nothing after the layer can absorb a shift. H and C are then mean products about zero, b is zero, and
   * the weights fit the means too. Default: true.
   */
  readonly isCentred?: boolean;
}

/** Examples of a layer, and the positions of samples. All tensors are on the device, in quads (NHWC). */
export interface RefitExamples {
  /** The pruned network's input of the layer (N, inHeight, inWidth, quads). */
  readonly x: BoundBuffer;
  /** The layer's target (lines, quads of outChannels): the dense network's output, whole or sampled before. */
  readonly targets: BoundBuffer;
  /** Sampled output positions, (n outHeight + oy) outWidth + ox. */
  readonly positions: Uint32Array;
  /** The line of `targets`, and of `skip.dense`, of each sample. Default: `positions`. */
  readonly targetLines?: Uint32Array;
  /**
   * For a convolution at the end of a residual block: the term that is added after its batch norm, which multiplies
   * by alpha.
   */
  readonly skip?: {
    /** In the dense network (lines, quads of outChannels). */
    readonly dense: BoundBuffer;
    /** In the pruned one (N outHeight outWidth, quads of outChannels). */
    readonly pruned: BoundBuffer;
    /** gamma / sqrt(variance + epsilon) (quads of outChannels). */
    readonly alpha: BoundBuffer;
  };
}

/** A slice of a buffer: an arena and the first quad of a layer's parameter. */
export interface ParameterSlice {
  readonly buffer: DeviceBuffer;
  /** The quads that are bound. Default: all. */
  readonly range?: QuadRange;
  /** The first bound quad. */
  readonly offset: number;
}

/** The bound part of a slice's buffer. */
function boundAt({ buffer, range }: ParameterSlice): BoundBuffer {
  return range ? bufferRange(buffer, range) : wholeBuffer(buffer);
}

/** The inputs and outputs of a solution. Weights are (rows, taps, quads of channels). */
export interface SolveBuffers {
  /** 1 keeps a weight, 0 removes it. */
  readonly mask: ParameterSlice;
  /** The weights W0 to which the damping pulls. */
  readonly dense: ParameterSlice;
  /** The output for the weights, including zeros. It may be `dense` itself, which is then overwritten. */
  readonly values: ParameterSlice;
  /** The output for b = t - W m, one float per output channel, from quad `offset` on. */
  readonly shift: ParameterSlice;
  /**
   * The output for z = |w| / sqrt([H_SS^-1]_jj), laid out as the weights, 0 for removed ones. Default: not computed.
   */
  readonly scores?: ParameterSlice;
  /** The damping as a share of the mean diagonal of H. Default: 3e-3. */
  readonly damping?: number;
}

/** The result of a layer's refit. */
export interface LayerSolution {
  /** The damping d, in units of the inputs' variance. */
  readonly damping: number;
  /** Kept weights of each output row. */
  readonly kept: readonly number[];
  /** Rows whose systems were singular in f32, with the factor by which their damping was raised. */
  readonly raised: readonly { readonly row: number; readonly factor: number }[];
}

/** The programs on the buffers of some examples. */
interface ExamplePrograms {
  readonly examples: RefitExamples;
  /** Sets the shift of all following samples to the mean of these. */
  readonly shift: Program;
  /** Adds samples, less the shift, to the sums. */
  readonly add: Program;
}

/** Caches the programs for the last used buffers. Dispose of it to free them. */
export class Accumulation {
  readonly #gpu: Gpu;
  readonly #context: GramContext;
  readonly #scratch: Readonly<Record<string, BoundBuffer>>;
  #held: ExamplePrograms | undefined;

  constructor(gpu: Gpu, context: GramContext, scratch: Readonly<Record<string, BoundBuffer>>) {
    this.#gpu = gpu;
    this.#context = context;
    this.#scratch = scratch;
  }

  /** The programs for examples in these buffers. */
  async on(examples: RefitExamples): Promise<ExamplePrograms> {
    const held = this.#held;
    if (held && boundBuffers(held.examples).every((bound, i) => bound === boundBuffers(examples)[i])) {
      return held;
    }
    this[Symbol.dispose]();
    const { x, targets, skip } = examples;
    const all: Readonly<Record<string, BoundBuffer>> = {
      ...this.#scratch,
      x,
      "target_values": targets,
      ...(skip ? { "skip_dense": skip.dense, "skip_pruned": skip.pruned, alpha: skip.alpha } : {}),
    };
    const bind = bindBuffers("refit", { input: (name) => all[name] });
    const withSkip = skip !== undefined;
    const shift = await Program.create(this.#gpu, lowerShift(this.#context, withSkip), { bind });
    const add = await Program.create(this.#gpu, lowerAccumulation(this.#context, withSkip), { bind });
    return this.#held = { examples, shift, add };
  }

  [Symbol.dispose](): void {
    this.#held?.shift[Symbol.dispose]();
    this.#held?.add[Symbol.dispose]();
    this.#held = undefined;
  }
}

/** The buffers that a program on examples binds, and their bound parts. */
function boundBuffers({ x, targets, skip }: RefitExamples): readonly unknown[] {
  const bound = [x, targets, skip?.dense, skip?.pruned, skip?.alpha];
  return bound.flatMap((range) => [range?.buffer, range?.quads]);
}
