/**
 * Gives tensors that are not needed at the same time the same memory.
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

/** Slots and which tensor lies in which. */
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
    const isFree = ({ tenants }: { tenants: Lifetime[] }) =>
      tenants.every(({ first, last }) => last < tensor.first || tensor.last < first);
    const free = slots.filter(isFree).sort((a, b) => a.quads - b.quads)[0];
    const slot = free ?? { quads: tensor.quads, tenants: [] };
    if (!free) slots.push(slot);
    slot.tenants.push(tensor);
    slotOf.set(tensor.name, slots.indexOf(slot));
  }
  return { slots: slots.map(({ quads }) => quads), slotOf };
}
