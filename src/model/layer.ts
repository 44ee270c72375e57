/**
 * The contract of a layer. Each layer is one file in layers/: its schema, shapes, parameters, what it does with channels,
 * and the dispatches of its forward and backward pass. No other module asks which kind of layer it has.
 *
 * @module
 */
import { z } from "zod";
import type { BufferRef } from "../kernels/buffer_ref.ts";
import type { Dispatch } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import type { FeatureShape } from "../shape.ts";

/**
 * What a parameter is for. Only weights are pruned: they have one row per output channel, and in each row and tap one
 * number per input channel, or per channel of a group where the input channels fall into groups. All others have one row
 * of one number per output channel, unless they are `shared`. Statistics are kept by the forward pass, not trained.
 */
export type ParameterRole = "weight" | "bias" | "scale" | "shift" | "statistic";

/** A parameter of a layer; on the device (rows, taps, quads of channels), at io (rows, channels, taps). */
export interface ParameterSpec {
  /** The last part of its name, such as `weight`; names are PyTorch's. */
  readonly name: string;
  /** What it is for. */
  readonly role: ParameterRole;
  /** Rows, one per output channel for a weight, else 1. */
  readonly rows: number;
  /** Taps of a window, or pixels that were flattened into one. */
  readonly taps: number;
  /** Numbers in a row and tap. */
  readonly channels: number;
  /** The shape in PyTorch, such as (O, I, KH, KW). */
  readonly shape: readonly number[];
  /** True if its numbers belong to no channel, so that it stays whole whatever channels go. Not for weights. */
  readonly shared?: boolean;
  /** The least that a value of a file may be, where not any finite number serves, as of a variance. */
  readonly least?: number;
  /** First values: uniform in [-bound, bound], or a constant. */
  readonly initial: { readonly bound: number } | { readonly constant: number };
}

/** Whether the forward pass trains (batch statistics, gradients), scores (gradients only) or evaluates. */
export type PassMode = "train" | "score" | "evaluate";

/** Max pooling 2 x 2 behind a ReLU, which the convolution before them takes over. */
export interface FusedPool {
  /** The pooled output. */
  readonly y: BufferRef;
  /** The place of each maximum in its window. */
  readonly argmax: BufferRef;
  /** The gradient of the pooled output. */
  readonly dy: BufferRef;
  /** The shape of the pooled output. */
  readonly output: FeatureShape;
}

/** Batch norm by its running statistics behind a convolution, which applies it to what it stores. */
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

/** What every layer of a model file says. */
export interface LayerFields {
  /** Its name, from which those of its parameters follow. */
  readonly name: string;
  /** The layers whose outputs it takes, or `input` for the images. Default: the layer before it. */
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
export const maxNumber = 1e30;

/** One input of a layer. */
export interface LayerInput {
  /** Its shape. */
  readonly shape: FeatureShape;
  /** Its tensor. */
  readonly x: BufferRef;
  /** Backward: the tensor that its gradient is written to, or undefined if none is wanted. */
  readonly dx: BufferRef | undefined;
}

/** What a layer sees when its dispatches are made. */
export interface LayerContext<Spec> {
  /** What the model file says of the layer. */
  readonly spec: Spec;
  /** Its name, for labels. */
  readonly name: string;
  /** What its random numbers are drawn by, which no name changes. */
  readonly stream: string;
  /** Examples a step. */
  readonly batch: number;
  /** What the pass is for. */
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
  /** Backward: the gradient of x, or undefined if none is wanted. */
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

/** A layer of a graph as rules about channels see it. */
export interface LayerShapes<Spec> {
  /** What the model file says of the layer. */
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

/** Labels of channels. Channels of one label are kept or removed together. */
export interface ChannelLabels {
  /** Labels of a number of new channels, each of which may go without any other. */
  fresh(count: number): readonly number[];
  /** Couples the channels of two labels from now on. */
  unite(a: number, b: number): void;
  /** Has the channels of a label stay: none of them is ever removed. */
  keep(label: number): void;
}

/** The channels that stay on both sides of a layer, ascending. */
export interface KeptChannels {
  /** Of each input. */
  readonly inputs: readonly (readonly number[])[];
  /** Of the output. */
  readonly outputs: readonly number[];
}

/** The number that each channel holds at every pixel of every image; undefined if they differ or are not known. */
export type ChannelConstants = readonly (number | undefined)[];

/** The numbers of a layer in a network of which a mask removes some. */
export interface LayerNumbers {
  /**
   * The number of an output channel in a parameter or statistic: 0 where the mask removes it or there is no such
   * parameter, undefined if it is not known.
   */
  number(parameter: string, channel: number): number | undefined;
  /** What each row of `weight` gives at every pixel without a bias, where the first input's channels are constant. */
  rows(): ChannelConstants;
}

/**
 * What a layer does with channels. Pruning by channels couples, removes and narrows layers by these rules alone, so they
 * must hold for every number that the layer may have in its model file.
 */
export interface LayerChannels<Spec> {
  /**
   * The labels of the output channels: those of the input channels that they come from, or fresh ones. Inputs that must
   * be removed together are united. Where an output channel reads others than its own without a weight, they are kept.
   *
   * @param inputs The labels of the channels of each input.
   */
  labels(
    layer: LayerShapes<Spec>,
    inputs: readonly (readonly number[])[],
    labels: ChannelLabels,
  ): readonly number[];
  /**
   * The constants of the output channels. Channels that are 0 can go, and so can others that are constant where a bias can
   * take them over; undefined is always allowed.
   *
   * @param inputs The constants of the channels of each input.
   */
  constants(
    layer: LayerShapes<Spec>,
    inputs: readonly ChannelConstants[],
    numbers: LayerNumbers,
  ): ChannelConstants;
  /** The layer that computes the kept outputs from the kept inputs. Which are kept follows from `labels`. */
  narrow(layer: LayerShapes<Spec>, kept: KeptChannels): Spec;
  /** What is known of the output's sign: never below 0; never below 0 where no input is; or nothing. */
  readonly sign: "never negative" | "kept" | "any";
  /** True if it only moves, drops or pools features, so that what it reads are the features still. */
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

/** Height and width, or what else there is along y and along x. */
export type Axes = readonly [number, number];

/**
 * A product of windows with the parameter `weight`, in groups of channels: a convolution, whose every group takes x (N,
 * inChannels, inSize) to y (N, outChannels, outSize). A linear layer is a window over its whole input: kernel inSize,
 * output 1 x 1, where pixels that were flattened into features stay pixels.
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
  /** Zeros on each side, in pixels. */
  readonly padding: Axes;
  /** Pixels between two taps of a window. */
  readonly dilation: Axes;
}

/** A layer. */
export interface LayerType<Spec> {
  /** What it does with channels. */
  readonly channels: LayerChannels<Spec>;
  /** Inputs that it takes. Default: one. */
  readonly arity?: "one" | "several";
  /** What the random numbers of such layers are named by, so that no name of a layer changes them. Default: its kind. */
  readonly stream?: string;
  /** True if, in a mode, the output is the input's bytes under another shape. */
  isView?(mode: PassMode): boolean;

  // What it computes, where other layers can do it in its place or it may be left out.
  /** True if the output is the sum of all inputs, and so the gradient of every input that of the output. */
  readonly isSum?: boolean;
  /** True if the output is max(input, 0). */
  readonly isRelu?: boolean;
  /** True if it is max pooling 2 x 2 at stride 2 without padding, whose backward pass can start from a `FusedPool`. */
  isHalvingPool?(spec: Spec): boolean;
  /** Its parameters where, outside training, it is a batch norm by running statistics. */
  normForm?(spec: Spec): NormForm;
  /** The product that it is, by which its weights can be refit. */
  productForm?(layer: LayerShapes<Spec>): ProductForm;
  /** True if it turns features into logits, as the last such layer of a classifier does. */
  readonly classifies?: boolean;

  // What of other layers its passes can take over.
  /** True if the forward pass can apply a batch norm by running statistics to its output. */
  fusesNorm?(spec: Spec): boolean;
  /** True if the forward pass can add a tensor to its output. */
  fusesAdd?(spec: Spec, mode: PassMode): boolean;
  /** True if the forward pass can apply a ReLU to its output. */
  readonly fusesRelu?: boolean;
  /** True if the passes can take over a ReLU and the max pooling 2 x 2 behind it. */
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
  /** Its parameters, given the shape of the first input; as `ParameterRole` says. */
  parameters(spec: Spec, input: FeatureShape): readonly ParameterSpec[];
  /** Emits the dispatches that write y. */
  forward(context: LayerContext<Spec>): void;
  /** Emits the dispatches that write the gradients of the parameters, into the arena `gradients`, and of the inputs. */
  backward(context: LayerContext<Spec>): void;
}
