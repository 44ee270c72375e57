import { assertEquals } from "@std/assert";
import { placeImage, Resizer } from "../../src/data/image_resize.ts";

/** A picture by a rule that the expected numbers were made with too. */
function picture(width: number, height: number, channels: number): Uint8Array {
  const at = (x: number, y: number, c: number) => (x * 37 + y * 91 + c * 50 + (x * y * 7) % 61) % 256;
  return Uint8Array.from({ length: width * height * channels }, (_, i) => {
    const pixel = Math.floor(i / channels);
    return at(pixel % width, Math.floor(pixel / width), i % channels);
  });
}

/** Planes (C, H, W) as pixels (H, W, C). */
function interleave(planes: Uint8Array, channels: number): number[] {
  const plane = planes.length / channels;
  return Array.from(planes, (_, i) => planes[(i % channels) * plane + Math.floor(i / channels)]);
}

Deno.test("Resizer gives the bytes of Pillow 12.3's resize(size, BILINEAR, box)", () => {
  const cases = [
    {
      from: [23, 17, 3],
      to: [7, 5],
      mode: "stretch",
      first: [118, 128, 137, 129, 132, 140, 118, 129, 118, 117, 116, 117],
      last: [124, 127, 124, 145, 129, 113],
      sum: 709797,
    },
    {
      from: [5, 4, 3],
      to: [9, 11],
      mode: "stretch",
      first: [0, 50, 100, 12, 62, 112, 33, 83, 133, 53, 103, 153],
      last: [169, 219, 98, 188, 238, 32],
      sum: 4207137,
    },
    {
      from: [40, 30, 1],
      to: [8, 8],
      mode: "crop",
      first: [127, 113, 129, 129, 130, 117, 121, 136, 134, 126, 125, 120],
      last: [114, 125, 140, 144, 123, 130],
      sum: 267925,
    },
    {
      from: [23, 17, 3],
      to: [5, 5],
      mode: "crop",
      first: [129, 132, 141, 119, 128, 118, 117, 117, 117, 131, 125, 121],
      last: [128, 123, 125, 125, 128, 124],
      sum: 364413,
    },
    {
      from: [20, 30, 3],
      to: [8, 5],
      mode: "crop",
      first: [126, 130, 141, 132, 132, 137, 145, 121, 114, 122, 136, 142],
      last: [125, 141, 138, 102, 140, 154],
      sum: 926483,
    },
  ] as const;
  const resizer = new Resizer();
  for (
    const { from: [width, height, channels], to: [outWidth, outHeight], mode, first, last, sum } of cases
  ) {
    const image = { width, height, channels, pixels: picture(width, height, channels) };
    const size = { width: outWidth, height: outHeight };
    const target = new Uint8Array(outWidth * outHeight * channels);
    resizer.resize(image, placeImage(image, size, mode), target, size);
    const got = interleave(target, channels);
    assertEquals(got.slice(0, 12), [...first]);
    assertEquals(got.slice(-6), [...last]);
    assertEquals(got.reduce((all, value, i) => all + (i % 251 + 1) * value, 0), sum);
  }
});

Deno.test("placeImage() cuts the middle, changes the shape, or leaves edges", () => {
  const wide = { width: 40, height: 20 }, square = { width: 10, height: 10 };
  assertEquals(placeImage(wide, square, "crop"), { from: [10, 0, 30, 20], to: [0, 0, 10, 10] });
  assertEquals(placeImage(wide, square, "stretch"), { from: [0, 0, 40, 20], to: [0, 0, 10, 10] });
  assertEquals(placeImage(wide, square, "pad"), { from: [0, 0, 40, 20], to: [0, 2, 10, 7] });
  // A line that would vanish keeps a pixel.
  assertEquals(placeImage({ width: 1000, height: 1 }, square, "pad").to, [0, 4, 10, 5]);
});
