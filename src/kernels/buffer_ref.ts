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
  "stood",
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

/** Neighbouring quads of a buffer. */
export interface QuadRange {
  /** The first quad. */
  readonly first: number;
  /** Number of quads. */
  readonly quads: number;
}

/**
 * A buffer as a dispatch names it: a tensor of its plan, an arena of the model that the plan runs on, or an input,
 * which the caller passes when the dispatch runs; or a range of one, which the kernel sees as if it were all.
 */
export type BufferRef =
  & ({ readonly tensor: string } | { readonly arena: ArenaRole } | { readonly input: string })
  & {
    /** The quads that are bound. The first must be a multiple of 16, because WebGPU aligns offsets. Default: all. */
    readonly range?: QuadRange;
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

/** A range of the buffer that a reference without a range names. */
export function sliceRef(ref: BufferRef, { first, quads }: QuadRange): BufferRef {
  return { ...ref, range: { first, quads } };
}

/** The buffer that a reference names a range of. */
export function wholeRef({ range: _, ...ref }: BufferRef): BufferRef {
  return ref;
}

/** A reference as plans and messages show it, such as `arena values`; equal for equal references alone. */
export function refText(ref: BufferRef): string {
  const name = "tensor" in ref
    ? `tensor ${ref.tensor}`
    : "arena" in ref
    ? `arena ${ref.arena}`
    : `input ${ref.input}`;
  return `${name}${rangeText(ref)}`;
}

/** The range of a reference, such as `[16..48)`; nothing where it names all of a buffer. */
export function rangeText({ range }: BufferRef): string {
  return range ? `[${range.first}..${range.first + range.quads})` : "";
}

/** Inputs by binding name. */
export function inputRefs<Binding extends string>(
  names: Readonly<Record<Binding, string>>,
): Readonly<Record<Binding, BufferRef>> {
  const refs = Object.entries<string>(names).map(([binding, name]) => [binding, inputRef(name)]);
  return Object.fromEntries(refs) as Record<Binding, BufferRef>;
}
