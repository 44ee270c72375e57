/**
 * A model's state on the device: one arena per role (values, gradients, mask, moments, mean, scores, ...), all with
 * the same offsets.
 *
 * @module
 */
import type { ArenaRole } from "../kernels/buffer_ref.ts";
import { disposedError, ShapeError } from "../errors.ts";
import type { Graph } from "../model/graph.ts";
import { initialValues } from "../model/initialize.ts";
import {
  fullMask,
  layOutParameters,
  type ParameterLayout,
  placeParameter,
  takeParameter,
} from "../plan/layout.ts";
import { isStatistics } from "../plan/windows.ts";
import type { DeviceBuffer } from "./buffer.ts";
import type { Gpu } from "./device.ts";
import { readFloats } from "./readback.ts";

/**
 * The slots for values and their statistics: those in use (`values`), the last finite ones (`snapshot`), those set
 * aside during a trial (`held`), and those of the best epoch (`best`).
 */
export type StateSlot = "values" | "snapshot" | "held" | "best";

/** Parameters by full name, in PyTorch's order. */
export type NamedParameters = ReadonlyMap<string, Float32Array>;

/** Quads of an arena of a model. */
export function arenaQuads({ quads, statisticsQuads }: ParameterLayout, role: ArenaRole): number {
  return isStatistics(role) ? statisticsQuads : quads;
}

/** Quads of a buffer that kernels of a device bind at once, at most. */
export function maxBindingQuads({ device: { limits } }: Gpu): number {
  return Math.floor(limits.maxStorageBufferBindingSize / 16);
}

/**
 * Allocates an arena of a model, which kernels bind window by window.
 *
 * @throws {ShapeError} If the adapter's limits do not allow it.
 */
export function createArena(gpu: Gpu, layout: ParameterLayout, role: ArenaRole): DeviceBuffer {
  return gpu.createBuffer(role, 16 * arenaQuads(layout, role), !isStatistics(role));
}

/** A model on the device. Dispose of it to free its arenas. */
export class Network {
  readonly layout: ParameterLayout;
  readonly #arenas: Map<ArenaRole, DeviceBuffer> = new Map();
  #isDisposed = false;

  /**
   * A model on a device.
   *
   * @param initial The seed of its first values, with a full mask; or arenas with its state, which it then owns.
   */
  constructor(
    readonly gpu: Gpu,
    readonly graph: Graph,
    initial: number | ReadonlyMap<ArenaRole, DeviceBuffer>,
  ) {
    this.layout = layOutParameters(graph, maxBindingQuads(gpu));
    if (typeof initial !== "number") {
      this.#arenas = new Map(initial);
      return;
    }
    const seed = initial;
    // The device refuses arenas that it cannot hold before the host makes their content.
    try {
      this.arena("values");
      this.arena("mask");
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    const entries = this.layout.parameters.map((parameter) => {
      const { fullName, stream } = parameter;
      return [fullName, initialValues(parameter, { seed, stream })] as const;
    });
    this.writeParameters(new Map(entries));
    this.arena("mask").write(fullMask(this.layout));
  }

  /**
   * Returns an arena, allocated and zeroed at its first use.
   *
   * @throws {StateError} If the network was disposed of.
   */
  arena(role: ArenaRole): DeviceBuffer {
    if (this.#isDisposed) throw disposedError("network", this.graph.name);
    let arena = this.#arenas.get(role);
    if (!arena) {
      arena = createArena(this.gpu, this.layout, role);
      this.#arenas.set(role, arena);
    }
    return arena;
  }

  /** The arenas that were used so far. */
  get arenas(): ReadonlyMap<ArenaRole, DeviceBuffer> {
    return this.#arenas;
  }

  /** Copies one arena over another. */
  copyArena(from: ArenaRole, to: ArenaRole): void {
    const source = this.arena(from), target = this.arena(to);
    const encoder = this.gpu.device.createCommandEncoder();
    encoder.copyBufferToBuffer(source.buffer, 0, target.buffer, 0, target.sizeBytes);
    this.gpu.device.queue.submit([encoder.finish()]);
    target.version++;
  }

  /** Copies values and statistics from one slot to another. */
  copyState(from: StateSlot, to: StateSlot): void {
    this.copyArena(from, to);
    if (this.layout.statisticsQuads === 0) return;
    const statisticsOf = (slot: StateSlot): ArenaRole =>
      slot === "values" ? "statistics" : `statistics_${slot}`;
    this.copyArena(statisticsOf(from), statisticsOf(to));
  }

  /** Sets all of an arena to zero. */
  clearArena(role: ArenaRole): void {
    const arena = this.arena(role);
    const encoder = this.gpu.device.createCommandEncoder();
    encoder.clearBuffer(arena.buffer);
    this.gpu.device.queue.submit([encoder.finish()]);
    arena.version++;
  }

  /**
   * Replaces all parameters, statistics included.
   *
   * @throws {ShapeError} If a parameter is missing, unknown or of another size. Then nothing is replaced.
   */
  writeParameters(named: NamedParameters, role: "values" | "mean" = "values"): void {
    const arenas = {
      values: new Float32Array(4 * this.layout.quads),
      statistics: new Float32Array(4 * this.layout.statisticsQuads),
    };
    const known = new Set(this.layout.parameters.map(({ fullName }) => fullName));
    const stray = [...named.keys()].find((name) => !known.has(name));
    if (stray !== undefined) {
      const wanted = `the parameters of model ${this.graph.name}`;
      throw new ShapeError({ act: "load parameter", thing: stray, current: "no such parameter", wanted });
    }
    for (const parameter of this.layout.parameters) {
      const { fullName, shape, arena } = parameter;
      const values = named.get(fullName);
      if (!values) {
        const wanted = `shape (${shape.join(", ")})`;
        throw new ShapeError({ act: "load parameter", thing: fullName, current: "it is missing", wanted });
      }
      placeParameter(parameter, values, arenas[arena]);
    }
    this.arena(role).write(arenas.values);
    if (arenas.statistics.length > 0) this.arena("statistics").write(arenas.statistics);
  }

  /**
   * Replaces an arena by numbers for its parameters, or statistics, by full name in PyTorch's order.
   *
   * @throws {ShapeError} If a parameter is missing or of another size. Then nothing is replaced.
   */
  writeArena(role: ArenaRole, named: NamedParameters): void {
    const isStatistics = role.startsWith("statistics"), arena = this.arena(role);
    const values = new Float32Array(arena.sizeBytes / 4);
    for (const parameter of this.layout.parameters) {
      if ((parameter.arena === "statistics") !== isStatistics) continue;
      const { fullName, shape } = parameter, own = named.get(fullName);
      if (!own) {
        const current = "it is missing", wanted = `shape (${shape.join(", ")})`;
        throw new ShapeError({ act: `load ${role} of parameter`, thing: fullName, current, wanted });
      }
      placeParameter(parameter, own, values);
    }
    arena.write(values);
  }

  /** Reads an arena by the full names of its parameters, or statistics, in PyTorch's order. */
  async readArena(role: ArenaRole): Promise<NamedParameters> {
    const isStatistics = role.startsWith("statistics"), values = await readFloats(this.gpu, this.arena(role));
    const own = this.layout.parameters.filter(({ arena }) => (arena === "statistics") === isStatistics);
    return new Map(own.map((parameter) => [parameter.fullName, takeParameter(parameter, values)]));
  }

  /**
   * Replaces the mask, by full name of trained parameters, in PyTorch's order; 1 keeps, 0 removes. Parameters that
   * are not named are kept whole.
   */
  writeMask(named: NamedParameters): void {
    const mask = fullMask(this.layout);
    for (const parameter of this.layout.parameters) {
      const values = named.get(parameter.fullName);
      if (values) placeParameter(parameter, values, mask);
    }
    this.arena("mask").write(mask);
  }

  /** Reads all parameters of an arena in PyTorch's order; with `values` the statistics too. */
  async readParameters(role: ArenaRole = "values"): Promise<NamedParameters> {
    const arena = await readFloats(this.gpu, this.arena(role));
    const withStatistics = role === "values" && this.layout.statisticsQuads > 0;
    const statistics = withStatistics ? await readFloats(this.gpu, this.arena("statistics")) : undefined;
    const named = new Map<string, Float32Array>();
    for (const parameter of this.layout.parameters) {
      const source = parameter.arena === "values" ? arena : statistics;
      if (source) named.set(parameter.fullName, takeParameter(parameter, source));
    }
    return named;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const arena of this.#arenas.values()) arena[Symbol.dispose]();
    this.#arenas.clear();
  }
}
