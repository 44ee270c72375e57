/**
 * Forward passes in pieces. Between two pieces the device keeps the activations of every batch, so layers may change
 * before the next piece.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import { copyQuads } from "../../gpu/copy.ts";
import { type Bind, bindBuffers, type BoundBuffer } from "../../gpu/bind.ts";
import { Program } from "../../gpu/executor.ts";
import type { Examples } from "../../gpu/examples.ts";
import type { Network } from "../../gpu/network.ts";
import { SlotPool } from "../../gpu/slots.ts";
import type { Plan } from "../../plan/plan.ts";

/** The objects that a pass needs. */
export interface PassSource {
  readonly network: Network;
  readonly examples: Examples;
  /** The rows of the examples in each batch. */
  readonly rows: readonly Uint32Array[];
}

/** A tensor that is computed before a cut of a plan and read after it. */
interface LiveTensor {
  readonly name: string;
  readonly quads: number;
}

/** A slot whose first quads are saved while other batches use it. */
interface SavedSlot {
  readonly slot: DeviceBuffer;
  readonly kept: DeviceBuffer;
  readonly quads: number;
}

/** The tensors that are computed before a cut and read after it. */
export function liveAt({ dispatches, tensors }: Plan, cut: number): readonly LiveTensor[] {
  const named = (some: Plan["dispatches"]) =>
    new Set(
      some.flatMap(({ bindings }) =>
        Object.values(bindings).flatMap((ref) => "tensor" in ref ? [ref.tensor] : [])
      ),
    );
  const before = named(dispatches.slice(0, cut)), behind = named(dispatches.slice(cut));
  return [...tensors].flatMap(([name, { quads }]) =>
    before.has(name) && behind.has(name) ? [{ name, quads }] : []
  );
}

/** True if so many batches may save what they need behind each cut. */
export function keepsBetween(plan: Plan, { cuts, batches, memoryBytes }: {
  readonly cuts: readonly number[];
  readonly batches: number;
  readonly memoryBytes: number;
}): boolean {
  const quads = cuts.map((cut) => liveAt(plan, cut).reduce((sum, { quads }) => sum + quads, 0));
  return 16 * batches * Math.max(0, ...quads) <= memoryBytes;
}

/** A forward plan that runs in pieces over all batches. Dispose of it to free its memory. */
export class ResumableForward {
  readonly #plan: Plan;
  readonly #source: PassSource;
  readonly #slots: SlotPool;
  readonly #buffers: readonly DeviceBuffer[];
  readonly #bind: Bind;
  /** The saved tensors of each batch between pieces; empty if there is too little memory: passes then start anew. */
  readonly #kept: readonly SlotPool[] | undefined;
  /** The saved slots of each batch. */
  readonly #saved = new Map<number, readonly SavedSlot[]>();
  #cut = 0;

  /**
   * Allocates the memory of a pass.
   *
   * @throws {ShapeError} If the adapter's limits do not allow it.
   * @param cuts The cuts: the numbers of dispatches after which the pass pauses.
   * @param memoryBytes Maximum bytes that all batches together save between pieces. If they need more, each piece
   *   begins at the images.
   */
  constructor(plan: Plan, source: PassSource, { cuts, memoryBytes }: {
    readonly cuts: readonly number[];
    readonly memoryBytes: number;
  }) {
    const { network, network: { gpu }, rows } = source;
    this.#plan = plan;
    this.#source = source;
    this.#slots = new SlotPool(gpu);
    try {
      this.#buffers = this.#slots.take(plan.slots);
    } catch (error) {
      this.#slots[Symbol.dispose]();
      throw error;
    }
    const { examples } = source;
    this.#bind = bindBuffers(`plan ${plan.name}`, {
      tensor: (name) => this.tensor(name),
      network,
      input: (name) => examples.input(name),
    });
    const keeps = keepsBetween(plan, { cuts, batches: rows.length, memoryBytes });
    this.#kept = keeps ? rows.map(() => new SlotPool(gpu)) : undefined;
  }

  /** The memory behind a tensor of the plan. */
  tensor(name: string): BoundBuffer {
    const { slot, quads } = this.#plan.tensors.get(name)!;
    return { buffer: this.#buffers[slot], quads };
  }

  /** Starts again at the images. */
  rewind(): void {
    this.#cut = 0;
  }

  /**
   * Runs one batch after the other to a cut, not before the previous cut, and calls `visit` there.
   *
   * @throws {KernelError} If a kernel does not compile or the plan names an unknown buffer.
   */
  async visit(cut: number, visit: (batch: number) => Promise<void> | void): Promise<void> {
    const { network: { gpu }, examples, rows } = this.#source;
    const from = this.#kept ? this.#cut : 0;
    const dispatches = this.#plan.dispatches.slice(from, cut);
    using program = await Program.create(gpu, dispatches, { bind: this.#bind });
    for (const [batch, { length: count }] of rows.entries()) {
      const saved = this.#saved.get(batch) ?? [];
      if (from === 0) examples.select(rows[batch], this.#bind);
      else copyQuads(gpu, saved.map(({ slot, kept, quads }) => ({ from: kept, to: slot, quads })));
      if (dispatches.length > 0) {
        program.run({ count, seed: 0 });
        this.#save(batch, cut);
      }
      await visit(batch);
    }
    this.#cut = cut;
  }

  /** Saves the tensors of a batch that dispatches after a cut read. */
  #save(batch: number, cut: number): void {
    if (!this.#kept) return;
    const live = liveAt(this.#plan, cut);
    const buffers = this.#kept[batch].take(live.map(({ quads }) => quads));
    const saved = live.map(({ name, quads }, i) => ({
      slot: this.tensor(name).buffer,
      kept: buffers[i],
      quads,
    }));
    copyQuads(
      this.#source.network.gpu,
      saved.map(({ slot, kept, quads }) => ({ from: slot, to: kept, quads })),
    );
    this.#saved.set(batch, saved);
  }

  [Symbol.dispose](): void {
    for (const pool of this.#kept ?? []) pool[Symbol.dispose]();
    this.#slots[Symbol.dispose]();
  }
}
