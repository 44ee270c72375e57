/**
 * Resizes images as Pillow's `resize` with BILINEAR does, bit by bit: a triangle as wide as the step between two pixels of
 * the result (antialiasing), first along lines and then along columns, in whole numbers of 22 bits. Source: Pillow,
 * src/libImaging/Resample.c.
 *
 * @module
 */

/** How an image gets the size that is wanted. */
export type ResizeMode = "crop" | "stretch" | "pad";

/** Height and width, in pixels. */
export interface ImageSize {
  /** H. */
  readonly height: number;
  /** W. */
  readonly width: number;
}

/** Pixels (H, W, C) of bytes. */
export interface PixelImage extends ImageSize {
  readonly pixels: Uint8Array | Uint8ClampedArray;
  readonly channels: number;
}

/** A rectangle: the first column and line, and those behind the last. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

/** The part of an image that is shown, and the part of the result that it fills. */
export interface Placement {
  readonly from: Box;
  /** Whole pixels. */
  readonly to: Box;
}

/**
 * Where an image goes. `crop` takes the largest part in the middle with the shape of the result, `stretch` all of the
 * image, `pad` keeps its shape and leaves edges.
 */
export function placeImage({ height, width }: ImageSize, to: ImageSize, mode: ResizeMode): Placement {
  const whole: Box = [0, 0, width, height], all: Box = [0, 0, to.width, to.height];
  if (mode === "stretch") return { from: whole, to: all };
  if (mode === "crop") {
    const scale = Math.min(width / to.width, height / to.height);
    const left = (width - to.width * scale) / 2, top = (height - to.height * scale) / 2;
    return { from: [left, top, width - left, height - top], to: all };
  }
  const scale = Math.min(to.width / width, to.height / height);
  const inner = [to.width, to.height].map((most, i) => {
    return Math.min(most, Math.max(1, Math.round([width, height][i] * scale)));
  });
  const left = Math.floor((to.width - inner[0]) / 2), top = Math.floor((to.height - inner[1]) / 2);
  return { from: whole, to: [left, top, left + inner[0], top + inner[1]] };
}

const precisionBits = 22;

/** The weights of the pixels that make each pixel of a line. */
interface Taps {
  /** The first pixel of each. */
  readonly first: Int32Array;
  /** How many it takes. */
  readonly count: Int32Array;
  /** Their weights, `most` for each. */
  readonly weights: Int32Array;
  readonly most: number;
}

function makeTaps(size: number, from: number, to: number, out: number): Taps {
  const scale = (to - from) / out, support = Math.max(1, scale), most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(out), count = new Int32Array(out), weights = new Int32Array(out * most);
  const exact = new Float64Array(most);
  for (let i = 0; i < out; i++) {
    const center = from + (i + 0.5) * scale;
    first[i] = Math.max(0, Math.trunc(center - support + 0.5));
    count[i] = Math.min(size, Math.trunc(center + support + 0.5)) - first[i];
    let sum = 0;
    for (let k = 0; k < count[i]; k++) {
      exact[k] = Math.max(0, 1 - Math.abs((k + first[i] - center + 0.5) / support));
      sum += exact[k];
    }
    for (let k = 0; k < count[i]; k++) {
      weights[i * most + k] = Math.trunc(0.5 + exact[k] / sum * 2 ** precisionBits);
    }
  }
  return { first, count, weights, most };
}

/** Resizes images; it keeps the weights of the sizes that it met, and memory for the lines between both passes. */
export class Resizer {
  readonly #taps = new Map<string, Taps>();
  #lines = new Uint8Array(0);
  #sums = new Int32Array(0);

  /** Writes the part of an image to its place in a result (C, H, W) of the same channels. */
  resize(image: PixelImage, { from, to }: Placement, target: Uint8Array, { height, width }: ImageSize): void {
    const { channels } = image, outWidth = to[2] - to[0], outHeight = to[3] - to[1];
    const isWhole = from[0] === 0 && from[1] === 0 && from[2] === image.width && from[3] === image.height;
    if (isWhole && image.width === width && image.height === height) return separate(image, target);
    const across = this.#tapsFor(image.width, from[0], from[2], outWidth);
    const down = this.#tapsFor(image.height, from[1], from[3], outHeight);
    const top = down.first[0], bottom = down.first[outHeight - 1] + down.count[outHeight - 1];
    const stride = outWidth * channels;
    if (this.#lines.length < (bottom - top) * stride) this.#lines = new Uint8Array((bottom - top) * stride);
    const lines = this.#lines;
    if (channels === 3) resizeLines3(image, across, { lines, top, bottom, outWidth });
    else resizeLines1(image, across, { lines, top, bottom, outWidth });
    if (this.#sums.length < stride) this.#sums = new Int32Array(stride);
    const sums = this.#sums.subarray(0, stride), plane = height * width;
    for (let y = 0; y < outHeight; y++) {
      sums.fill(1 << precisionBits - 1);
      // Line by line, because memory is read in its order then.
      for (let k = 0; k < down.count[y]; k++) {
        addLine(sums, lines, (down.first[y] + k - top) * stride, down.weights[y * down.most + k]);
      }
      for (let c = 0; c < channels; c++) {
        let out = c * plane + (to[1] + y) * width + to[0];
        for (let at = c; at < stride; at += channels) target[out++] = sums[at] >> precisionBits;
      }
    }
  }

  #tapsFor(...sizes: readonly [size: number, from: number, to: number, out: number]): Taps {
    const key = sizes.join(" "), known = this.#taps.get(key);
    if (known) return known;
    // Photographs of many sizes would fill memory.
    if (this.#taps.size >= 1024) this.#taps.clear();
    const made = makeTaps(...sizes);
    this.#taps.set(key, made);
    return made;
  }
}

/** Adds a line times its weight to sums. */
function addLine(sums: Int32Array, lines: Uint8Array, from: number, weight: number): void {
  for (let i = 0; i < sums.length; i++) sums[i] += Math.imul(lines[from + i], weight);
}

/** Writes pixels (H, W, C) as planes (C, H, W). */
function separate({ pixels, height, width, channels }: PixelImage, target: Uint8Array): void {
  const plane = height * width;
  for (let c = 0; c < channels; c++) {
    for (let i = c * plane, at = c; i < (c + 1) * plane; i++, at += channels) target[i] = pixels[at];
  }
}

/** The lines between the passes, and which there are. */
interface Lines {
  readonly lines: Uint8Array;
  readonly top: number;
  readonly bottom: number;
  readonly outWidth: number;
}

// Sums stay within 0 and 255 2^22 + 2^21, so nothing is cut off: weights are positive and their sum is 2^22, but for rounding.
// The passes over colours and over grey are apart, because a loop over channels within takes twice the time.
function resizeLines3(
  { pixels, width }: PixelImage,
  taps: Taps,
  { lines, top, bottom, outWidth }: Lines,
): void {
  const { first, count, weights, most } = taps, half = 1 << precisionBits - 1;
  for (let y = top, out = 0; y < bottom; y++) {
    const line = y * width;
    for (let x = 0; x < outWidth; x++, out += 3) {
      let red = half, green = half, blue = half;
      let at = 3 * (line + first[x]);
      for (let k = x * most, end = k + count[x]; k < end; k++, at += 3) {
        const weight = weights[k];
        red = red + Math.imul(pixels[at], weight) | 0;
        green = green + Math.imul(pixels[at + 1], weight) | 0;
        blue = blue + Math.imul(pixels[at + 2], weight) | 0;
      }
      lines[out] = red >> precisionBits;
      lines[out + 1] = green >> precisionBits;
      lines[out + 2] = blue >> precisionBits;
    }
  }
}

function resizeLines1(
  { pixels, width }: PixelImage,
  taps: Taps,
  { lines, top, bottom, outWidth }: Lines,
): void {
  const { first, count, weights, most } = taps;
  for (let y = top, out = 0; y < bottom; y++) {
    for (let x = 0; x < outWidth; x++, out++) {
      let sum = 1 << precisionBits - 1, at = y * width + first[x];
      for (let k = x * most, end = k + count[x]; k < end; k++, at++) {
        sum = sum + Math.imul(pixels[at], weights[k]) | 0;
      }
      lines[out] = sum >> precisionBits;
    }
  }
}
