/**
 * Refitting a layer's kept weights on examples by their normal equations, in f64: one Gauss-Jordan inversion a row.
 *
 * @module
 */
import { type RefTensor, zeros } from "./tensor.ts";

/** Height and width, or what else there is along y and along x. */
type Axes = readonly [number, number];

/** The window of a convolution. */
export interface RefWindow {
  readonly kernel: Axes;
  readonly stride: Axes;
  readonly padding: Axes;
  /** Below and on the right; like `padding` where left out. */
  readonly paddingAfter?: Axes;
  readonly dilation: Axes;
}

/** Height and width of a window's output. */
export function windowOutput(size: readonly number[], window: RefWindow): Axes {
  const side = (axis: 0 | 1) => {
    const reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
    const { padding, paddingAfter = padding } = window;
    return Math.floor((size[axis] + padding[axis] + paddingAfter[axis] - reach) / window.stride[axis]) + 1;
  };
  return [side(0), side(1)];
}

/** Patches of x (N, C, H, W) at positions (n OH + oy) OW + ox, as rows (samples, C KH KW) in the order of OIHW weights. */
export function patchRows(x: RefTensor, positions: ArrayLike<number>, window: RefWindow): RefTensor {
  const [, channels, height, width] = x.shape, [kernelHeight, kernelWidth] = window.kernel;
  const [outHeight, outWidth] = windowOutput([height, width], window);
  const columns = channels * kernelHeight * kernelWidth;
  const rows = zeros([positions.length, columns]);
  for (let sample = 0; sample < positions.length; sample++) {
    const image = Math.floor(positions[sample] / (outHeight * outWidth));
    const pixel = positions[sample] % (outHeight * outWidth);
    for (let column = 0; column < columns; column++) {
      const channel = Math.floor(column / (kernelHeight * kernelWidth));
      const tap = column % (kernelHeight * kernelWidth);
      const line = Math.floor(pixel / outWidth) * window.stride[0] - window.padding[0] +
        Math.floor(tap / kernelWidth) * window.dilation[0];
      const place = pixel % outWidth * window.stride[1] - window.padding[1] +
        tap % kernelWidth * window.dilation[1];
      if (line < 0 || line >= height || place < 0 || place >= width) continue;
      rows.values[sample * columns + column] =
        x.values[((image * channels + channel) * height + line) * width + place];
    }
  }
  return rows;
}

/** The channels of y (N, O, OH, OW) at positions (n OH + oy) OW + ox, as rows (samples, O). */
export function channelRows(y: RefTensor, positions: ArrayLike<number>): RefTensor {
  const [, outputs, height, width] = y.shape, area = height * width;
  const rows = zeros([positions.length, outputs]);
  for (let sample = 0; sample < positions.length; sample++) {
    const image = Math.floor(positions[sample] / area), pixel = positions[sample] % area;
    for (let o = 0; o < outputs; o++) {
      rows.values[sample * outputs + o] = y.values[(image * outputs + o) * area + pixel];
    }
  }
  return rows;
}

/** Adds to targets (samples, O) what the skip connection lacks: (dense - pruned) / alpha, where |alpha| >= 1e-3. */
export function addSkip(
  targets: RefTensor,
  { dense, pruned, alpha }: {
    readonly dense: RefTensor;
    readonly pruned: RefTensor;
    readonly alpha: ArrayLike<number>;
  },
): RefTensor {
  const outputs = targets.shape[1];
  const values = targets.values.map((value, i) => {
    const scale = alpha[i % outputs];
    return Math.abs(scale) < 1e-3 ? value : value + (dense.values[i] - pruned.values[i]) / scale;
  });
  return { shape: targets.shape, values };
}

/** Covariances of rows u (n, columns) with rows v (n, others): their product over n less that of their means. */
function covarianceOf(u: RefTensor, v: RefTensor): RefTensor {
  const [count, columns] = u.shape, others = v.shape[1];
  const uMeans = meansOf(u), vMeans = meansOf(v), out = zeros([columns, others]);
  for (let sample = 0; sample < count; sample++) {
    for (let i = 0; i < columns; i++) {
      const left = u.values[sample * columns + i] - uMeans[i];
      for (let j = 0; j < others; j++) {
        out.values[i * others + j] += left * (v.values[sample * others + j] - vMeans[j]) / count;
      }
    }
  }
  return out;
}

/** Means of the columns of rows. */
export function meansOf(rows: RefTensor): Float64Array {
  const [count, columns] = rows.shape, means = new Float64Array(columns);
  rows.values.forEach((value, i) => means[i % columns] += value / count);
  return means;
}

/** The inverse of a square matrix, by Gauss-Jordan elimination with row pivots. */
export function inverseOf(matrix: RefTensor): RefTensor {
  const size = matrix.shape[0], work = Float64Array.from(matrix.values), out = zeros([size, size]);
  const swap = (values: Float64Array, a: number, b: number) => {
    for (let j = 0; j < size; j++) {
      [values[a * size + j], values[b * size + j]] = [values[b * size + j], values[a * size + j]];
    }
  };
  for (let i = 0; i < size; i++) out.values[i * size + i] = 1;
  for (let k = 0; k < size; k++) {
    let pivot = k;
    for (let i = k + 1; i < size; i++) {
      if (Math.abs(work[i * size + k]) > Math.abs(work[pivot * size + k])) pivot = i;
    }
    for (const values of [work, out.values]) swap(values, k, pivot);
    const scale = 1 / work[k * size + k];
    for (let j = 0; j < size; j++) {
      work[k * size + j] *= scale;
      out.values[k * size + j] *= scale;
    }
    for (let i = 0; i < size; i++) {
      const factor = work[i * size + k];
      if (i === k || factor === 0) continue;
      for (let j = 0; j < size; j++) {
        work[i * size + j] -= factor * work[k * size + j];
        out.values[i * size + j] -= factor * out.values[k * size + j];
      }
    }
  }
  return out;
}

/** The lower Cholesky factor of a positive definite matrix. */
function choleskyOf(matrix: RefTensor): RefTensor {
  const size = matrix.shape[0], factor = zeros([size, size]), l = factor.values;
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix.values[i * size + j];
      for (let k = 0; k < j; k++) sum -= l[i * size + k] * l[j * size + k];
      l[i * size + j] = i === j ? Math.sqrt(sum) : sum / l[j * size + j];
    }
  }
  return factor;
}

/** The largest condition |L_kk^-1| |L_kk| (row sums) of the diagonal blocks of a matrix's Cholesky factor, 1 for none. */
export function blockCondition(matrix: RefTensor, blockSize: number): number {
  const size = matrix.shape[0], factor = choleskyOf(matrix);
  let largest = 1;
  for (let first = 0; first < size; first += blockSize) {
    const edge = Math.min(blockSize, size - first), block = zeros([edge, edge]);
    for (let i = 0; i < edge; i++) {
      for (let j = 0; j <= i; j++) {
        block.values[i * edge + j] = factor.values[(first + i) * size + first + j];
      }
    }
    const inverse = inverseOf(block);
    for (let i = 0; i < edge; i++) {
      let sum = 0;
      for (let k = 0; k < edge; k++) {
        for (let j = 0; j < edge; j++) {
          sum += Math.abs(inverse.values[i * edge + k] * block.values[k * edge + j]);
        }
      }
      largest = Math.max(largest, sum);
    }
  }
  return largest;
}

/** One output row's refit, and what bounds the errors of another solution of it. */
export interface RefRow {
  /** The columns of its kept weights. */
  readonly support: readonly number[];
  /** H[S, S] + d I, its right side, and its inverse. */
  readonly matrix: RefTensor;
  readonly right: Float64Array;
  readonly inverse: RefTensor;
  /** The weights on the support. */
  readonly weights: Float64Array;
}

/**
 * Solves every output row on its support.
 *
 * u (n, columns) patches, t (n, outputs) targets, dense W0 and mask (outputs, columns); `damping` a share of the mean
 * diagonal of H, at least 1e-12 in all; `factors` multiplies it by row.
 */
export function refitRows(
  { u, t, dense, mask, damping, factors = [] }: {
    readonly u: RefTensor;
    readonly t: RefTensor;
    readonly dense: RefTensor;
    readonly mask: RefTensor;
    readonly damping: number;
    readonly factors?: readonly number[];
  },
): { readonly rows: readonly RefRow[]; readonly damping: number } {
  const columns = u.shape[1], outputs = t.shape[1];
  const h = covarianceOf(u, u), c = covarianceOf(u, t);
  const variances = Float64Array.from({ length: columns }, (_, i) => h.values[i * columns + i]);
  const added = Math.max(1e-12, damping * variances.reduce((sum, value) => sum + value, 0) / columns);
  const rows = Array.from({ length: outputs }, (_, r): RefRow => {
    const own = added * (factors[r] ?? 1);
    const support = Array.from({ length: columns }, (_, i) => i).filter((i) =>
      mask.values[r * columns + i] !== 0
    );
    const size = support.length, matrix = zeros([size, size]);
    support.forEach((i, a) =>
      support.forEach((j, b) => matrix.values[a * size + b] = h.values[i * columns + j] + (a === b ? own : 0))
    );
    const right = Float64Array.from(
      support,
      (i) => c.values[i * outputs + r] + own * dense.values[r * columns + i],
    );
    const inverse = inverseOf(matrix);
    const weights = right.map((_, a) =>
      right.reduce((sum, value, b) => sum + inverse.values[a * size + b] * value, 0)
    );
    return { support, matrix, right, inverse, weights };
  });
  return { rows, damping: added };
}
