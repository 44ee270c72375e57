/**
 * Forward passes in pieces: between two pieces the activations of every batch are kept on the device, so that layers may
 * change before the next piece runs.
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

/** What a pass runs on. */
export interface PassSource {
  readonly network: Network;
  readonly examples: Examples;
  /** The rows of the examples in each batch. */
  readonly rows: readonly Uint32Array[];
}

/** A tensor that is made before a place in a plan and read behind it. */
interface LiveTensor {
  readonly name: string;
  readonly quads: number;
}

/** A slot whose first quads are kept elsewhere while other batches use it. */
interface SavedSlot {
  readonly slot: DeviceBuffer;
  readonly kept: DeviceBuffer;
  readonly quads: number;
}

/** The tensors that dispatches from a place on read of what is made before it. */
function liveAt({ dispatches, tensors }: Plan, place: number): readonly LiveTensor[] {
  const named = (some: Plan["dispatches"]) =>
    new Set(
      some.flatMap(({ bindings }) =>
        Object.values(bindings).flatMap((ref) => "tensor" in ref ? [ref.tensor] : [])
      ),
    );
  const before = named(dispatches.slice(0, place)), behind = named(dispatches.slice(place));
  return [...tensors].flatMap(([name, { quads }]) =>
    before.has(name) && behind.has(name) ? [{ name, quads }] : []
  );
}

/** A forward plan that runs in pieces over all batches. Dispose of it to free its memory. */
export class ResumableForward {
  readonly #plan: Plan;
  readonly #source: PassSource;
  readonly #slots: SlotPool;
  readonly #buffers: readonly DeviceBuffer[];
  readonly #bind: Bind;
  /** What each batch keeps between pieces; none where there is too little memory, and passes start anew. */
  readonly #kept: readonly SlotPool[] | undefined;
  /** Where each batch keeps which slots. */
  readonly #saved = new Map<number, readonly SavedSlot[]>();
  #place = 0;

  /**
   * Allocates the memory of a pass.
   *
   * @throws {ShapeError} If the adapter's limits do not allow it.
   * @param places Where it is to pause: so many of the plan's dispatches have run then.
   * @param memoryBytes Bytes that all batches together may keep between pieces; beyond them each piece begins at the images.
   */
  constructor(plan: Plan, source: PassSource, { places, memoryBytes }: {
    readonly places: readonly number[];
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
    const quads = places.map((place) => liveAt(plan, place).reduce((sum, { quads }) => sum + quads, 0));
    const keeps = 16 * rows.length * Math.max(0, ...quads) <= memoryBytes;
    this.#kept = keeps ? rows.map(() => new SlotPool(gpu)) : undefined;
  }

  /** The memory behind a tensor of the plan. */
  tensor(name: string): BoundBuffer {
    const { slot, quads } = this.#plan.tensors.get(name)!;
    return { buffer: this.#buffers[slot], quads };
  }

  /** Starts again at the images. */
  rewind(): void {
    this.#place = 0;
  }

  /**
   * Brings one batch after the other to a place, not before the last one, and calls `visit` there.
   *
   * @throws {KernelError} If a kernel does not compile or the plan names an unknown buffer.
   */
  async visit(place: number, visit: (batch: number) => Promise<void> | void): Promise<void> {
    const { network: { gpu }, examples, rows } = this.#source;
    const from = this.#kept ? this.#place : 0;
    const dispatches = this.#plan.dispatches.slice(from, place);
    using program = await Program.create(gpu, dispatches, { bind: this.#bind });
    for (const [batch, { length: count }] of rows.entries()) {
      const saved = this.#saved.get(batch) ?? [];
      if (from === 0) examples.select(rows[batch], this.#bind);
      else copyQuads(gpu, saved.map(({ slot, kept, quads }) => ({ from: kept, to: slot, quads })));
      if (dispatches.length > 0) {
        program.run({ count, seed: 0 });
        this.#save(batch, place);
      }
      await visit(batch);
    }
    this.#place = place;
  }

  /** Keeps what of a batch the dispatches from a place on read. */
  #save(batch: number, place: number): void {
    if (!this.#kept) return;
    const live = liveAt(this.#plan, place);
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
