/**
 * Operators that move numbers of a file: they join, cut, turn or reshape tensors.
 *
 * @module
 */
import { findStrides, type Folding, need, pick, refuse, resolveAxis } from "./folding.ts";
import { type OnnxNode, readInt, readInts } from "./graph.ts";
import { countElements, type OnnxTensor } from "./tensor.ts";

/** Concat along an axis. */
export function concatenate(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const parts = inputs.map((_, i) => need(inputs, i, node, folding)), [first] = parts;
  const axis = resolveAxis(readInt(node, "axis", 1), first.shape.length, node, folding);
  const isFitting = parts.every(({ shape }) =>
    shape.length === first.shape.length && shape.every((size, i) => i === axis || size === first.shape[i])
  );
  if (!isFitting) {
    return refuse(
      node,
      folding.file,
      parts.map(({ shape }) => `(${shape.join(", ")})`).join(", "),
      "one shape",
    );
  }
  const shape = first.shape.with(axis, parts.reduce((sum, part) => sum + part.shape[axis], 0));
  folding.spend(countElements(shape), node);
  const isFloat = parts.some(({ isInteger }) => !isInteger);
  const values = isFloat ? new Float32Array(countElements(shape)) : new Float64Array(countElements(shape));
  const outer = countElements(shape.slice(0, axis));
  let at = 0;
  for (let i = 0; i < outer; i++) {
    for (const { values: own } of parts) {
      const run = own.length / outer;
      values.set(own.subarray(i * run, (i + 1) * run), at);
      at += run;
    }
  }
  return { shape, values, isInteger: !isFloat };
}

/** Gather of indices along an axis. */
export function gather(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding), indices = need(inputs, 1, node, folding);
  const axis = resolveAxis(readInt(node, "axis", 0), tensor.shape.length, node, folding);
  const size = tensor.shape[axis], inner = countElements(tensor.shape.slice(axis + 1));
  const wrong = indices.values.find((index) => !(index >= -size && index < size));
  if (wrong !== undefined) {
    return refuse(node, folding.file, `index ${wrong}`, `an index of ${size} elements`);
  }
  const shape = [...tensor.shape.slice(0, axis), ...indices.shape, ...tensor.shape.slice(axis + 1)];
  folding.spend(countElements(shape), node);
  return pick(tensor, shape, (i) => {
    const index = indices.values[Math.floor(i / inner) % indices.values.length];
    const outer = Math.floor(i / (inner * indices.values.length));
    return (outer * size + (index < 0 ? index + size : index)) * inner + i % inner;
  });
}

/** What a Slice takes along one axis. */
export interface SliceRange {
  readonly axis: number;
  /** The first index, the number of elements, and the step from one to the next, which may be negative. */
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/**
 * The ranges of a Slice, whose numbers are inputs since version 10.
 *
 * @param shape The shape that is sliced; NaN for a size that is not known and must not be sliced.
 * @param inputs The node's inputs; the first is not looked at.
 */
export function readSliceRanges(
  shape: readonly number[],
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): readonly SliceRange[] {
  const list = (i: number, name: string) => inputs[i] ? [...inputs[i].values] : readInts(node, name);
  const starts = list(1, "starts") ?? [], ends = list(2, "ends") ?? [];
  const axes = list(3, "axes") ?? starts.map((_, i) => i), steps = list(4, "steps") ?? starts.map(() => 1);
  if ([ends, axes, steps].some(({ length }) => length !== starts.length)) {
    return refuse(node, folding.file, "lists of different lengths", "a start, end, axis and step per axis");
  }
  return starts.map((first, i) => {
    const axis = resolveAxis(axes[i], shape.length, node, folding), size = shape[axis], step = steps[i];
    if (!Number.isInteger(step) || step === 0) {
      return refuse(node, folding.file, `step ${step}`, "another than 0");
    }
    const [min, max] = step > 0 ? [0, size] : [-1, size - 1];
    const clamp = (index: number) => Math.min(Math.max(index < 0 ? index + size : index, min), max);
    const start = step > 0 ? clamp(first) : Math.max(clamp(first), 0), end = clamp(ends[i]);
    return { axis, start, step, count: Math.max(0, Math.ceil((end - start) / step)) };
  });
}

/** Slice along axes. */
export function slice(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding);
  return readSliceRanges(tensor.shape, inputs, node, folding).reduce(
    (sliced, { axis, start, step, count }) => {
      const shape = sliced.shape.with(axis, count),
        inner = findStrides(shape)[axis],
        size = sliced.shape[axis];
      folding.spend(countElements(shape), node);
      return pick(sliced, shape, (i) => {
        const index = Math.floor(i / inner) % count, outer = Math.floor(i / (inner * count));
        return (outer * size + start + index * step) * inner + i % inner;
      });
    },
    tensor,
  );
}

/** Reshape: 0 copies a size, -1 takes what is left. */
export function reshape(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding), target = [...need(inputs, 1, node, folding).values];
  const copies = readInt(node, "allowzero", 0) === 0;
  const sizes = target.map((size, i) => size === 0 && copies ? tensor.shape[i] ?? 0 : size);
  const known = countElements(sizes.filter((size) => size !== -1));
  const shape = sizes.map((size) => size === -1 ? tensor.values.length / known : size);
  if (
    countElements(shape) === tensor.values.length &&
    shape.every((size) => Number.isInteger(size) && size >= 0)
  ) {
    return { ...tensor, shape };
  }
  const current = `(${tensor.shape.join(", ")}) as (${target.join(", ")})`;
  return refuse(node, folding.file, current, "a shape of as many numbers");
}

/** Flatten into two dimensions. */
export function flatten(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding), axis = readInt(node, "axis", 1);
  if (Math.abs(axis) > tensor.shape.length) resolveAxis(axis, tensor.shape.length, node, folding);
  const outer = countElements(tensor.shape.slice(0, axis));
  return { ...tensor, shape: [outer, countElements(tensor.shape.slice(axis))] };
}

/** The axes of a Squeeze or Unsqueeze: an attribute, since version 13 an input. */
export function readAxes(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
): readonly number[] | undefined {
  return inputs[1] ? [...inputs[1].values] : readInts(node, "axes");
}

/** Squeeze: without dimensions of size 1. */
export function squeeze(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding), { shape } = tensor;
  const axes = readAxes(inputs, node)?.map((axis) => resolveAxis(axis, shape.length, node, folding));
  const isDropped = (size: number, i: number) => axes ? axes.includes(i) : size === 1;
  if (shape.some((size, i) => isDropped(size, i) && size !== 1)) {
    return refuse(node, folding.file, `a shape of (${shape.join(", ")})`, "size 1 along its axes");
  }
  return { ...tensor, shape: shape.filter((size, i) => !isDropped(size, i)) };
}

/** Unsqueeze: with dimensions of size 1 put in. */
export function unsqueeze(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding), axes = readAxes(inputs, node) ?? [];
  const rank = tensor.shape.length + axes.length;
  const places = axes.map((axis) => resolveAxis(axis, rank, node, folding)), sizes = [...tensor.shape];
  if (new Set(places).size < places.length) {
    return refuse(node, folding.file, `axes ${axes.join(", ")}`, "each axis once");
  }
  return {
    ...tensor,
    shape: Array.from({ length: rank }, (_, i) => places.includes(i) ? 1 : sizes.shift() ?? 1),
  };
}

/** Transpose: the axes in another order, by default reversed. */
export function transpose(
  inputs: readonly (OnnxTensor | undefined)[],
  node: OnnxNode,
  folding: Folding,
): OnnxTensor {
  const tensor = need(inputs, 0, node, folding), rank = tensor.shape.length;
  const order = readInts(node, "perm") ?? tensor.shape.map((_, i) => rank - 1 - i);
  if (
    order.length !== rank || new Set(order).size !== rank || order.some((axis) => !(axis in tensor.shape))
  ) {
    return refuse(node, folding.file, `the order (${order.join(", ")})`, `one of ${rank} axes`);
  }
  const shape = order.map((axis) => tensor.shape[axis]), strides = findStrides(tensor.shape);
  const own = findStrides(shape);
  folding.spend(countElements(shape) * rank, node);
  return pick(tensor, shape, (i) => {
    let source = 0;
    for (let axis = 0; axis < rank; axis++) {
      source += Math.floor(i / own[axis]) % shape[axis] * strides[order[axis]];
    }
    return source;
  });
}
