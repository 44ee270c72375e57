/**
 * The channel rules of most layers: they pass each channel on, or make new channels by a weight.
 *
 * @module
 */
import type { LayerChannels, LayerShapes, ParameterSpec } from "./layer.ts";

/** How a layer's weight reads its input channels. */
export interface WeightForm {
  /** Groups of input channels. Each group makes its own share of the output channels. */
  readonly groups: number;
  /** True if every input channel is a group of its own, so that its filters belong to it. */
  readonly isDepthwise: boolean;
}

/** How the weight of a layer reads its input; undefined for layers without one. */
export function getWeightForm(
  { input, parameters }: Pick<LayerShapes<unknown>, "input" | "parameters">,
): WeightForm | undefined {
  const weight = parameters.find(({ role }) => role === "weight");
  if (!weight) return undefined;
  const groups = input.channels / weight.channels;
  return { groups, isDepthwise: groups > 1 && groups === input.channels };
}

/** A channel of one number: 0 stays 0; other numbers are unknown. */
export function keepZero(value: number): number | undefined {
  return value === 0 ? 0 : undefined;
}

/**
 * The rules of a layer whose output channel i depends on input channel i alone.
 *
 * @param ofConstant The number that a channel of one number becomes at every pixel; undefined if it is not known:
 *   `keepZero`, or the layer's own function.
 */
export function channelwise<Spec>(
  { ofConstant, ...rules }: Pick<LayerChannels<Spec>, "sign" | "onlyRearranges"> & {
    readonly ofConstant: (value: number, spec: Spec) => number | undefined;
  },
): Omit<LayerChannels<Spec>, "narrow"> & { narrow<Own>(layer: LayerShapes<Own>): Own } {
  return {
    ...rules,
    labels: (_layer, [first]) => first,
    constants: ({ spec }, [first]) =>
      first.map((value) => value === undefined ? undefined : ofConstant(value, spec)),
    narrow: ({ spec }) => spec,
  };
}

/**
 * The rules of a layer with a weight, with or without a bias, except how it is narrowed. It makes new channels,
 * unless it is a depthwise convolution. All groups keep the same number of channels: the channels at one position of
 * every group belong together.
 */
export const weighted: Omit<LayerChannels<unknown>, "narrow"> = {
  sign: "any",
  onlyRearranges: false,

  labels(layer, [first], labels) {
    const { input, output } = layer, { groups, isDepthwise } = getWeightForm(layer)!;
    const share = output.channels / groups;
    if (isDepthwise) {
      return Array.from({ length: output.channels }, (_, o) => first[Math.floor(o / share)]);
    }
    const positions = input.channels / groups;
    for (let c = positions; c < input.channels; c++) labels.unite(first[c % positions], first[c]);
    const own = labels.fresh(share);
    return Array.from({ length: output.channels }, (_, o) => own[o % share]);
  },

  constants: (_layer, _inputs, numbers) =>
    numbers.rows().map((value, row) => {
      const bias = numbers.number("bias", row);
      return value === undefined || bias === undefined ? undefined : value + bias;
    }),
};

/**
 * The weight of a convolution or linear layer, and its bias if it has one.
 *
 * @param shape PyTorch's shape of the weight.
 */
export function weightAndBias(
  { rows, taps, channels, shape, bias }:
    & Pick<ParameterSpec, "rows" | "taps" | "channels" | "shape">
    & { readonly bias: boolean },
): readonly ParameterSpec[] {
  // PyTorch's default: uniform within 1 / sqrt(fan in).
  const initial = { bound: 1 / Math.sqrt(channels * taps) };
  const weight = { name: "weight", role: "weight", rows, taps, channels, shape, initial } as const;
  const own = {
    name: "bias",
    role: "bias",
    rows: 1,
    taps: 1,
    channels: rows,
    shape: [rows],
    initial,
  } as const;
  return bias ? [weight, own] : [weight];
}
