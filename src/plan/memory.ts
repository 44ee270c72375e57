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

/**
 * Takes a different buffer of a pool for each slot of a plan: the smallest that is large enough, or a new one.
 *
 * @param pool Quads of the pool's buffers; new ones are appended.
 * @param slots Quads of each slot.
 * @returns The buffer of each slot, by its index in the pool.
 */
export function takeFromPool(pool: number[], slots: readonly number[]): readonly number[] {
  const taken = new Map<number, number>(), used = new Set<number>();
  const largestFirst = [...slots.entries()].sort(([, a], [, b]) => b - a);
  for (const [slot, quads] of largestFirst) {
    let smallest = -1;
    for (const [buffer, size] of pool.entries()) {
      if (used.has(buffer) || size < quads) continue;
      if (smallest < 0 || size < pool[smallest]) smallest = buffer;
    }
    if (smallest < 0) smallest = pool.push(quads) - 1;
    used.add(smallest);
    taken.set(slot, smallest);
  }
  return slots.map((_, slot) => taken.get(slot)!);
}
