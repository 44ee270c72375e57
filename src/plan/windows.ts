/**
 * Windows of the arenas: what kernels reach through one binding. An adapter binds only a part of a large buffer, so the
 * parameters of a large model lie in several windows, and dispatches over all parameters become one per window. The
 * parameters of a layer lie in one window, together with those of a norm that the layer may apply itself.
 *
 * @module
 */
import { ShapeError } from "../errors.ts";
import { type ArenaRole, type BufferRef, type QuadRange, sliceRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, type DispatchBody, dispatchOver } from "../kernels/dispatch.ts";

/** A part of every arena of trained parameters that kernels bind as one. */
export interface ArenaWindow extends QuadRange {
  /** Quads of the weights, which lie first in it. */
  readonly weightQuads: number;
  /** True if it is all of the arenas, which are then bound without a range. */
  readonly isWhole: boolean;
}

/** All of an arena as one window. */
export function wholeWindow(quads: number, weightQuads: number): ArenaWindow {
  return { first: 0, quads, weightQuads, isWhole: true };
}

/** Quads that the offset of a binding is a multiple of, on any adapter. */
const alignedQuads = 16;

/** Parameters that must lie in one window: those of a layer, and of a norm that it may apply. */
export interface WindowPart {
  /** The layer's name. */
  readonly name: string;
  readonly weightQuads: number;
  readonly quads: number;
}

/**
 * Puts parts into windows: each into the window of the part before it, if there is room, else into a new one.
 *
 * @param bindingQuads Quads of a window, at most.
 * @returns The windows, one at least, and each part's by its index.
 * @throws {ShapeError} If a part is larger than a window.
 */
export function cutWindows(
  parts: readonly WindowPart[],
  bindingQuads: number,
): { readonly windows: readonly ArenaWindow[]; readonly windowOf: readonly number[] } {
  const sizes = [{ quads: 0, weightQuads: 0 }];
  const windowOf = parts.map(({ name, quads, weightQuads }) => {
    if (quads > bindingQuads) throw tooLarge(["place layer", name], quads, bindingQuads);
    if (sizes[sizes.length - 1].quads + quads > bindingQuads) sizes.push({ quads: 0, weightQuads: 0 });
    const size = sizes[sizes.length - 1];
    size.quads += quads;
    size.weightQuads += weightQuads;
    return sizes.length - 1;
  });
  let first = 0;
  const windows = sizes.map((size) => {
    const window = { first, ...size, isWhole: sizes.length === 1 };
    first += alignedQuads * Math.ceil(size.quads / alignedQuads);
    return window;
  });
  return { windows, windowOf };
}

/** The error that what must be bound at once is more than an adapter binds. */
export function tooLarge(
  [act, thing]: readonly [string, string],
  quads: number,
  bindingQuads: number,
): ShapeError {
  const current = `its parameters take ${16 * quads} bytes`;
  const wanted = `at most ${16 * bindingQuads}, which is what the adapter binds at once`;
  return new ShapeError({ act, thing, current, wanted });
}

/** An arena of trained parameters as kernels bind it to reach a window. */
export function windowRef(ref: BufferRef, window: ArenaWindow): BufferRef {
  return window.isWhole ? ref : sliceRef(ref, window);
}

/** True for arenas of batch norm's statistics, which are bound whole. */
export function isStatistics(role: ArenaRole): boolean {
  return role.startsWith("statistics");
}

/** A dispatch on a window of the arenas: offsets in its parameters count from the window's first quad. */
export function inWindow(window: ArenaWindow, dispatch: Dispatch): Dispatch {
  if (window.isWhole) return dispatch;
  const bound = (ref: BufferRef) => "arena" in ref && !isStatistics(ref.arena) ? windowRef(ref, window) : ref;
  const refs = Object.entries(dispatch.bindings).map(([name, ref]) => [name, bound(ref)]);
  return { ...dispatch, bindings: Object.fromEntries(refs) };
}

/** A dispatch on a window of the arenas with one invocation for each of a number of items. */
export function dispatchInWindow(
  window: ArenaWindow,
  items: number,
  dispatch: DispatchBody,
): Dispatch {
  return inWindow(window, dispatchOver(items, dispatch));
}

/** The dispatches over all trained parameters: one per window, with one invocation per quad. */
export function overWindows(
  windows: readonly ArenaWindow[],
  lower: (window: ArenaWindow) => DispatchBody,
): readonly Dispatch[] {
  return windows.map((window) => dispatchInWindow(window, window.quads, lower(window)));
}
