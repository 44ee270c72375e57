/**
 * The programs that add a layer's samples to its Gram matrices.
 *
 * @module
 */
import { bindBuffers, type BoundBuffer } from "../../gpu/bind.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Program } from "../../gpu/executor.ts";
import { type GramContext, lowerAccumulation, lowerShift } from "./gram.ts";
import type { RefitExamples } from "./refit_types.ts";

/** Programs on the buffers of some examples. */
interface ExamplePrograms {
  readonly examples: RefitExamples;
  /** Takes the samples' means for the shift of all that follow. */
  readonly shift: Program;
  /** Adds samples, less the shift, to the sums. */
  readonly add: Program;
}

/** Keeps the programs for the buffers that were seen last. Dispose of it to free them. */
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

/** The buffers that a program on examples binds, and how much of them. */
function boundBuffers({ x, targets, skip }: RefitExamples): readonly unknown[] {
  const bound = [x, targets, skip?.dense, skip?.pruned, skip?.alpha];
  return bound.flatMap((place) => [place?.buffer, place?.quads]);
}
