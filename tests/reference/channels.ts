/**
 * What moves channels of maps (torch.nn.ChannelShuffle, x[:, a:b]), in f64.
 *
 * @module
 */
import { expectShape, type RefTensor, zeros } from "./tensor.ts";

/** Calls `visit` with the indices of every number of y, which has channel `source(c)` of x at c, and of its source. */
function forEachMoved(
  [batch, channels, height, width]: readonly number[],
  { count, source }: { readonly count: number; readonly source: (c: number) => number },
  visit: (yIndex: number, xIndex: number) => void,
): void {
  const area = height * width;
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < count; c++) {
      for (let p = 0; p < area; p++) {
        visit((n * count + c) * area + p, (n * channels + source(c)) * area + p);
      }
    }
  }
}

/** A move of channels, forward and backward. */
export interface ChannelMove {
  /** x (N, C, H, W) -> y. */
  readonly forward: (x: RefTensor) => RefTensor;
  /** The gradient of x from that of y. */
  readonly backward: (x: RefTensor, dy: RefTensor) => RefTensor;
}

function moveBy(
  find: (channels: number) => { readonly count: number; readonly source: (c: number) => number },
): ChannelMove {
  const outputShape = (
    [batch, channels, ...area]: readonly number[],
  ) => [batch, find(channels).count, ...area];
  return {
    forward(x) {
      const y = zeros(outputShape(x.shape));
      forEachMoved(x.shape, find(x.shape[1]), (to, from) => y.values[to] = x.values[from]);
      return y;
    },
    backward(x, dy) {
      expectShape("dy", dy, outputShape(x.shape));
      const dx = zeros(x.shape);
      forEachMoved(x.shape, find(x.shape[1]), (to, from) => dx.values[from] = dy.values[to]);
      return dx;
    },
  };
}

/** The channels of groups mixed: x viewed as (N, groups, C / groups, H, W), both turned, and viewed as x again. */
export function channelShuffle(groups: number): ChannelMove {
  return moveBy((channels) => ({
    count: channels,
    source: (c) => (c % groups) * (channels / groups) + Math.floor(c / groups),
  }));
}

/** The channels x[:, first:first + count]. */
export function channelSlice(first: number, count: number): ChannelMove {
  return moveBy(() => ({ count, source: (c) => c + first }));
}
