/**
 * The backward pass of a layer together with the batch norm by running statistics that its forward pass applies: the
 * gradient of the batch norm's output is taken for that of the layer's, and the parameters' gradients follow from it.
 *
 * @module
 */
import { arenaRef, type BufferRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { countQuads } from "../shape.ts";
import type { FusedNorm, LayerContext } from "./layer.ts";

/** The weight of a layer, a line of quads per output channel, and the batch norm. */
export interface NormedWeight {
  readonly name: string;
  /** Output channels. */
  readonly rows: number;
  /** Quads of the weight per output channel. */
  readonly rowQuads: number;
  /** First quads of the weight, and of the bias if there is one, in the value and gradient arenas. */
  readonly weight: number;
  readonly bias: number | undefined;
  readonly norm: FusedNorm;
}

/** Emits the weight of layer and batch norm together, and says where an input gradient reads it. */
export function readNormed(
  { name, rows, rowQuads, weight, norm: { variance, gamma, epsilon } }: NormedWeight,
  { scratch, emit }: Pick<LayerContext<unknown>, "scratch" | "emit">,
): { readonly values: BufferRef; readonly weight: number } {
  const normed = scratch("normed weight", rows * rowQuads);
  emit(dispatchOver(rows * rowQuads, {
    kernel: "layer/normed_weight",
    label: `${name} weight, normed`,
    bindings: { values: arenaRef("values"), statistics: arenaRef("statistics"), normed },
    params: { rows, "row_quads": rowQuads, weight, variance, gamma, epsilon },
  }));
  return { values: normed, weight: 0 };
}

/**
 * The dispatch after those that write gradients as if the batch norm's output were the layer's: of the weight, and the sum
 * of dy at the batch norm's shift. It sets the gradients of weight, bias and the batch norm's scale.
 */
export function backwardNorm(
  { name, rows, rowQuads, weight, bias, norm }: NormedWeight,
): Dispatch {
  // One workgroup of 64 per quad of rows.
  return dispatchOver(64 * countQuads(rows), {
    kernel: "layer/normed_weight_backward",
    label: `${name} backward norm`,
    bindings: {
      values: arenaRef("values"),
      statistics: arenaRef("statistics"),
      gradients: arenaRef("gradients"),
    },
    params: { rows, "row_quads": rowQuads, weight, bias: bias ?? 0, ...norm },
    constants: { HAS_BIAS: bias === undefined ? 0 : 1 },
  });
}
