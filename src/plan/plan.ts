/**
 * A plan: the dispatches of one step in order, and the memory that they need, as frozen plain data.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import { type BufferRef, rangeText, refText, tensorRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import { assignSlots, type Lifetime } from "./memory.ts";

/** A tensor of a plan: its slot and its number of quads. */
export interface PlanTensor {
  readonly slot: number;
  readonly quads: number;
}

/** One step as plain data. */
export interface Plan {
  readonly name: string;
  readonly batch: number;
  readonly dispatches: readonly Dispatch[];
  /** Tensors that live within the step, by name. */
  readonly tensors: ReadonlyMap<string, PlanTensor>;
  /** Quads of each slot. */
  readonly slots: readonly number[];
  /** The tensors of layers' outputs that the host may read, by layer: the last layer and the probes. */
  readonly outputs: ReadonlyMap<string, string>;
  /** The number of dispatches from the start of the plan to the layer's output, by layer. */
  readonly dispatchesUpTo: ReadonlyMap<string, number>;
}

/** The tensor of a plan's logits: the output of its last layer. */
export function findLogits(plan: Plan): string {
  return [...plan.outputs.values()].at(-1)!;
}

/**
 * The name of a layer's tensor, such as `gradient: conv1`. Names of the step's own tensors have no colon, so layers
 * may have any names.
 */
export function layerTensor(purpose: string, layer: string): string {
  return `${purpose}: ${layer}`;
}

/** Collects the dispatches and tensors of a plan. */
export class PlanBuilder {
  readonly #dispatches: Dispatch[] = [];
  readonly #quads = new Map<string, number>();
  readonly #kept = new Set<string>();
  readonly #outputs = new Map<string, string>();
  readonly #dispatchesUpTo = new Map<string, number>();

  /** Declares a tensor of a number of quads, or widens it. */
  declare(name: string, quads: number): BufferRef {
    this.#quads.set(name, Math.max(quads, this.#quads.get(name) ?? 0));
    return tensorRef(name);
  }

  /** Keeps a tensor's memory for the whole plan, because the host writes it before or reads it after the plan. */
  keep(name: string): void {
    this.#kept.add(name);
  }

  /** Keeps the tensor of a layer's output, and lists it in `Plan.outputs`. */
  keepOutput(layer: string, tensor: string): void {
    this.keep(tensor);
    this.#outputs.set(layer, tensor);
  }

  /** Notes that the dispatches so far compute a layer's output. */
  endLayer(layer: string): void {
    this.#dispatchesUpTo.set(layer, this.#dispatches.length);
  }

  emit(...dispatches: readonly Dispatch[]): void {
    this.#dispatches.push(...dispatches);
  }

  /** Ends the plan: lifetimes are known now, so slots are assigned. */
  build(name: string, batch: number): Plan {
    const lifetimes = new Map<string, Lifetime>();
    for (const [i, { label, bindings }] of this.#dispatches.entries()) {
      for (const ref of Object.values(bindings)) {
        if (!("tensor" in ref)) continue;
        const { tensor } = ref, quads = this.#quads.get(tensor);
        if (quads === undefined) {
          const current = `${label} names ${refText(ref)}`;
          throw new KernelError({ act: "plan", thing: name, current, wanted: "a tensor that was declared" });
        }
        lifetimes.set(tensor, { name: tensor, quads, first: lifetimes.get(tensor)?.first ?? i, last: i });
      }
    }
    const kept = [...lifetimes.values()].map((lifetime) =>
      this.#kept.has(lifetime.name) ? { ...lifetime, first: 0, last: this.#dispatches.length } : lifetime
    );
    const { slots, slotOf } = assignSlots(kept);
    const tensors = new Map(kept.map(({ name, quads }) => [name, { slot: slotOf.get(name)!, quads }]));
    const layers = { outputs: this.#outputs, dispatchesUpTo: this.#dispatchesUpTo };
    return Object.freeze({ name, batch, dispatches: this.#dispatches, tensors, slots, ...layers });
  }
}

/** The plan as a table: one line per dispatch with kernel, workgroups and bindings, then the slots. */
export function describePlan(plan: Plan): string {
  const format = (ref: BufferRef) =>
    "tensor" in ref ? `${ref.tensor}@${plan.tensors.get(ref.tensor)!.slot}${rangeText(ref)}` : refText(ref);
  const lines = plan.dispatches.map(({ label, kernel, workgroups, bindings, constants }) => {
    const bound = Object.entries(bindings).map(([binding, ref]) => `${binding}=${format(ref)}`).join(" ");
    const set = Object.entries(constants).filter(([, value]) => value !== 0).map(([name]) => ` ${name}`).join(
      "",
    );
    return `${label}: ${kernel}${set} [${workgroups.join(" ")}] ${bound}`;
  });
  const slots = plan.slots.map((quads, i) => `slot ${i}: ${16 * quads} bytes`);
  return [`plan ${plan.name}, batch ${plan.batch}`, ...lines, ...slots].join("\n") + "\n";
}
