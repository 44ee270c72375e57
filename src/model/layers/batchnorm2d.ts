/**
 * Batch normalisation over the pixels of a channel.
 *
 * @module
 */
import { z } from "zod";
import { arenaRef, type BufferRef, inputRef } from "../../kernels/buffer_ref.ts";
import { columnStride, dispatchOver } from "../../kernels/dispatch.ts";
import { ShapeError } from "../../errors.ts";
import { columnMoments, dispatchChunks, splitRows, sumSplits } from "../../kernels/reduce.ts";
import { countQuads, quadsPerExample, shapeText } from "../../shape.ts";
import { channelwise } from "../channels.ts";
import {
  type LayerContext,
  type LayerFields,
  layerFields,
  type LayerType,
  maxNumber,
  type ParameterSpec,
} from "../layer.ts";

/** A batch-norm layer in a model file. */
export interface Batchnorm2dSpec extends LayerFields {
  /** Which layer this is. */
  readonly kind: "batchnorm2d";
  /** Added to the variance before its root, above 0. */
  readonly epsilon: number;
  /** Share of the batch's statistics in the running ones, in [0, 1]. */
  readonly momentum: number;
}

/** Validates a batch-norm layer. */
export const batchnorm2dSchema = z.strictObject({
  kind: z.literal("batchnorm2d"),
  ...layerFields,
  epsilon: z.number().min(1 / maxNumber).max(maxNumber).default(1e-5),
  momentum: z.number().min(0).max(1).default(0.1),
});

/** The statistics in use: the batch's own in training, the running ones otherwise. */
function statistics(context: LayerContext<Batchnorm2dSpec>) {
  const quads = countQuads(context.input.channels);
  if (context.mode === "train") {
    const buffers = { mean: context.scratch("mean", quads), variance: context.scratch("variance", quads) };
    return { buffers, offsets: { mean: 0, variance: 0 } };
  }
  const offsets = { mean: context.offsetOf("running_mean"), variance: context.offsetOf("running_var") };
  return { buffers: { mean: arenaRef("statistics"), variance: arenaRef("statistics") }, offsets };
}

/** Scratch for two quads per chunk of rows and column. */
function takeScratch({ scratch, batch, input }: LayerContext<Batchnorm2dSpec>): BufferRef {
  const quads = countQuads(input.channels);
  return scratch("sums", 2 * splitRows(batch * input.height * input.width, quads).chunks * quads);
}

/**
 * Measures the batch's mean and variance and updates the running ones.
 *
 * @throws {ShapeError} If a batch has only one value per channel: then its variance is 0.
 */
function measure(context: LayerContext<Batchnorm2dSpec>): void {
  const { spec, name, batch, input, x } = context;
  const quads = countQuads(input.channels), rows = batch * input.height * input.width;
  if (rows === 1) {
    const current = `one value per channel, as batches of 1 example have, of shape ${shapeText(input)}`;
    const wanted = "2 or more: a larger batch, as batch norm subtracts the mean of a batch";
    throw new ShapeError({ act: "train layer", thing: name, current, wanted });
  }
  const { buffers: { mean, variance } } = statistics(context);
  const update = {
    kernel: "reduce/running_statistics",
    bindings: { running: arenaRef("statistics"), tally: inputRef("tally") },
    params: {
      "running_mean": context.offsetOf("running_mean"),
      "running_variance": context.offsetOf("running_var"),
      momentum: spec.momentum,
      correction: rows / (rows - 1),
    },
  };
  const scratch = takeScratch(context);
  context.emit(...columnMoments({ label: name, x, mean, variance, rows, quads, scratch, update }));
}

/** The batch-norm layer: x (N, C, H, W) -> y of the same shape. */
export const batchnorm2d: LayerType<Batchnorm2dSpec> = {
  channels: {
    ...channelwise({ ofConstant: () => undefined, sign: "any", onlyRearranges: false }),
    // By the running statistics, as in evaluation.
    constants: ({ spec: { epsilon } }, [first], numbers) =>
      first.map((value, channel) => {
        const [scale, shift, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map((name) =>
          numbers.number(name, channel)
        );
        if (scale === 0) return shift;
        if ([value, scale, shift, mean, variance].includes(undefined)) return undefined;
        return scale! * (value! - mean!) / Math.sqrt(variance! + epsilon) + shift!;
      }),
  },
  normForm: ({ epsilon }) => ({
    scale: "weight",
    shift: "bias",
    mean: "running_mean",
    variance: "running_var",
    epsilon,
  }),
  fusesRelu: true,
  fusesAdd: () => true,

  outputShape(_spec, [input], name) {
    // A flattened pixel holds several taps of a channel; PyTorch would normalise each tap on its own.
    if (input.taps !== 1) {
      const current = `input ${shapeText(input)} that was flattened`;
      throw new ShapeError({
        act: "apply layer",
        thing: name,
        current,
        wanted: "a feature map, or a linear layer's output",
      });
    }
    return input;
  },

  parameters(_spec, { channels }) {
    const vector = { rows: 1, taps: 1, channels, shape: [channels] };
    const parameter = (name: string, role: ParameterSpec["role"], constant: number): ParameterSpec => {
      return { name, role, ...vector, initial: { constant } };
    };
    return [
      parameter("weight", "scale", 1),
      parameter("bias", "shift", 0),
      parameter("running_mean", "statistic", 0),
      { ...parameter("running_var", "statistic", 1), min: 0 },
    ];
  },

  forward(context) {
    const { spec, name, batch, output, x, y, relu, residual } = context;
    if (context.mode === "train") measure(context);
    const { buffers, offsets } = statistics(context);
    const quads = countQuads(output.channels), total = batch * quadsPerExample(output);
    const stride = columnStride(total, quads);
    const scaling = {
      gamma: context.offsetOf("weight"),
      beta: context.offsetOf("bias"),
      epsilon: spec.epsilon,
    };
    context.emit(dispatchOver(stride, {
      kernel: "layer/batchnorm2d_forward",
      label: `${name} forward`,
      bindings: { x, ...buffers, values: arenaRef("values"), residual: residual ?? x, y },
      params: { quads_total: total, quads, stride, ...offsets, ...scaling },
      constants: { RESIDUAL: residual === undefined ? 0 : 1, RELU: relu ? 1 : 0 },
    }));
  },

  backward(context) {
    const { spec, name, batch, input, x, dy, dx } = context;
    const { buffers, offsets } = statistics(context);
    const quads = countQuads(input.channels), rows = batch * input.height * input.width;
    const gamma = context.offsetOf("weight"), beta = context.offsetOf("bias"), { epsilon } = spec;
    const sums = takeScratch(context), label = `${name} backward shift and scale`;
    context.emit(
      dispatchChunks(rows, quads, {
        kernel: "reduce/batchnorm2d_backward",
        label: `${label}, chunks`,
        bindings: { x, dy, ...buffers, sums },
        params: { ...offsets, epsilon },
      }),
      // Scale and shift are neighbours in the arena, as in the sums.
      sumSplits({
        label,
        scratch: sums,
        out: arenaRef("gradients"),
        offset: gamma,
        quads: 2 * quads,
        splits: splitRows(rows, quads).chunks,
        scale: 1,
      }),
    );
    if (!dx) return;
    const total = batch * quadsPerExample(input), stride = columnStride(total, quads);
    const sizes = { "quads_total": total, quads, stride, "inverse_rows": 1 / rows };
    context.emit(dispatchOver(stride, {
      kernel: "layer/batchnorm2d_backward",
      label: `${name} backward input`,
      bindings: { x, dy, ...buffers, values: arenaRef("values"), gradients: arenaRef("gradients"), dx },
      params: { ...sizes, ...offsets, gamma, beta, epsilon },
      constants: { EVALUATION: context.mode === "train" ? 0 : 1 },
    }));
  },
};
