/**
 * Runs one matrix product on its own on a device, by any choice of core, splits and read path, to time it and to compare
 * what it computes.
 *
 * @module
 */
import { mirrorWidth } from "../kernels/assemble.ts";
import type { ReadPath } from "../kernels/interface.ts";
import { inputRef } from "../kernels/buffer_ref.ts";
import { bindBuffers } from "./bind.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChoice, ProductShape } from "../kernels/product.ts";
import { sumSplits } from "../kernels/reduce.ts";
import { kernelInterface } from "../kernels/source.ts";
import { dispatchWeighted } from "../kernels/weighted.ts";
import { winogradMap } from "../kernels/winograd.ts";
import { KernelError } from "../errors.ts";
import { openRandomStream } from "../random.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { Program } from "./executor.ts";
import { DispatchTimer } from "./profile.ts";
import { readFloats } from "./readback.ts";

/** One product, ready to be run by one choice after the other. */
export interface ProductTrial extends Disposable {
  /** Runs the product once, which also compiles it, and returns what it wrote, its splits added. */
  result(choice: ProductChoice): Promise<Float32Array>;
  /**
   * Times choices in turn, a number of rounds, so that what else the machine does meets all of them alike. Returns the
   * least milliseconds of each, the pass that adds the splits included.
   */
  timesMs(choices: readonly ProductChoice[], rounds: number): Promise<readonly number[]>;
}

/** Opens the trial of a product. */
export type TrialOpener = (gpu: Gpu, shape: ProductShape) => ProductTrial;

/** Milliseconds that a sample lasts at least where only the host's clock is at hand, whose waits cost 11 ms. */
const hostSampleMs = 60;

/** Dispatches that one timer holds (gpu/profile.ts). */
const maxTimedDispatches = 2048;

/** Repetitions of a sample by the host's clock at most. */
const maxHostRepetitions = 1024;

/** Copies of the operands that are in flight while their time is taken. */
const copiesTimed = 16;

/**
 * Opens the trial of a product on a device.
 *
 * Operands are small whole numbers, so that every partial sum is a whole number below 2^24 and exact in f32, in whatever
 * order and on whatever path it is added: two right results are the same bit for bit.
 *
 * @throws {KernelError} If the shape does not say what a trial takes.
 */
export const openTrial: TrialOpener = (gpu, shape) => new DeviceTrial(gpu, shape);

/**
 * What Winograd's transforms make of sums at most: 9 products of tiles, each no larger than the sum of all terms, in
 * quarters.
 */
const winogradGrowth = 36;

/** The largest operand for which sums of so many products are exact in f32, 1 at least. */
function operandBound(terms: number): number {
  return Math.max(1, Math.min(4, Math.floor(Math.sqrt((2 ** 24 - 4) / terms))));
}

/**
 * Quads of a buffer whose mirror is of full width and not a power of two high. llvmpipe compiles a kernel anew for every
 * pattern of textures whose sides are powers of two, which would make most of a tuner's time.
 */
function paddedQuads(quads: number): number {
  const lines = Math.max(3, Math.ceil(quads / mirrorWidth));
  return mirrorWidth * (Number.isInteger(Math.log2(lines)) ? lines + 1 : lines);
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
      const buffer = gpu.createBuffer(`trial ${name}`, 16 * paddedQuads(quads));
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

  /** As many rounds in one submission as a timer holds: a wait costs far more than most products take. */
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

  /** By the host's clock: each sample has as many repetitions as make its wait small. */
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

  /** The time of copying the operands into their mirrors, which a texture product costs where no other kernel does. */
  async #timeCopies(): Promise<number> {
    const { device } = this.#gpu;
    const timeOf = async (copies: number) => {
      const start = performance.now();
      const encoder = device.createCommandEncoder({ label: "trial copies" });
      for (let i = 0; i < copies; i++) {
        for (const name of this.#operands) {
          const buffer = this.#buffers.get(name)!;
          buffer.copyToMirror(encoder, buffer.sizeBytes / 16);
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
    // Places in arenas: all zero, so that a bias is the weight's first numbers.
    const places = Object.fromEntries(fields.map(({ name }) => [name, 0]));
    const bindings = Object.fromEntries(
      [...this.#operands, this.#output].map((name) => [name, inputRef(name)]),
    );
    const product = dispatchWeighted(this.#shape, choice, {
      label,
      bindings: isSplit ? { ...bindings, [this.#output]: inputRef("splits") } : bindings,
      params: { ...places, ...sizes },
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

  /** Makes a buffer at least so many quads long. */
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
