import { assert, assertEquals, assertMatch } from "@std/assert";
import type { DecodeRequest } from "../../src/data/image_decoder.ts";
import { openDenoImageDecoder } from "../../src/deno/image_decoder.ts";
import {
  fixtures,
  gifFile,
  pngFile,
  turnedCorners,
  turnedFile,
  writeImages,
} from "../helpers/image_files.ts";

/** Decodes files, each by itself, in a folder of their own. */
async function decodeAll(
  files: Readonly<Record<string, Uint8Array>>,
  options: Omit<DecodeRequest, "paths" | "resize"> & Partial<Pick<DecodeRequest, "resize">>,
) {
  const folder = await Deno.makeTempDir();
  try {
    await writeImages(folder, files);
    using decoder = openDenoImageDecoder();
    const paths = Object.keys(files).map((name) => `${folder}/${name}`);
    const probed = await decoder.probe(paths);
    const { pixels, ...rest } = await decoder.decode({ paths, resize: "stretch", ...options });
    const bytes = options.channels * options.height * options.width;
    const images = paths.map((_, i) => pixels.subarray(i * bytes, (i + 1) * bytes));
    return { images, probed, ...rest };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The colours of a pixel of planes. */
function pixelAt(image: Uint8Array, [x, y]: readonly number[], { width, height }: Record<string, number>) {
  const plane = width * height, at = y * width + x;
  return Array.from({ length: image.length / plane }, (_, c) => image[c * plane + at]);
}

/** The corners, and a pixel within. */
function cornersOf(image: Uint8Array, size: { readonly width: number; readonly height: number }) {
  const right = size.width - 1, bottom = size.height - 1;
  return [[0, 0], [right, 0], [0, bottom], [right, bottom], [5, 3]].map((at) => pixelAt(image, at, size));
}

function largestDifference(a: readonly (readonly number[])[], b: typeof a): number {
  return Math.max(...a.flatMap((row, i) => row.map((value, k) => Math.abs(value - b[i][k]))));
}

Deno.test("every kind of JPEG and WebP decodes to what Pillow makes of it", async () => {
  const names = [
    "baseline",
    "subsampled",
    "progressive",
    "grey",
    "cmyk",
    "webpLossless",
    "webpLossy",
  ] as const;
  const files = Object.fromEntries(names.map((name) => [`${name}.x`, fixtures[name].bytes]));
  const size = { width: 24, height: 16 };
  const { images, damaged, probed } = await decodeAll(files, { channels: 3, ...size });
  assertEquals([damaged, probed.damaged], [[], []]);
  names.forEach((name, i) => {
    const difference = largestDifference(cornersOf(images[i], size), fixtures[name].corners);
    // Decoders of one format may round differently, by one.
    assert(difference <= 1, `${name}: ${difference}`);
    assertEquals([...probed.sizes.subarray(3 * i, 3 * i + 3)], [16, 24, name === "grey" ? 1 : 0]);
  });
});

Deno.test("a picture is turned as Exif says, in each of its ways", async () => {
  const ways = [2, 3, 4, 5, 6, 7, 8];
  const files = Object.fromEntries(ways.map((way) => [`${way}.jpg`, turnedFile(way)]));
  const flat = { width: 24, height: 16 }, upright = { width: 16, height: 24 };
  for (const [size, some] of [[flat, ways.slice(0, 3)], [upright, ways.slice(3)]] as const) {
    const chosen = Object.fromEntries(some.map((way) => [`${way}.jpg`, files[`${way}.jpg`]]));
    const { images, probed, damaged } = await decodeAll(chosen, { channels: 3, ...size });
    assertEquals(damaged, []);
    some.forEach((way, i) => {
      assertEquals([...probed.sizes.subarray(3 * i, 3 * i + 2)], [size.height, size.width]);
      const difference = largestDifference(cornersOf(images[i], size), turnedCorners[way - 2]);
      assert(difference <= 1, `orientation ${way}: ${difference}`);
    });
  }
});

Deno.test("PNG of every colour type and depth, and the first frame of a GIF", async () => {
  const one = { width: 2, height: 1 };
  const files = {
    "rgb8": pngFile({ ...one, colour: 2 }, [10, 20, 30, 200, 210, 220]),
    "rgb16": pngFile({ ...one, colour: 2, depth: 16 }, [10, 0, 20, 0, 30, 0, 200, 0, 210, 0, 220, 0]),
    "grey8": pngFile({ ...one, colour: 0 }, [7, 250]),
    "grey16": pngFile({ ...one, colour: 0, depth: 16 }, [7, 1, 250, 2]),
    "palette": pngFile({ ...one, colour: 3, palette: [1, 2, 3, 4, 5, 6] }, [1, 0]),
    "clear": pngFile({ ...one, colour: 3, palette: [1, 2, 3, 4, 5, 6], alpha: [0] }, [1, 0]),
    "greyAlpha": pngFile({ ...one, colour: 4 }, [7, 255, 0, 128]),
    "rgba": pngFile({ ...one, colour: 6 }, [10, 20, 30, 255, 100, 0, 200, 51]),
    "gif": gifFile([2, 1], [0x010203, 0xf0e0d0], [[1, 0], [0, 0]]),
  };
  const { images, damaged } = await decodeAll(files, { channels: 3, ...one });
  assertEquals(damaged, []);
  const got = images.map((image) => [pixelAt(image, [0, 0], one), pixelAt(image, [1, 0], one)]);
  assertEquals(got, [
    [[10, 20, 30], [200, 210, 220]],
    [[10, 20, 30], [200, 210, 220]],
    [[7, 7, 7], [250, 250, 250]],
    [[7, 7, 7], [250, 250, 250]],
    [[4, 5, 6], [1, 2, 3]],
    // What can be seen through lies over white.
    [[4, 5, 6], [255, 255, 255]],
    [[7, 7, 7], [127, 127, 127]],
    [[10, 20, 30], [224, 204, 244]],
    [[0xf0, 0xe0, 0xd0], [1, 2, 3]],
  ]);
  const grey = await decodeAll({ "rgb8": files.rgb8, "grey8": files.grey8 }, { channels: 1, ...one });
  // 0.299 red + 0.587 green + 0.114 blue.
  assertEquals(grey.images.map((image) => [...image]), [[18, 208], [7, 250]]);
});

Deno.test("a large JPEG is decoded at a part of its size, and comes out as if it were not", async () => {
  // The corners' colours of a smooth picture of 24 x 16 pixels, made 512 x 256 by a PNG, cannot be told apart by less.
  const width = 512, height = 256;
  const lines = Array.from(
    { length: height },
    (_, y) => Array.from({ length: width }, (_, x) => [x >> 1, y, 128]),
  );
  const { encode } = await import("jpeg-js");
  const rgba = Uint8Array.from(lines.flat().flatMap((pixel) => [...pixel, 255]));
  const jpeg = new Uint8Array(encode({ width, height, data: rgba }, 95).data);
  const png = pngFile({ width, height, colour: 2 }, lines.flat(2));
  for (const resize of ["crop", "stretch", "pad"] as const) {
    const { images: [a, b] } = await decodeAll({ jpeg, png }, { channels: 3, width: 20, height: 16, resize });
    const difference = Math.max(...a.map((value, i) => Math.abs(value - b[i])));
    assert(difference <= 3, `${resize}: ${difference}`);
  }
});

Deno.test("damaged files are told apart from each other and do not harm those beside them", async () => {
  const { bytes } = fixtures.baseline, half = bytes.subarray(0, bytes.length - 150);
  const broken = bytes.slice();
  broken.fill(0xff, bytes.length - 120, bytes.length - 2);
  const bomb = pngFile({ width: 60000, height: 60000, colour: 2 }, Array.from({ length: 60000 }, () => 0));
  const files = {
    "0.jpg": bytes,
    "1.jpg": half,
    "2.jpg": new Uint8Array(0),
    "3.png": bomb,
    "4.jpg": new TextEncoder().encode("These are words, and no picture."),
    "5.png": fixtures.webpLossless.bytes.subarray(0, 40),
    "6.jpg": bytes,
    "folder/7.jpg": broken,
    "8.jpg": bytes,
  };
  const size = { channels: 3 as const, width: 24, height: 16 };
  const { images, damaged, digests } = await decodeAll(files, size);
  assertEquals(damaged.map(({ index }) => index), [1, 2, 3, 4, 5, 7]);
  const [cut, empty, large, words] = damaged.map(({ current }) => current);
  assertEquals([cut, empty, words], ["it is cut off", "it is empty", "it is no image"]);
  assertMatch(large, /its header says 60000 x 60000 pixels, which is more than 100 million/);
  assertEquals(images[6], images[0]);
  assertEquals(images[8], images[0]);
  assertEquals(digests.subarray(18, 21), digests.subarray(0, 3));
  assert(digests[18] === bytes.length && images[1].every((value) => value === 0));
});

Deno.test("a folder, a link that leads nowhere and a missing file are said to be that", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await writeImages(folder, { "inner/a.jpg": fixtures.baseline.bytes });
    await Deno.symlink(`${folder}/nowhere`, `${folder}/link.jpg`);
    await Deno.symlink(`${folder}/inner/a.jpg`, `${folder}/good.jpg`);
    using decoder = openDenoImageDecoder();
    const { damaged, sizes } = await decoder.probe(
      ["inner", "link.jpg", "none.jpg", "good.jpg"].map((name) => `${folder}/${name}`),
    );
    const missing = "there is no such file, or a link leads nowhere";
    assertEquals(damaged.map(({ current }) => current), ["it is a folder", missing, missing]);
    assertEquals([...sizes.subarray(9)], [16, 24, 0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
