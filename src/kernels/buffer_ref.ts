/**
 * How dispatches name buffers. Tensors, arenas and inputs are three namespaces, so the name of a layer can only refer
 * to that layer's tensor.
 *
 * @module
 */

/** Every arena that a model can have. */
export const arenaRoles = [
  "values",
  "gradients",
  "gradient_sum",
  "mask",
  "regrown",
  "velocity",
  "second_moment",
  "mean",
  "variance",
  "fisher",
  "gradient_mean",
  "scores",
  "confidence",
  "snapshot",
  "held",
  "best",
  "statistics",
  "statistics_snapshot",
  "statistics_held",
  "statistics_best",
] as const;

/**
 * The role of an arena: the number that it holds for every trained parameter. `statistics` holds batch norm's.
 */
export type ArenaRole = typeof arenaRoles[number];

/**
 * A buffer as a dispatch names it: a tensor of its plan, an arena of the model that the plan runs on, or an input,
 * which the caller passes when the dispatch runs.
 */
export type BufferRef = { readonly tensor: string } | { readonly arena: ArenaRole } | {
  readonly input: string;
};

/** A tensor of a plan. */
export function tensorRef(name: string): BufferRef {
  return { tensor: name };
}

/** An arena of the model. */
export function arenaRef(role: ArenaRole): BufferRef {
  return { arena: role };
}

/** A buffer that the caller passes when the dispatch runs. */
export function inputRef(name: string): BufferRef {
  return { input: name };
}

/** A reference as plans and messages show it, such as `arena values`; equal for equal references alone. */
export function refText(ref: BufferRef): string {
  if ("tensor" in ref) return `tensor ${ref.tensor}`;
  return "arena" in ref ? `arena ${ref.arena}` : `input ${ref.input}`;
}

/** Inputs by binding name. */
export function inputRefs<Binding extends string>(
  names: Readonly<Record<Binding, string>>,
): Readonly<Record<Binding, BufferRef>> {
  const refs = Object.entries<string>(names).map(([binding, name]) => [binding, inputRef(name)]);
  return Object.fromEntries(refs) as Record<Binding, BufferRef>;
}
