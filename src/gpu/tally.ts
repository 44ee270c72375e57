/**
 * The tally of losses and hits, to which steps add and which the host reads once every many steps; and the results
 * that evaluation keeps per example.
 *
 * @module
 */
import { Owner } from "../dispose.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { readBuffers } from "./readback.ts";

/** A step with a number that is not finite. */
export interface BadStep {
  /** The index of the step. */
  readonly step: number;
  /** True if it was the loss or a logit; false if it was a stored number or its gradient. */
  readonly isLoss: boolean;
}

/** The counts of the steps since the last clearing. */
export interface TallyCount {
  /** Sum of the losses of all examples. */
  readonly lossSum: number;
  readonly correct: number;
  readonly count: number;
  /** The first step with a loss or a value that is not finite, or undefined. */
  readonly bad: BadStep | undefined;
}

/** Kernels note twice the index of a bad step, plus one if a stored number was bad and not the loss. */
const noBadStep = 0xffffffff;

/** The tally on the device. */
export class Tally {
  readonly buffer: DeviceBuffer;
  readonly #gpu: Gpu;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.buffer = gpu.createBuffer("tally", 16);
    this.clear();
  }

  /** Sets the counts to zero and forgets a bad step. */
  clear(): void {
    this.buffer.write(Uint32Array.of(0, 0, 0, noBadStep));
  }

  /** Sets the counts to those of an earlier reading, without a bad step. */
  restore({ lossSum, correct, count }: Omit<TallyCount, "bad">): void {
    const words = Uint32Array.of(0, correct, count, noBadStep);
    new Float32Array(words.buffer)[0] = lossSum;
    this.buffer.write(words);
  }

  /** Reads the counts after all steps submitted so far. */
  async read(): Promise<TallyCount> {
    const [bytes] = await readBuffers(this.#gpu, [{ buffer: this.buffer }]);
    const [, correct, count, badStep] = new Uint32Array(bytes);
    const lossSum = new Float32Array(bytes)[0];
    const bad = badStep === noBadStep ? undefined : { step: badStep >>> 1, isLoss: badStep % 2 === 0 };
    return { lossSum, correct, count, bad };
  }

  [Symbol.dispose](): void {
    this.buffer[Symbol.dispose]();
  }
}

/** What an evaluation counts. */
export interface CountedSizes {
  readonly classes: number;
  readonly examples: number;
}

/** Bytes of each input of a plan of mode `evaluate` besides its examples. */
export function evaluationInputBytes({ classes, examples }: CountedSizes) {
  return {
    tally: 16,
    counts: 4 * classes * classes,
    "kept predictions": 4 * examples,
    "kept losses": 4 * examples,
  } as const;
}

/** The counts of an evaluation on the device, and its results per example. */
export class EvaluationCounts {
  readonly tally: Tally;
  /** Examples by label and prediction: (classes, classes). */
  readonly confusion: DeviceBuffer;
  /** The prediction for each example. */
  readonly predictions: DeviceBuffer;
  /** The loss of each example, a float. */
  readonly losses: DeviceBuffer;
  readonly #inputs: ReadonlyMap<string, DeviceBuffer>;

  constructor(gpu: Gpu, of: CountedSizes) {
    using stack = new Owner();
    const sizes = evaluationInputBytes(of);
    this.tally = stack.use(new Tally(gpu));
    this.confusion = stack.use(gpu.createBuffer("confusion", sizes.counts));
    this.predictions = stack.use(gpu.createBuffer("predictions of the split", sizes["kept predictions"]));
    this.losses = stack.use(gpu.createBuffer("losses of the split", sizes["kept losses"]));
    stack.move();
    this.#inputs = new Map([
      ["tally", this.tally.buffer],
      ["counts", this.confusion],
      ["kept predictions", this.predictions],
      ["kept losses", this.losses],
    ]);
  }

  /** The buffer behind an input of a plan of mode `evaluate`; undefined if it is none of these. */
  input(name: string): DeviceBuffer | undefined {
    return this.#inputs.get(name);
  }

  /** Sets the counts to zero. */
  clear(): void {
    this.tally.clear();
    this.confusion.write(new Uint32Array(this.confusion.sizeBytes / 4));
  }

  [Symbol.dispose](): void {
    this.tally[Symbol.dispose]();
    for (const buffer of [this.confusion, this.predictions, this.losses]) buffer[Symbol.dispose]();
  }
}
