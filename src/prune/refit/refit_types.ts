/**
 * What a layer's refit takes and gives.
 *
 * @module
 */
import type { DeviceBuffer } from "../../gpu/buffer.ts";
import type { BoundBuffer } from "../../gpu/bind.ts";

/** How a layer's refit is opened. */
export interface RefitOptions {
  /** Samples that are gathered together at most; memory for so many patches is held. */
  readonly samples: number;
  /** Bytes that the systems solved side by side may take, one system at least; 64 MiB where left out. */
  readonly scratchBytes?: number;
  /**
   * False where nothing behind the layer can take a shift: H and C are then mean products about zero, b is zero, and the
   * weights fit the means too. True where left out.
   */
  readonly isCentred?: boolean;
}

/** Examples of a layer, and where in them samples are taken. All tensors lie on the device, in quads (NHWC). */
export interface RefitExamples {
  /** The pruned network's input of the layer (N, inHeight, inWidth, quads). */
  readonly x: BoundBuffer;
  /** What the layer is to give (lines, quads of outChannels): the dense network's output, whole or sampled before. */
  readonly targets: BoundBuffer;
  /** Sampled output positions, (n outHeight + oy) outWidth + ox. */
  readonly positions: Uint32Array;
  /** The line of `targets`, and of `skip.dense`, of each sample; `positions` where left out. */
  readonly targetLines?: Uint32Array;
  /** For a convolution that ends a residual block: what is added behind its batch norm, which multiplies by alpha. */
  readonly skip?: {
    /** In the dense network (lines, quads of outChannels). */
    readonly dense: BoundBuffer;
    /** In the pruned one (N outHeight outWidth, quads of outChannels). */
    readonly pruned: BoundBuffer;
    /** gamma / sqrt(variance + epsilon) (quads of outChannels). */
    readonly alpha: BoundBuffer;
  };
}

/** A place in a buffer: an arena and the first quad of a layer's parameter. */
export interface RefitPlace {
  readonly buffer: DeviceBuffer;
  /** First quad. */
  readonly offset: number;
}

/** What a solution is made of and where it goes. Weights lie as (rows, taps, quads of channels). */
export interface RefitTargets {
  /** 1 keeps a weight, 0 removes it. */
  readonly mask: RefitPlace;
  /** The weights W0 towards which the damping pulls. */
  readonly dense: RefitPlace;
  /** Takes the weights, zeros among them; may be `dense` itself, which is then written over. */
  readonly values: RefitPlace;
  /** Takes b = t - W m, one float an output channel, from quad `offset` on. */
  readonly shift: RefitPlace;
  /** Takes z = |w| / sqrt([H_SS^-1]_jj) in the places of the weights, 0 for removed ones; not computed where left out. */
  readonly scores?: RefitPlace;
  /** The damping as a share of the mean diagonal of H; 3e-3 where left out. */
  readonly damping?: number;
}

/** What a refit did. */
export interface RefitReport {
  /** The damping d, in units of the inputs' variance. */
  readonly damping: number;
  /** Kept weights of each output row. */
  readonly kept: readonly number[];
  /** Rows whose systems were singular in f32, with the factor by which their damping was raised until they were not. */
  readonly raised: readonly { readonly row: number; readonly factor: number }[];
}
