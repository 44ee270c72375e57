/**
 * The contract of a layer. One file in layers/ a layer: its schema, shapes, parameters, and the dispatches of its
 * forward and backward pass. A new layer is that file, its kernels, a test, and a line in layers/index.ts.
 *
 * @module
 */
import { z } from "zod";
import type { BufferRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
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
  /** The least that a value of a file may be, where not any finite number serves, as of a variance. */
  readonly least?: number;
  /** First values: uniform in [-bound, bound], or a constant. */
  readonly initial: { readonly bound: number } | { readonly constant: number };
}

/** Whether the forward pass trains (batch statistics, gradients), scores (gradients only) or evaluates. */
export type PassMode = "train" | "score" | "evaluate";

/** Max pooling 2 x 2 behind a ReLU, which the convolution before them takes over. */
export interface FusedPool {
  /** The pooled output, the place of each maximum in its window, and the gradient of the output. */
  readonly y: BufferRef;
  readonly places: BufferRef;
  readonly dy: BufferRef;
  readonly output: FeatureShape;
}

/** Batch norm by its running statistics behind a convolution, which applies it to what it stores. */
export interface FusedNorm {
  /** First quads of the running mean and variance in the arena `statistics`. */
  readonly mean: number;
  readonly variance: number;
  /** First quads of the scale and shift in the arena `values`. */
  readonly gamma: number;
  readonly beta: number;
  readonly epsilon: number;
}

/** What every layer of a model file says. */
export interface LayerFields {
  /** Its name, from which those of its parameters follow. */
  readonly name: string;
  /** The layers whose outputs it takes, or `input` for the images; the layer before it where left out. */
  readonly inputs?: readonly string[];
}

/** Validates what every layer of a model file says. */
export const layerFields = {
  name: z.string().min(1),
  inputs: z.array(z.string().min(1)).min(1).optional(),
};

/** Validates channels or features, of which no device holds more. */
export const featureCount = z.int().min(1).max(2 ** 24);

/** The largest number of a layer that the device computes with, whose products with others stay finite there. */
export const mostNumber = 1e30;

/** One input of a layer. */
export interface LayerInput {
  readonly shape: FeatureShape;
  /** Its tensor. */
  readonly x: BufferRef;
  /** Backward: the tensor that its gradient is written to, or undefined where none is wanted. */
  readonly dx: BufferRef | undefined;
}

/** What a layer sees when its dispatches are made. */
export interface LayerContext<Spec> {
  readonly spec: Spec;
  readonly name: string;
  /** What its random numbers are drawn by, which no name changes. */
  readonly stream: string;
  /** Examples a step. */
  readonly batch: number;
  readonly mode: PassMode;
  /** All inputs; one for most layers. */
  readonly inputs: readonly LayerInput[];
  /** The shape of the first input. */
  readonly input: FeatureShape;
  readonly output: FeatureShape;
  /** The tensors of the first input and the output. */
  readonly x: BufferRef;
  readonly y: BufferRef;
  /** Backward: the gradient of y, and that of x where it is wanted. */
  readonly dy: BufferRef;
  readonly dx: BufferRef | undefined;
  /** Forward: a batch norm follows and is to be applied to y, before all else. Only with `fusesNorm`. */
  readonly norm: FusedNorm | undefined;
  /** Forward: a tensor of y's shape to be added to y, before a ReLU. Only with `fusesAdd`. */
  readonly residual: BufferRef | undefined;
  /** Forward: a ReLU follows and is to be applied to y. Only for layers with `fusesRelu`. */
  readonly relu: boolean;
  /** Backward: a tensor of x's shape to be added to dx, before the ReLU's gate. Only with `addsToInput`. */
  readonly addend: BufferRef | undefined;
  /** Backward: x came out of a ReLU, whose backward pass is to be applied to dx. Only with `gatesInput`. */
  readonly gated: boolean;
  /** Forward and backward: what the convolution takes over, and what the pool left to it. */
  readonly pool: FusedPool | undefined;
  /** Picks cores for matrix products. */
  readonly choose: ProductChooser;
  /** First quad of a parameter in its arena: `values` and `gradients`, or `statistics`. */
  offsetOf(parameter: string): number;
  /** A tensor for intermediate results; the same purpose gives the same tensor, forward and backward. */
  scratch(purpose: string, quads: number): BufferRef;
  /** Adds dispatches to the plan. */
  emit(...dispatches: readonly Dispatch[]): void;
}

/** A layer. */
export interface LayerType<Spec> {
  /** How output channels depend on input channels: each on all, or each on its own. */
  readonly coupling: "dense" | "channelwise";
  /** Inputs that it takes: one where left out. */
  readonly arity?: "one" | "several";
  /** True where, in a mode, the output is the input's bytes under another shape. */
  isView?(mode: PassMode): boolean;
  /** True where the gradient of every input is that of the output, as in a sum. */
  readonly passesGradient?: boolean;
  /** True where the forward pass can apply a batch norm by running statistics to its output. */
  fusesNorm?(spec: Spec): boolean;
  /** True where the forward pass can add a tensor to its output. */
  fusesAdd?(spec: Spec, mode: PassMode): boolean;
  /** True where the forward pass can apply a ReLU to its output. */
  readonly fusesRelu?: boolean;
  /** True where the passes can take over a ReLU and the max pooling 2 x 2 behind it. */
  fusesPool?(spec: Spec): boolean;
  /** True where the backward pass can add a tensor to its input gradient. */
  addsToInput?(spec: Spec): boolean;
  /** True where the backward pass can apply a ReLU's backward pass to its input gradient. */
  gatesInput?(spec: Spec): boolean;
  /** @throws {ShapeError} Where the inputs do not fit the layer. */
  outputShape(spec: Spec, inputs: readonly FeatureShape[], name: string): FeatureShape;
  parameters(spec: Spec, input: FeatureShape): readonly ParameterSpec[];
  forward(context: LayerContext<Spec>): void;
  backward(context: LayerContext<Spec>): void;
}
