/**
 * Runs one layer alone, forward and backward, by the dispatches that it makes itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ReadPath } from "../../src/kernels/interface.ts";
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import type { Dispatch } from "../../src/kernels/dispatch.ts";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import type { LayerContext, PassMode } from "../../src/model/layer.ts";
import { getLayerType, type LayerSpec } from "../../src/model/layers/index.ts";
import { countQuads, type FeatureShape, mapShape } from "../../src/shape.ts";
import { type RefTensor, tensorOf } from "../reference/tensor.ts";
import { imagesFromQuads, imagesToQuads, runKernels } from "./harness.ts";
import { assertPadding, unwritten } from "./precision.ts";

/** A layer, its inputs (N, C, H, W), and what its context says. */
export interface LayerRun {
  readonly path: ReadPath;
  readonly spec: LayerSpec;
  readonly inputs: readonly RefTensor[];
  /** The gradient of the output; without it only the forward pass runs. */
  readonly dy?: RefTensor;
  readonly mode?: PassMode;
  readonly relu?: boolean;
  /** Inputs whose gradient is wanted; all where left out. */
  readonly wanted?: readonly boolean[];
  readonly step?: Readonly<Record<string, number>>;
  /** Its only parameter in quads, if it has one. */
  readonly parameter?: Float32Array;
}

/** What a layer made: its output, and the gradient of each input that wants one. */
export interface LayerResult {
  readonly y: RefTensor;
  readonly dxs: readonly RefTensor[];
  readonly dispatches: readonly Dispatch[];
  /** The gradient of the parameter in quads; empty without one. */
  readonly gradient: Float32Array;
}

/** The shape of one example of (N, C, H, W). */
export function shapeOf({ shape: [, channels, height, width] }: RefTensor): FeatureShape {
  return mapShape(channels, height, width);
}

/** Runs a layer; outputs start as NaN, and the padding of all that it writes must be 0. */
export async function runLayer(run: LayerRun): Promise<LayerResult> {
  const { path, spec, inputs, dy, mode = "train", relu = false, step = {} } = run;
  const type = getLayerType(spec), [batch] = inputs[0].shape;
  const shapes = inputs.map(shapeOf), output = type.outputShape(spec, shapes, spec.name);
  const yShape = [batch, output.channels, output.height, output.width];
  const wordsOf = ([n, c, h, w]: readonly number[]) => 4 * n * h * w * countQuads(c);
  const buffers: Record<string, Float32Array> = { y: unwritten(wordsOf(yShape)) };
  if (run.parameter) buffers.values = run.parameter;
  if (run.parameter && dy) buffers.gradients = unwritten(run.parameter.length);
  for (const [i, { shape, values }] of inputs.entries()) {
    buffers[`x${i}`] = imagesToQuads(values, shape);
    buffers[`dx${i}`] = unwritten(wordsOf(shape));
  }
  assert.deepEqual(dy?.shape ?? yShape, yShape);
  if (dy) buffers.dy = imagesToQuads(dy.values, dy.shape);
  const dxNames = inputs.map((_, i) => dy && run.wanted?.[i] !== false ? `dx${i}` : undefined);
  const dxRef = (i: number) => dxNames[i] === undefined ? undefined : inputRef(dxNames[i]);
  const dispatches: Dispatch[] = [];
  const context: LayerContext<LayerSpec> = {
    spec,
    name: spec.name,
    stream: spec.name,
    batch,
    mode,
    inputs: inputs.map((_, i) => ({ shape: shapes[i], x: inputRef(`x${i}`), dx: dxRef(i) })),
    input: shapes[0],
    output,
    x: inputRef("x0"),
    y: inputRef("y"),
    dy: inputRef("dy"),
    dx: dxRef(0),
    norm: undefined,
    residual: undefined,
    relu,
    addend: undefined,
    gated: false,
    pool: undefined,
    choose: defaultChooser(path),
    offsetOf: () => 0,
    scratch(purpose, quads) {
      buffers[purpose] = unwritten(4 * quads);
      return inputRef(purpose);
    },
    emit: (...more) => dispatches.push(...more),
  };
  type.forward(context);
  if (dy) type.backward(context);
  const { floats } = await runKernels({ path, dispatches, buffers, step });
  const tensorFrom = (name: string, shape: readonly number[]) => {
    assertPadding(floats(name), shape[1], { name: `${spec.kind} ${name} of ${shape}` });
    return tensorOf(shape, imagesFromQuads(floats(name), shape));
  };
  return {
    y: tensorFrom("y", yShape),
    dxs: type.isSum ? [] : inputs.flatMap(({ shape }, i) => {
      if (dxNames[i]) return [tensorFrom(dxNames[i], shape)];
      assert(floats(`dx${i}`).every(Number.isNaN), "a gradient that is not wanted is not written");
      return [];
    }),
    dispatches,
    gradient: buffers.gradients ? floats("gradients") : new Float32Array(),
  };
}
