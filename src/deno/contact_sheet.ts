/**
 * Some images of each class in one picture.
 *
 * @module
 */
import { encode, initSync } from "@jsquash/png/codec/pkg/squoosh_png.js";
import pngPackage from "@jsquash/png/package.json" with { type: "json" };
import type { ImageSize } from "../data/image_resize.ts";
import type { ImageSplit } from "../data/split.ts";

void pngPackage;

/** A picture of four bytes a pixel. */
export interface Picture extends ImageSize {
  readonly pixels: Uint8Array;
}

/** Pixels between two images, and the least side of one. */
const gap = 2, leastSide = 48;

/** Draws the first images of each class, a line a class. Small ones are drawn larger, each pixel as a square. */
export function drawSheet(
  { pixels, labels, count }: ImageSplit,
  { channels, height, width, lines, columns }: ImageSize & {
    readonly channels: number;
    /** Classes to draw. */
    readonly lines: number;
    /** Images of each. */
    readonly columns: number;
  },
): Picture {
  const zoom = Math.max(1, Math.ceil(leastSide / Math.min(width, height)));
  const cell = { width: width * zoom + gap, height: height * zoom + gap };
  const sheet = { width: columns * cell.width + gap, height: lines * cell.height + gap };
  const out = new Uint8Array(4 * sheet.width * sheet.height).fill(255), drawn = new Uint32Array(lines);
  const plane = height * width;
  for (let i = 0; i < count; i++) {
    const line = labels[i];
    if (line >= lines || drawn[line] === columns) continue;
    const left = gap + drawn[line]++ * cell.width, top = gap + line * cell.height;
    for (let y = 0; y < height * zoom; y++) {
      for (let x = 0; x < width * zoom; x++) {
        const from = i * channels * plane + Math.floor(y / zoom) * width + Math.floor(x / zoom);
        const at = 4 * ((top + y) * sheet.width + left + x);
        for (let c = 0; c < 3; c++) out[at + c] = pixels[from + Math.min(c, channels - 1) * plane];
      }
    }
  }
  return { ...sheet, pixels: out };
}

let isOpen = false;

/** A picture as a PNG file. */
export function encodePng({ pixels, width, height }: Picture): Uint8Array {
  if (!isOpen) {
    const path = import.meta.resolve("@jsquash/png/codec/pkg/squoosh_png_bg.wasm");
    initSync(new WebAssembly.Module(Deno.readFileSync(new URL(path))));
    isOpen = true;
  }
  return encode(pixels, width, height, 8);
}
