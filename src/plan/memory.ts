/**
 * Shares memory between tensors that are not needed at the same time.
 *
 * @module
 */

/** A tensor and the dispatches between which it is needed. */
export interface Lifetime {
  readonly name: string;
  readonly quads: number;
  /** Index of the first and last dispatch that use it, both included. */
  readonly first: number;
  readonly last: number;
}

/** Slots, and the slot of each tensor. */
export interface SlotAssignment {
  /** Quads of each slot. */
  readonly slots: readonly number[];
  /** A tensor's slot by its name. */
  readonly slotOf: ReadonlyMap<string, number>;
}

/**
 * Assigns slots greedily, largest tensor first, each to the smallest slot that is free over its whole lifetime.
 * Source: Pisarchyk and Lee 2020, arXiv 2001.03288, "greedy by size" over whole buffers.
 */
export function assignSlots(lifetimes: readonly Lifetime[]): SlotAssignment {
  const slots: { quads: number; tenants: Lifetime[] }[] = [];
  const slotOf = new Map<string, number>();
  const bySize = [...lifetimes].sort((a, b) => b.quads - a.quads || a.first - b.first);
  for (const tensor of bySize) {
    let slot = -1;
    for (let i = 0; i < slots.length; i++) {
      // Of slots of equal size, the first.
      if (slot >= 0 && slots[i].quads >= slots[slot].quads) continue;
      const { tenants } = slots[i];
      let isFree = true;
      // A plan may have thousands of tensors; lowering spends its time in this loop.
      for (let j = 0; isFree && j < tenants.length; j++) {
        isFree = tenants[j].last < tensor.first || tensor.last < tenants[j].first;
      }
      if (isFree) slot = i;
    }
    if (slot < 0) slot = slots.push({ quads: tensor.quads, tenants: [] }) - 1;
    slots[slot].tenants.push(tensor);
    slotOf.set(tensor.name, slot);
  }
  return { slots: slots.map(({ quads }) => quads), slotOf };
}
