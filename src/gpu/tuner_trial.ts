/**
 * Runs one matrix product alone on a device, by any choice of core, splits and read path, to time it and to compare
 * its results.
 *
 * @module
 */
import { mirrorWidth } from "../kernels/assemble.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { inputRef } from "../kernels/buffer_ref.ts";
import { bindBuffers } from "./bind.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChoice, ProductShape } from "../kernels/product.ts";
import { dispatchProductWithTransform } from "../kernels/gemm.ts";
import { sumSplits } from "../kernels/reduce.ts";
import { kernelInterface } from "../kernels/source.ts";
import { winogradMap } from "../kernels/winograd.ts";
import { KernelError } from "../errors.ts";
import { openRandomStream } from "../random.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { Program } from "./executor.ts";
import { getMaxBufferBytes } from "./fitting.ts";
import { DispatchTimer } from "./profile.ts";
import { readFloats } from "./readback.ts";

/** One product, ready to run by different choices. */
export interface ProductTrial extends Disposable {
  /** Compiles and runs the product once. Returns the output, with its splits added. */
  result(choice: ProductChoice): Promise<Float32Array>;
  /**
   * Times choices in turn for a number of rounds, so that other work on the machine affects all of them alike.
   * Returns the minimum milliseconds of each, including the pass that adds the splits.
   */
  timesMs(choices: readonly ProductChoice[], rounds: number): Promise<readonly number[]>;
}

/** Opens the trial of a product. */
export type TrialOpener = (gpu: Gpu, shape: ProductShape) => ProductTrial;

/** Minimum milliseconds of a sample by the host's clock, because a wait costs 11 ms. */
const hostSampleMs = 60;

/** Maximum dispatches of one timer (gpu/profile.ts). */
const maxTimedDispatches = 2048;

/** Maximum repetitions of a sample by the host's clock. */
const maxHostRepetitions = 1024;

/** Copies of the operands in flight while they are timed. */
const copiesTimed = 16;

/**
 * Opens the trial of a product on a device.
 *
 * Operands are small whole numbers, so every partial sum is a whole number below 2^24 and exact in f32, in any order
 * and on any path. Correct results are therefore equal bit by bit.
 *
 * @throws {KernelError} If the shape has no sizes of operands.
 */
export const openTrial: TrialOpener = (gpu, shape) => new DeviceTrial(gpu, shape);

/**
 * Maximum growth of sums by Winograd's transforms: 9 products of tiles, each no larger than the sum of all terms, in
 * quarters.
 */
const winogradGrowth = 36;

/** The largest operand for which sums of so many products are exact in f32, at least 1. */
function operandBound(terms: number): number {
  return Math.max(1, Math.min(4, Math.floor(Math.sqrt((2 ** 24 - 4) / terms))));
}

/**
 * Quads of a buffer whose mirror has full width and a height that is not a power of two. llvmpipe compiles a kernel
 * anew for every pattern of textures whose sides are powers of two, which would take most of a tuner's time. A buffer
 * that would be larger than the device allows is not padded.
 */
function paddedQuads(quads: number, maxQuads: number): number {
  const lines = Math.max(3, Math.ceil(quads / mirrorWidth));
  const padded = mirrorWidth * (Number.isInteger(Math.log2(lines)) ? lines + 1 : lines);
  return padded <= maxQuads ? padded : quads;
}

class DeviceTrial implements ProductTrial {
  readonly #gpu: Gpu;
  readonly #shape: ProductShape;
  readonly #buffers = new Map<string, DeviceBuffer>();
  readonly #outputQuads: number;
  readonly #output: string;
  readonly #operands: readonly string[];
  #copyMs: number | undefined;

  constructor(gpu: Gpu, shape: ProductShape) {
    const { operation, trial, segments, inner } = shape;
    if (!trial) {
      const wanted = "a shape with the sizes of its operands";
      throw new KernelError({ act: "try product", thing: operation, current: "no operands", wanted });
    }
    const { bindings } = kernelInterface(operation);
    this.#gpu = gpu;
    this.#shape = shape;
    this.#output = bindings.find(({ space }) => space === "read_write")!.name;
    this.#outputQuads = trial.operands[this.#output];
    this.#operands = Object.keys(trial.operands).filter((name) => name !== this.#output);
    const bound = operandBound(segments * inner * 4 * (winogradMap(shape) ? winogradGrowth : 1));
    for (const [name, quads] of Object.entries(trial.operands)) {
      if (name === this.#output) {
        this.#buffers.set(name, gpu.createBuffer(`trial ${name}`, 16 * quads));
        continue;
      }
      const buffer = gpu.createBuffer(`trial ${name}`, 16 * paddedQuads(quads, getMaxBufferBytes(gpu) / 16));
      this.#buffers.set(name, buffer);
      const { nextUint32 } = openRandomStream(0, `${operation} ${name}`);
      const numbers = Array.from({ length: 4093 }, () => nextUint32() % (2 * bound + 1) - bound);
      buffer.write(Float32Array.from({ length: 4 * quads }, (_, i) => numbers[i % numbers.length]));
    }
  }

  async result(choice: ProductChoice): Promise<Float32Array> {
    using program = await this.#program(this.#dispatches(choice));
    program.run();
    return await readFloats(this.#gpu, this.#buffers.get(this.#output)!);
  }

  async timesMs(choices: readonly ProductChoice[], rounds: number): Promise<readonly number[]> {
    const gpu = this.#gpu;
    const dispatches = choices.map((choice) => this.#dispatches(choice));
    const times = gpu.device.features.has("timestamp-query")
      ? await this.#timeByDevice(dispatches, rounds)
      : await this.#timeByHost(dispatches, rounds);
    const copyMs = async ({ path = gpu.path }: ProductChoice) =>
      path === "texture" && gpu.path === "storage" ? this.#copyMs ??= await this.#timeCopies() : 0;
    const totals: number[] = [];
    for (const [i, choice] of choices.entries()) totals.push(times[i] + await copyMs(choice));
    return totals;
  }

  /** One submission has as many rounds as a timer can hold, because a wait takes far longer than most products. */
  async #timeByDevice(
    dispatches: readonly (readonly Dispatch[])[],
    rounds: number,
  ): Promise<readonly number[]> {
    const round = dispatches.flat(), least = dispatches.map(() => Infinity);
    const roundsAtOnce = Math.max(1, Math.floor(maxTimedDispatches / round.length));
    for (let done = 0; done < rounds; done += roundsAtOnce) {
      const count = Math.min(roundsAtOnce, rounds - done);
      const all = Array.from({ length: count }, () => round).flat();
      using program = await this.#program(all);
      using timer = new DispatchTimer(this.#gpu, all.length);
      program.run({}, timer);
      await timer.collect();
      const times = timer.times;
      for (let next = 0; next < all.length;) {
        for (const [i, { length }] of dispatches.entries()) {
          const sum = times.slice(next, next + length).reduce((total, { timeMs }) => total + timeMs, 0);
          least[i] = Math.min(least[i], sum);
          next += length;
        }
      }
    }
    return least;
  }

  #program(dispatches: readonly Dispatch[]): Promise<Program> {
    return Program.create(this.#gpu, dispatches, {
      bind: bindBuffers(`trial ${this.#shape.operation}`, { input: (name) => this.#buffers.get(name) }),
    });
  }

  /** By the host's clock: each sample has enough repetitions to make its wait small. */
  async #timeByHost(
    dispatches: readonly (readonly Dispatch[])[],
    rounds: number,
  ): Promise<readonly number[]> {
    const { queue } = this.#gpu.device;
    const least = dispatches.map(() => Infinity), repetitions = dispatches.map(() => 1);
    for (let round = 0; round < rounds; round++) {
      for (const [i, list] of dispatches.entries()) {
        using program = await this.#program(list);
        for (;;) {
          const start = performance.now();
          for (let n = 0; n < repetitions[i]; n++) program.run();
          await queue.onSubmittedWorkDone();
          const elapsedMs = performance.now() - start;
          this.#gpu.check();
          least[i] = Math.min(least[i], elapsedMs / repetitions[i]);
          if (elapsedMs >= hostSampleMs || repetitions[i] >= maxHostRepetitions) break;
          repetitions[i] *= 4;
        }
      }
    }
    return least;
  }

  /** The time to copy the operands into their mirrors, which only texture products need. */
  async #timeCopies(): Promise<number> {
    const { device } = this.#gpu;
    const timeOf = async (copies: number) => {
      const start = performance.now();
      const encoder = device.createCommandEncoder({ label: "trial copies" });
      for (let i = 0; i < copies; i++) {
        for (const name of this.#operands) {
          const buffer = this.#buffers.get(name)!;
          buffer.getMirror().copy(encoder, buffer.sizeBytes / 16);
        }
      }
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    const one = await timeOf(1);
    return Math.max(0, await timeOf(1 + copiesTimed) - one) / copiesTimed;
  }

  #dispatches(choice: ProductChoice): readonly Dispatch[] {
    const { operation, trial, rows, columns, sizes } = this.#shape;
    const isSplit = choice.splits > 1, label = operation, path: { path?: ReadPath } = {};
    if (choice.path) path.path = choice.path;
    const fields = kernelInterface(operation).structs.get("Params") ?? [];
    // Offsets in arenas: all zero, so the bias is the weight's first numbers.
    const offsets = Object.fromEntries(fields.map(({ name }) => [name, 0]));
    const bindings = Object.fromEntries(
      [...this.#operands, this.#output].map((name) => [name, inputRef(name)]),
    );
    const product = dispatchProductWithTransform(this.#shape, choice, {
      label,
      bindings: isSplit ? { ...bindings, [this.#output]: inputRef("splits") } : bindings,
      params: { ...offsets, ...sizes },
      constants: trial!.constants,
      scratch: (purpose, quads) => {
        this.#widen(purpose, quads);
        return inputRef(purpose);
      },
    });
    if (!isSplit) return product;
    this.#widen("splits", choice.splits * this.#outputQuads);
    const quads = rows * columns / 4;
    const sum = { label, scratch: inputRef("splits"), out: inputRef(this.#output), offset: 0, quads };
    return [...product, { ...sumSplits({ ...sum, splits: choice.splits, scale: 1 }), ...path }];
  }

  /** Creates a buffer of at least so many quads. */
  #widen(name: string, quads: number): void {
    const held = this.#buffers.get(name);
    if (held && held.sizeBytes >= 16 * quads) return;
    held?.[Symbol.dispose]();
    this.#buffers.set(name, this.#gpu.createBuffer(`trial ${name}`, 16 * quads));
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers.values()) buffer[Symbol.dispose]();
    this.#buffers.clear();
  }
}
