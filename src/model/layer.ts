/**
 * The contract of a layer. One file in layers/ a layer: its schema, shapes, parameters, and the dispatches of its
 * forward and backward pass. A new layer is that file, its kernels, a test, and a line in layers/index.ts.
 *
 * @module
 */
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/gemm.ts";
import type { FeatureShape } from "../shape.ts";

/** What a parameter is for. Statistics are kept by the forward pass, not trained. */
export type ParameterRole = "weight" | "bias" | "scale" | "shift" | "statistic";

/** A parameter of a layer; on the device (rows, taps, quads of channels), at io (rows, channels, taps). */
export interface ParameterSpec {
  /** The last part of its name, such as `weight`; names are PyTorch's. */
  readonly name: string;
  readonly role: ParameterRole;
  readonly rows: number;
  readonly taps: number;
  readonly channels: number;
  /** The shape in PyTorch, such as (O, I, KH, KW). */
  readonly shape: readonly number[];
  /** First values: uniform in [-bound, bound], or a constant. */
  readonly initial: { readonly bound: number } | { readonly constant: number };
}

/** Whether the forward pass trains (batch statistics, gradients), scores (gradients only) or evaluates. */
export type PassMode = "train" | "score" | "evaluate";

/** Max pooling 2 x 2 behind a ReLU, which the convolution before them takes over. */
export interface FusedPool {
  /** The pooled output, the place of each maximum in its window, and the gradient of the output. */
  readonly y: string;
  readonly places: string;
  readonly dy: string;
  readonly output: FeatureShape;
}

/** What a layer sees when its dispatches are made. Buffers are known by name. */
export interface LayerContext<Spec> {
  readonly spec: Spec;
  readonly name: string;
  /** Examples a step. */
  readonly batch: number;
  readonly mode: PassMode;
  readonly input: FeatureShape;
  readonly output: FeatureShape;
  /** The input and output tensors. */
  readonly x: string;
  readonly y: string;
  /** Backward: the gradient of y, and that of x where it is wanted. */
  readonly dy: string;
  readonly dx: string | undefined;
  /** Forward: a ReLU follows and is to be applied to y. Only for layers with `fusesRelu`. */
  readonly relu: boolean;
  /** Backward: x came out of a ReLU, whose backward pass is to be applied to dx. Only with `gatesInput`. */
  readonly gated: boolean;
  /** Forward and backward: what the convolution takes over, and what the pool left to it. */
  readonly pool: FusedPool | undefined;
  /** Picks cores for matrix products. */
  readonly choose: ProductChooser;
  /** First quad of a parameter in its arena: `values` and `gradients`, or `statistics`. */
  offsetOf(parameter: string): number;
  /** The name of a tensor for intermediate results; the same purpose gives the same tensor, forward and backward. */
  scratch(purpose: string, quads: number): string;
  /** Adds dispatches to the plan. */
  emit(...dispatches: readonly Dispatch[]): void;
}

/** A layer. */
export interface LayerType<Spec> {
  /** How output channels depend on input channels: each on all, or each on its own. */
  readonly coupling: "dense" | "channelwise";
  /** True where the output is the input's bytes under another shape. */
  readonly isView?: boolean;
  /** True where the forward pass can apply a ReLU to its output. */
  readonly fusesRelu?: boolean;
  /** True where the passes can take over a ReLU and the max pooling 2 x 2 behind it. */
  readonly fusesPool?: boolean;
  /** True where the backward pass can apply a ReLU's backward pass to its input gradient. */
  readonly gatesInput?: boolean;
  /** @throws {ShapeError} Where the input does not fit the layer. */
  outputShape(spec: Spec, input: FeatureShape, name: string): FeatureShape;
  parameters(spec: Spec, input: FeatureShape): readonly ParameterSpec[];
  forward(context: LayerContext<Spec>): void;
  backward(context: LayerContext<Spec>): void;
}
