/**
 * Images for tests: files that Pillow 12.3 wrote, with some pixels as Pillow decodes them, and PNG and GIF made here.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import { GifWriter } from "omggif";

/** A file, and pixels at the corners and at column 5 of line 3 as Pillow gives them. */
export interface ImageFixture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  readonly corners: readonly (readonly number[])[];
}

function fixture(
  base64: string,
  [width, height]: readonly [number, number],
  corners: ImageFixture["corners"],
): ImageFixture {
  return { bytes: Uint8Array.from(Buffer.from(base64, "base64")), width, height, corners };
}

/** The same picture of 24 x 16 pixels as Pillow writes it in each way. */
export const fixtures = {
  baseline: fixture(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU" +
      "FRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU" +
      "FBQUFBQUFBT/wAARCAAQABgDAREAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF" +
      "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW" +
      "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi" +
      "4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC" +
      "AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm" +
      "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq" +
      "8vP09fb3+Pn6/9oADAMBAAIRAxEAPwD4y0H4Sfd/c/pXnYjOvM8fJuINvePZdF+FH2a3DCH5jwvHev2HNOIv7LwMq0X7z0j6vrs1" +
      "orvXR2t1P2DJM/55Jcx1GgfCT7v7n07V/J+JzrzP6NybiDb3j2Twz8IPufuP0r9VwuY+Z/jNlPEW3vHVaD8JOV/c/pX8s4nOvM/o" +
      "rJeINvePY/DPwg+5+4/Sv1bC5j5n7FlPEW3vH//Z",
    [24, 16],
    [[1, 1, 39], [254, 2, 41], [1, 255, 121], [252, 255, 174], [54, 52, 39]],
  ),
  subsampled: fixture(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU" +
      "FRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU" +
      "FBQUFBQUFBT/wAARCAAQABgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF" +
      "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW" +
      "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi" +
      "4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAEC" +
      "AxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm" +
      "Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq" +
      "8vP09fb3+Pn6/9oADAMBAAIRAxEAPwD4y0H4Sfd/c/pXsui/Cj7NbhhD8x4XjvX0Z4Z+EH3P3H6V1Wg/CTlf3P6V4GO41qcL0XOM" +
      "ueVZNJ7cvL163+LytbqfGcG+IKruHv7HzjoHwk+7+59O1FfePhn4Qfc/cfpRXwN51/f+s2/7d/8Atj+ysp8SUsMlzfif/9k=",
    [24, 16],
    [[0, 3, 32], [246, 7, 38], [8, 251, 123], [252, 255, 174], [59, 47, 49]],
  ),
  progressive: fixture(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU" +
      "FRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU" +
      "FBQUFBQUFBT/wgARCAAQABgDAREAAhEBAxEB/8QAFgABAQEAAAAAAAAAAAAAAAAABgUH/8QAFwEBAQEBAAAAAAAAAAAAAAAABgcE" +
      "CP/aAAwDAQACEAMQAAABxjNjZsWFST0Zkq4zqyyisVbH/8QAGRAAAwEBAQAAAAAAAAAAAAAAAAMFBAIS/9oACAEBAAEFAkSRMrzy" +
      "iSZpAiSZpB//xAAaEQADAQADAAAAAAAAAAAAAAAABAVhAREx/9oACAEDAQE/AU6GiT/fPonQ0Uo6JUNFKOn/xAAcEQADAAEFAAAA" +
      "AAAAAAAAAAAAAwQBAgUUMUH/2gAIAQIBAT8BZaVbjxUZ1478GWiqBloqg//EABUQAQEAAAAAAAAAAAAAAAAAAAAx/9oACAEBAAY/" +
      "AoiIiP/EABcQAQEBAQAAAAAAAAAAAAAAAAAxIUH/2gAIAQEAAT8hm7l8TZs2b//aAAwDAQACAAMAAAAQwKW//8QAFxEBAQEBAAAA" +
      "AAAAAAAAAAAAADEBEf/aAAgBAwEBPxCRzsJECBA//8QAGxEAAgMBAQEAAAAAAAAAAAAAAAERIWFBMXH/2gAIAQIBAT8Q0JAWr6ff" +
      "GqUu6cR02NTY1P/EABsQAAICAwEAAAAAAAAAAAAAAAAhQfEBEaHB/9oACAEBAAE/EKQ02DEknMgpxvgU5//Z",
    [24, 16],
    [[1, 1, 39], [254, 2, 41], [1, 255, 121], [252, 255, 174], [54, 52, 39]],
  ),
  grey: fixture(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU" +
      "FRUVDA8XGBYUGBIUFRT/wAALCAAQABgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF" +
      "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW" +
      "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi" +
      "4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/APjLQfhJ939z+ley6L8KPs1uGEPzHheO9dRoHwk+7+59O1eyeGfhB9z9x+ldVoPw" +
      "k5X9z+lex+GfhB9z9x+lf//Z",
    [24, 16],
    [[5, 5, 5], [82, 82, 82], [164, 164, 164], [245, 245, 245], [51, 51, 51]],
  ),
  cmyk: fixture(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwADAgIDAgIDAwMDBAMDBAUIBQUEBAUKBwcGCAwKDAwLCgsLDQ4SEA0OEQ4LCxAWEBETFBUV" +
      "FQwPFxgWFBgSFBUU/8AAFAgAEAAYBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIB" +
      "AwMCBAMFBQQEAAABfQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZH" +
      "SElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV" +
      "1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5+v/aAA4EQwBNAFkASwAAPwD4Q+Df/LD8K+SP+GZP+nT/AMdr4Ur9U6+7Pgz/AMsPwo/4" +
      "Zk/6dP8Ax2v0Q8WeIv8AhWHw4vNVh+XUpsWdh8uf37g4blWHyKGfDDB2bc8iivu34NdYPwo/4Zk/6dP/AB2vzvor8Jvg3/yw/Cv1" +
      "r/4Zk/6dP/Ha++/ht4b/ANV8npRX3Z8Gf+WH4Uf8Myf9On/jtfAlFfdvwa6wfhR/wzJ/06f+O199/Dbw3/qvk9KK/9k=",
    [24, 16],
    [[0, 0, 40], [255, 0, 40], [0, 255, 120], [255, 255, 176], [55, 50, 40]],
  ),
  turned6: fixture(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/4QAiRXhpZgAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAD/2wBDAA0JCgsKCA0LCgsODg0P" +
      "EyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09P" +
      "T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAQABgDAREAAhEBAxEB/8QAHwAAAQUBAQEB" +
      "AQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAk" +
      "M2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKj" +
      "pKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAAAA" +
      "AAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl" +
      "8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmq" +
      "srO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDkINN/2azlXMqGJNeHTtq5" +
      "216tbFeypt9T1MPibsswab0+WvmZVz36GJNe20zp8tenCqfk9HFFqDTf9mvm5Vz3qGJNe20zp8telCqerRxR/9k=",
    [16, 24],
    [[4, 249, 120], [0, 4, 33], [255, 255, 176], [249, 6, 38], [37, 169, 129]],
  ),
  webpLossless: fixture(
    "UklGRnQAAABXRUJQVlA4TGcAAAAvF8ADALkyRPQ/FoMQ0f9ADGraRpJMYfnTva+6OhISpJCuaiJJiob/pBwZIpBAiAwEnGy+ICYA" +
      "FWsNSVkqLbE0A1gTYc1vfYWhr+I/wuiv6hFGf1UHoyFrKrtCi4msB7DmtybC+j8AAA==",
    [24, 16],
    [[0, 0, 40], [255, 0, 40], [0, 255, 120], [255, 255, 176], [55, 51, 40]],
  ),
  webpLossy: fixture(
    "UklGRoYAAABXRUJQVlA4IHoAAAAQBQCdASoYABAAPm0ukkWkIqGYBABABsS2AE6ZQjubyW3DtBGgOYAAZongE1gvk5iAAP79IEfB" +
      "TnJhf/njTzthnAl094kouWZ/6zw68JZ6uFEMDdhl/NK6gQJ0jrqvu4M/UBrkh8k5by5nAvxqy1z/SuFRevRxiz4AAA==",
    [24, 16],
    [[5, 2, 35], [244, 7, 39], [14, 247, 132], [255, 254, 179], [54, 46, 40]],
  ),
};

/** Exif's eight ways to turn a picture: pixels of the corners as Pillow's exif_transpose gives them, from the second on. */
export const turnedCorners: readonly (readonly (readonly number[])[])[] = [
  [[249, 6, 38], [0, 4, 33], [255, 255, 176], [4, 249, 120], [201, 53, 41]],
  [[255, 255, 176], [4, 249, 120], [249, 6, 38], [0, 4, 33], [197, 205, 119]],
  [[4, 249, 120], [255, 255, 176], [0, 4, 33], [249, 6, 38], [53, 202, 147]],
  [[0, 4, 33], [4, 249, 120], [249, 6, 38], [255, 255, 176], [28, 86, 35]],
  [[4, 249, 120], [0, 4, 33], [255, 255, 176], [249, 6, 38], [37, 169, 129]],
  [[255, 255, 176], [249, 6, 38], [4, 249, 120], [0, 4, 33], [226, 167, 133]],
  [[249, 6, 38], [255, 255, 176], [0, 4, 33], [4, 249, 120], [219, 83, 35]],
];

/** The file of `turned6` with another orientation. */
export function turnedFile(orientation: number): Uint8Array<ArrayBuffer> {
  const bytes = fixtures.turned6.bytes.slice();
  // The tag 0x0112, a short, one of them, and its value.
  const at = bytes.findIndex((_, i) =>
    [0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6].every((byte, k) => bytes[i + k] === byte)
  );
  if (at < 0) throw new Error("no orientation in the fixture");
  bytes[at + 9] = orientation;
  return bytes;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]),
    length = Buffer.alloc(4),
    sum = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** A PNG of lines of bytes, without filters. Colour types: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA. */
export function pngFile(
  { width, height, colour, depth = 8, palette, alpha }: {
    readonly width: number;
    readonly height: number;
    readonly colour: 0 | 2 | 3 | 4 | 6;
    readonly depth?: 8 | 16;
    readonly palette?: readonly number[];
    readonly alpha?: readonly number[];
  },
  data: readonly number[],
): Uint8Array<ArrayBuffer> {
  const header = Buffer.alloc(13), line = data.length / height;
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, 0], 8);
  const lines = Array.from({ length: height }, (_, y) => [0, ...data.slice(y * line, (y + 1) * line)]);
  return Uint8Array.from(Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    ...(palette ? [chunk("PLTE", Buffer.from(palette))] : []),
    ...(alpha ? [chunk("tRNS", Buffer.from(alpha))] : []),
    chunk("IDAT", deflateSync(Buffer.from(lines.flat()))),
    chunk("IEND", Buffer.alloc(0)),
  ]));
}

/** A GIF of frames of indices into a palette of 0xRRGGBB. */
export function gifFile(
  [width, height]: readonly [number, number],
  palette: readonly number[],
  frames: readonly (readonly number[])[],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4096), writer = new GifWriter(bytes, width, height, { palette: [...palette] });
  for (const frame of frames) writer.addFrame(0, 0, width, height, [...frame]);
  return bytes.slice(0, writer.end());
}

/** A PNG of one colour. */
export function plainPng(
  width: number,
  height: number,
  colour: readonly [number, number, number],
): Uint8Array<ArrayBuffer> {
  return pngFile({ width, height, colour: 2 }, Array.from({ length: width * height }, () => colour).flat());
}

/** Writes files of images into class folders. */
export async function writeImages(
  folder: string,
  files: Readonly<Record<string, Uint8Array>>,
): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    const whole = `${folder}/${path}`;
    await Deno.mkdir(whole.slice(0, whole.lastIndexOf("/")), { recursive: true });
    await Deno.writeFile(whole, bytes);
  }
}
