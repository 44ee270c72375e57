import { assertEquals, assertThrows } from "@std/assert";
import { ImageFault, readImageHeader } from "../../src/data/image_header.ts";
import { fixtures, gifFile, pngFile, turnedFile } from "../helpers/image_files.ts";

const size = { width: 24, height: 16 };

Deno.test("readImageHeader() tells format, size, colour and orientation", () => {
  const jpeg = { format: "jpeg", ...size, isGrey: false, orientation: 1, components: 3 } as const;
  assertEquals(readImageHeader(fixtures.baseline.bytes, true), jpeg);
  assertEquals(readImageHeader(fixtures.progressive.bytes, true), jpeg);
  assertEquals(readImageHeader(fixtures.grey.bytes, true), { ...jpeg, isGrey: true, components: 1 });
  assertEquals(readImageHeader(fixtures.cmyk.bytes, true), { ...jpeg, components: 4 });
  assertEquals(readImageHeader(turnedFile(7), true), { ...jpeg, orientation: 7 });
  // What Exif does not know is upright.
  assertEquals(readImageHeader(turnedFile(9), true), jpeg);
  const other = { ...jpeg, components: 0 };
  assertEquals(readImageHeader(fixtures.webpLossless.bytes, true), { ...other, format: "webp" });
  assertEquals(readImageHeader(fixtures.webpLossy.bytes, true), { ...other, format: "webp" });
  const grey = pngFile({ width: 2, height: 1, colour: 0 }, [1, 2]);
  assertEquals(readImageHeader(grey, true), {
    ...other,
    format: "png",
    width: 2,
    height: 1,
    isGrey: true,
  });
  const gif = gifFile([3, 2], [0, 0xffffff], [[0, 1, 0, 1, 0, 1]]);
  assertEquals(readImageHeader(gif, true), { ...other, format: "gif", width: 3, height: 2 });
});

Deno.test("readImageHeader() asks for more where a header goes on, and refuses what is no image", () => {
  const { bytes } = fixtures.turned6;
  assertEquals(readImageHeader(bytes.subarray(0, 30), false), undefined);
  const refuse = (bytes: Uint8Array, current: string) =>
    assertThrows(() => readImageHeader(bytes, true), ImageFault, current);
  refuse(bytes.subarray(0, 30), "it is cut off in its header");
  refuse(new Uint8Array(0), "it is empty");
  refuse(new Uint8Array(5), "it is no image");
  refuse(new TextEncoder().encode("a text of some words"), "it is no image");
  refuse(new TextEncoder().encode("BM and whatever follows"), "it is a BMP image");
  refuse(pngFile({ width: 0, height: 4, colour: 2 }, [0, 0, 0, 0]), "its header says 0 x 4 pixels");
  // No bytes in a row may make it read beyond them or for ever.
  for (const { bytes } of Object.values(fixtures)) {
    for (let end = 0; end < bytes.length; end += 7) {
      try {
        readImageHeader(bytes.subarray(0, end), true);
      } catch (error) {
        assertEquals(error instanceof ImageFault, true);
      }
    }
  }
});
