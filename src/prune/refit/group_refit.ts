/**
 * The refit of one group of a layer's channels: all channels, unless the layer is a grouped convolution.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { Gpu } from "../../gpu/device.ts";
import type { Program } from "../../gpu/executor.ts";
import { countQuads } from "../../shape.ts";
import { type LayerSolution, type RefitExamples, RefitLayer, type SolveBuffers } from "./refit_layer.ts";
import { type BoundBuffer, wholeBuffer } from "../../gpu/bind.ts";
import type { LayerTargets } from "./refit_target.ts";
import { openRowGather } from "./gather_rows.ts";
import type { RefittableLayer } from "./refittable_layers.ts";

/** The tensors of a batch in the pruned network, and the targets of all batches. */
export interface GroupSource {
  readonly layer: RefittableLayer;
  readonly group: number;
  /** The layer's input, and the other terms of the sum that reads its output. */
  readonly x: BoundBuffer;
  readonly terms: readonly BoundBuffer[];
  readonly targets: LayerTargets;
  /** The factor of a batch norm for each output channel of the layer. */
  readonly alpha: Float32Array;
  /** Maximum examples and samples of a batch. */
  readonly batch: number;
  readonly samples: number;
  /** False if nothing can absorb the shift. */
  readonly isCentred: boolean;
}

/** A buffer of a group that is filled from one of all groups. */
interface GroupPart {
  readonly channels: number;
  readonly lines: number;
  /** Lines of an example, or as many as the batch has samples. */
  readonly each: number | "samples";
}

/** The buffers of a group. */
export type GroupParts = Readonly<Record<"input" | "targets" | "dense skip" | "skip", GroupPart>>;

/** The sizes of a group's buffers. */
export function measureParts(
  { geometry: { inChannels, outChannels, inSize, outSize } }: RefittableLayer,
  { batch, samples }: Pick<GroupSource, "batch" | "samples">,
): GroupParts {
  const pixels = inSize[0] * inSize[1], outPixels = outSize[0] * outSize[1];
  const sampled = { channels: outChannels, lines: samples, each: "samples" } as const;
  return {
    input: { channels: inChannels, lines: batch * pixels, each: pixels },
    targets: sampled,
    "dense skip": sampled,
    skip: { channels: outChannels, lines: batch * outPixels, each: outPixels },
  };
}

/** True if a group needs a buffer of its own for what lies in so many tensors: it is a part of them, or their sum. */
export function isCopied({ groups }: RefittableLayer, tensors: number): boolean {
  return groups > 1 || tensors !== 1;
}

/** A group during the accumulation of its samples. Dispose of it to free its memory. */
export class GroupRefit {
  readonly #refit: RefitLayer;
  readonly #examples: Omit<RefitExamples, "positions" | "targetLines">;
  readonly #held: readonly DeviceBuffer[];
  /**
   * The programs that fill the group's buffers from those of all groups: a batch's tensors, or a batch's lines of
   * targets.
   */
  readonly #copies: readonly { readonly program: Program; readonly lines: number | "samples" }[];
  /** True if the targets are those of one batch at a time. */
  readonly #isPart: boolean;

  private constructor(
    refit: RefitLayer,
    examples: Omit<RefitExamples, "positions" | "targetLines">,
    parts: {
      readonly held: readonly DeviceBuffer[];
      readonly copies: readonly { readonly program: Program; readonly lines: number | "samples" }[];
      readonly isPart: boolean;
    },
  ) {
    this.#refit = refit;
    this.#examples = examples;
    this.#held = parts.held;
    this.#copies = parts.copies;
    this.#isPart = parts.isPart;
  }

  /**
   * Allocates the buffers of the group's refit.
   *
   * @throws {ShapeError} If the adapter's limits do not allow it.
   */
  static async open(gpu: Gpu, source: GroupSource): Promise<GroupRefit> {
    const { layer, group, targets, alpha, batch, samples, isCentred } = source;
    const { name, groups, geometry: { outChannels } } = layer;
    const held: DeviceBuffer[] = [], copies: { program: Program; lines: number | "samples" }[] = [];
    const isPart = groups > 1, parts = measureParts(layer, { batch, samples });
    const take = async (what: keyof GroupParts, from: readonly BoundBuffer[]): Promise<BoundBuffer> => {
      if (!isCopied(layer, from.length)) return from[0];
      const { channels, lines, each } = parts[what];
      const to = gpu.createBuffer(`${name} ${what} of group ${group}`, 16 * lines * countQuads(channels));
      held.push(to);
      for (const [i, tensor] of from.entries()) {
        const program = await openRowGather(gpu, {
          label: `${name} ${what} of group ${group}`,
          from: tensor,
          inChannels: groups * channels,
          lines,
          to,
          firstChannel: group * channels,
          channels,
          accumulate: i > 0,
        });
        copies.push({ program, lines: each });
      }
      return wholeBuffer(to);
    };
    let refit: RefitLayer | undefined;
    try {
      const x = await take("input", [source.x]);
      const wanted = await take("targets", [wholeBuffer(targets.outputs)]);
      const skip = targets.skip && {
        dense: await take("dense skip", [wholeBuffer(targets.skip)]),
        pruned: await take("skip", source.terms),
        alpha: wholeBuffer(gpu.createBuffer(`${name} alpha`, 16 * countQuads(outChannels))),
      };
      if (skip) {
        const first = group * outChannels;
        skip.alpha.buffer.write(alpha.slice(first, first + outChannels));
        held.push(skip.alpha.buffer);
      }
      refit = new RefitLayer(gpu, layer.geometry, { samples, isCentred });
      return new GroupRefit(refit, { x, targets: wanted, ...(skip ? { skip } : {}) }, {
        held,
        copies,
        isPart,
      });
    } catch (error) {
      refit?.[Symbol.dispose]();
      for (const { program } of copies) program[Symbol.dispose]();
      for (const buffer of held) buffer[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Adds the samples of the present batch.
   *
   * @param positions Their positions. Their lines in the targets begin at `firstLine`.
   */
  async accumulate(positions: Uint32Array, { count, firstLine }: {
    readonly count: number;
    readonly firstLine: number;
  }): Promise<void> {
    for (const { program, lines } of this.#copies) {
      const ofBatch = lines === "samples";
      program.run({
        count: ofBatch ? positions.length : count * lines,
        "first_line": ofBatch ? firstLine : 0,
        "first_out": 0,
      });
    }
    const first = this.#isPart ? 0 : firstLine;
    const targetLines = Uint32Array.from(positions, (_, i) => first + i);
    await this.#refit.accumulate({ ...this.#examples, positions, targetLines });
  }

  /** Solves the group's rows; see `RefitLayer.solve`. */
  async solve(targets: SolveBuffers): Promise<LayerSolution> {
    return await this.#refit.solve(targets);
  }

  [Symbol.dispose](): void {
    this.#refit[Symbol.dispose]();
    for (const { program } of this.#copies) program[Symbol.dispose]();
    for (const buffer of this.#held) buffer[Symbol.dispose]();
  }
}
