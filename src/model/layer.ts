/**
 * The contract of a layer. Each layer is one file in layers/: its schema, shapes, parameters, channel rules, and the
 * dispatches of its forward and backward pass. No other module checks the kind of a layer.
 *
 * @module
 */
import { z } from "zod";
import type { BufferRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { FeatureShape } from "../shape.ts";

/**
 * The role of a parameter. Only weights are pruned. A weight has one row per output channel, and in each row and tap
 * one number per input channel (of its group, if the layer has groups). All other parameters have one row, with one
 * number per output channel, unless they are `shared`. Statistics are updated by the forward pass, not trained.
 */
export type ParameterRole = "weight" | "bias" | "scale" | "shift" | "statistic";

/**
 * A parameter of a layer. Its layout is (rows, taps, quads of channels) on the device and (rows, channels, taps) in
 * files.
 */
export interface ParameterSpec {
  /** The last part of its name, such as `weight`; names are PyTorch's. */
  readonly name: string;
  /** Its role. */
  readonly role: ParameterRole;
  /** Rows: one per output channel for a weight, otherwise 1. */
  readonly rows: number;
  /** Taps of the window, or pixels that were flattened into features. */
  readonly taps: number;
  /** Numbers per row and tap. */
  readonly channels: number;
  /** The shape in PyTorch, such as (O, I, KH, KW). */
  readonly shape: readonly number[];
  /**
   * True if its numbers belong to no channel, so it stays whole whichever channels are removed. Not for weights.
   */
  readonly shared?: boolean;
  /** The minimum value in a file, such as 0 for a variance. Default: any finite number. */
  readonly min?: number;
  /** First values: uniform in [-bound, bound], or a constant. */
  readonly initial: { readonly bound: number } | { readonly constant: number };
}

/**
 * The purpose of a pass: training (batch statistics, gradients), scoring (running statistics, gradients) or
 * evaluation.
 */
export type PassMode = "train" | "score" | "evaluate";

/** Max pooling 2 x 2 after a ReLU, both fused into the convolution before them. */
export interface FusedPool {
  /** The pooled output. */
  readonly y: BufferRef;
  /** The index of each maximum in its window, 0 to 3; -1 if it is not above 0. */
  readonly argmax: BufferRef;
  /** The gradient of the pooled output. */
  readonly dy: BufferRef;
  /** The shape of the pooled output. */
  readonly output: FeatureShape;
}

/** Batch norm by running statistics, fused into the convolution before it. */
export interface FusedNorm {
  /** First quad of the running mean in the arena `statistics`. */
  readonly mean: number;
  /** First quad of the running variance there. */
  readonly variance: number;
  /** First quad of the scale in the arena `values`. */
  readonly gamma: number;
  /** First quad of the shift there. */
  readonly beta: number;
  /** Added to the variance before its root. */
  readonly epsilon: number;
}

/** The fields of every layer in a model file. */
export interface LayerFields {
  /** Its name, which its parameters' names begin with. */
  readonly name: string;
  /** The layers that it reads, or `input` for the images. Default: the layer before it. */
  readonly inputs?: readonly string[];
}

/** Validates the fields of every layer in a model file. */
export const layerFields = {
  name: z.string().min(1),
  inputs: z.array(z.string().min(1)).min(1).optional(),
};

/** Validates a number of channels or features; no device holds more. */
export const featureCount = z.int().min(1).max(2 ** 24);

/** The largest number in a model file that the device computes with; products with it stay finite. */
export const maxNumber = 1e30;

/** One input of a layer. */
export interface LayerInput {
  /** Its shape. */
  readonly shape: FeatureShape;
  /** Its tensor. */
  readonly x: BufferRef;
  /** Backward: the tensor for its gradient; undefined if the gradient is not needed. */
  readonly dx: BufferRef | undefined;
}

/** The context in which a layer makes its dispatches. */
export interface LayerContext<Spec> {
  /** The layer in the model file. */
  readonly spec: Spec;
  /** Its name, for labels. */
  readonly name: string;
  /** The name of its stream of random numbers, which does not depend on the layer's name. */
  readonly stream: string;
  /** Examples per batch. */
  readonly batch: number;
  /** The purpose of the pass. */
  readonly mode: PassMode;
  /** All inputs; one for most layers. */
  readonly inputs: readonly LayerInput[];
  /** The shape of the first input. */
  readonly input: FeatureShape;
  /** The shape of the output. */
  readonly output: FeatureShape;
  /** The tensor of the first input. */
  readonly x: BufferRef;
  /** The tensor of the output. */
  readonly y: BufferRef;
  /** Backward: the gradient of y. */
  readonly dy: BufferRef;
  /** Backward: the tensor for the gradient of x; undefined if the gradient is not needed. */
  readonly dx: BufferRef | undefined;
  /**
   * A batch norm by running statistics that is fused into this layer: applied to y before all else, and in the backward
   * pass dy is the gradient of its output. Only with `fusesNorm`.
   */
  readonly norm: FusedNorm | undefined;
  /** Forward: a tensor of y's shape to add to y, before a ReLU. Only with `fusesAdd`. */
  readonly residual: BufferRef | undefined;
  /** Forward: true if a ReLU is to be applied to y. Only with `fusesRelu`. */
  readonly relu: boolean;
  /** Backward: a tensor of x's shape to add to dx, before the ReLU's gate. Only with `addsToInput`. */
  readonly addend: BufferRef | undefined;
  /**
   * Backward: true if x came out of a ReLU whose backward pass is to be applied to dx. Only with `gatesInput`.
   */
  readonly gated: boolean;
  /** Forward and backward: the pool that is fused into this convolution, or this pool itself. */
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

/** A layer of a graph, for channel rules. */
export interface LayerShapes<Spec> {
  /** The layer in the model file. */
  readonly spec: Spec;
  /** The shapes of all inputs. */
  readonly inputs: readonly FeatureShape[];
  /** The shape of the first input. */
  readonly input: FeatureShape;
  /** The shape of the output. */
  readonly output: FeatureShape;
  /** Its parameters. */
  readonly parameters: readonly ParameterSpec[];
}

/** Labels of channels. Channels with the same label are kept or removed together. */
export interface ChannelLabels {
  /** Labels of new channels, each of which may be removed without the others. */
  fresh(count: number): readonly number[];
  /** Couples the channels of two labels. */
  unite(a: number, b: number): void;
  /** Protects the channels of a label: none of them is ever removed. */
  keep(label: number): void;
}

/** The channels that stay in the inputs and the output of a layer, ascending. */
export interface KeptChannels {
  /** Of each input. */
  readonly inputs: readonly (readonly number[])[];
  /** Of the output. */
  readonly outputs: readonly number[];
}

/**
 * The number that a channel has at every pixel of every image; undefined if pixels differ or it is not known.
 */
export type ChannelConstants = readonly (number | undefined)[];

/** The numbers of a layer in a masked network. */
export interface LayerNumbers {
  /**
   * The number of an output channel in a parameter or statistic: 0 if the mask removes it or there is no such
   * parameter, undefined if it is not known.
   */
  number(parameter: string, channel: number): number | undefined;
  /**
   * The output of each row of `weight` at every pixel, without a bias, if the first input's channels are constant.
   */
  rows(): ChannelConstants;
}

/**
 * The channel rules of a layer. Channel pruning couples, removes and narrows layers by these rules alone, so they
 * must hold for all fields that the layer may have in its model file.
 */
export interface LayerChannels<Spec> {
  /**
   * The labels of the output channels: those of the input channels that they come from, or fresh ones. Unite inputs
   * that must be removed together. Keep the inputs of an output channel that reads several channels without a weight.
   *
   * @param inputs The labels of the channels of each input.
   */
  labels(
    layer: LayerShapes<Spec>,
    inputs: readonly (readonly number[])[],
    labels: ChannelLabels,
  ): readonly number[];
  /**
   * The constants of the output channels. A channel that is 0 can be removed, and so can another constant channel if
   * a bias can absorb it. undefined is always allowed.
   *
   * @param inputs The constants of the channels of each input.
   */
  constants(
    layer: LayerShapes<Spec>,
    inputs: readonly ChannelConstants[],
    numbers: LayerNumbers,
  ): ChannelConstants;
  /** The layer that computes the kept outputs from the kept inputs. `labels` decides which are kept. */
  narrow(layer: LayerShapes<Spec>, kept: KeptChannels): Spec;
  /** The sign of the output: never below 0; never below 0 if no input is; or unknown. */
  readonly sign: "never negative" | "kept" | "any";
  /** True if it only moves, drops or pools features, so that its inputs still count as the features. */
  readonly onlyRearranges: boolean;
}

/** The parameters of a batch norm by name: y = scale (x - mean) / sqrt(variance + epsilon) + shift. */
export interface NormForm {
  /** The scale. */
  readonly scale: string;
  /** The shift. */
  readonly shift: string;
  /** The running mean. */
  readonly mean: string;
  /** The running variance. */
  readonly variance: string;
  /** Added to the variance before its root. */
  readonly epsilon: number;
}

/** Height and width, or other numbers along y and x. */
export type Axes = readonly [number, number];

/**
 * A product of windows with the parameter `weight`, in groups of channels: a convolution. Each group maps x (N,
 * inChannels, inSize) to y (N, outChannels, outSize). A linear layer is a window over its whole input: kernel inSize,
 * output 1 x 1; pixels that were flattened into features count as pixels.
 */
export interface ProductForm {
  /** Groups of the channels. */
  readonly groups: number;
  /** Input channels of one group. */
  readonly inChannels: number;
  /** Output channels of one group. */
  readonly outChannels: number;
  /** The input's height and width, in pixels. */
  readonly inSize: Axes;
  /** The output's height and width, in pixels. */
  readonly outSize: Axes;
  /** Sides of the window, in pixels. */
  readonly kernel: Axes;
  /** Pixels between two windows. */
  readonly stride: Axes;
  /** Zeros above and on the left, in pixels. */
  readonly padding: Axes;
  /** Zeros below and on the right. Default: padding. */
  readonly paddingAfter?: Axes;
  /** Pixels between two taps of a window. */
  readonly dilation: Axes;
}

/** A layer. */
export interface LayerType<Spec> {
  /** Its channel rules. */
  readonly channels: LayerChannels<Spec>;
  /** Number of inputs. Default: one. */
  readonly arity?: "one" | "several";
  /**
   * The name of the random stream of such layers, which does not depend on a layer's name. Default: its kind.
   */
  readonly stream?: string;
  /** True if the output has the input's bytes, in another shape, in a mode. */
  isView?(mode: PassMode): boolean;

  // What it computes, so that other layers can compute it instead.
  /** True if the output is the sum of all inputs. Then the gradient of every input is that of the output. */
  readonly isSum?: boolean;
  /** True if the output is max(input, 0). */
  readonly isRelu?: boolean;
  /** True if it is max pooling 2 x 2 at stride 2 without padding, whose backward pass can start from a `FusedPool`. */
  isHalvingPool?(spec: Spec): boolean;
  /** Its parameters, if it is a batch norm by running statistics outside training. */
  normForm?(spec: Spec): NormForm;
  /** Its product form, for refits of its weights. */
  productForm?(layer: LayerShapes<Spec>): ProductForm;
  /** The layer with another number of output channels, for other classes; undefined for one that cannot have it. */
  withOutputs?(spec: Spec, count: number): Spec | undefined;
  /** True if it turns features into logits, as the last such layer of a classifier does. */
  readonly classifies?: boolean;

  // What its passes can compute for other layers.
  /** True if its passes can compute a batch norm by running statistics of its output (fused_norm.ts). */
  fusesNorm?(spec: Spec): boolean;
  /** True if the forward pass can add a tensor to its output. */
  fusesAdd?(spec: Spec, mode: PassMode): boolean;
  /** True if the forward pass can apply a ReLU to its output. */
  readonly fusesRelu?: boolean;
  /** True if the passes can compute a ReLU and the max pooling 2 x 2 after it. */
  fusesPool?(spec: Spec): boolean;
  /** True if the backward pass can add a tensor to its input gradient. */
  addsToInput?(spec: Spec): boolean;
  /** True if the backward pass can apply a ReLU's backward pass to its input gradient. */
  gatesInput?(spec: Spec): boolean;

  /**
   * The shape of the output.
   *
   * @throws {ShapeError} If the inputs do not fit the layer.
   */
  outputShape(spec: Spec, inputs: readonly FeatureShape[], name: string): FeatureShape;
  /**
   * Its parameters for the shape of the first input, with the rows and channels that `ParameterRole` requires.
   */
  parameters(spec: Spec, input: FeatureShape): readonly ParameterSpec[];
  /** Emits the dispatches that write y. */
  forward(context: LayerContext<Spec>): void;
  /** Emits the dispatches that write the gradients of the parameters, into the arena `gradients`, and of the inputs. */
  backward(context: LayerContext<Spec>): void;
}
