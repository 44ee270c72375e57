/**
 * What an image file says of itself before it is decoded: format, size, grey or coloured, and which way is up.
 *
 * Sources: JPEG, ITU-T T.81, annex B; Exif 2.32, 4.6.2 (tag 0x0112); PNG, W3C Recommendation (3rd edition), 11.2 and 11.3;
 * WebP, RFC 9649; GIF89a, CompuServe 1990.
 *
 * @module
 */

/** The formats that are read. */
export type ImageFormat = "jpeg" | "png" | "webp" | "gif";

/** What a file says of its image. */
export interface ImageHeader {
  readonly format: ImageFormat;
  /** Pixels across, as they lie in the file. */
  readonly width: number;
  /** Pixels down, as they lie in the file. */
  readonly height: number;
  /** True for images without colour. */
  readonly isGrey: boolean;
  /** Exif's orientation, 1 to 8: how the pixels of the file are turned; from 5 on lines are columns. */
  readonly orientation: number;
  /** Components of a pixel of a JPEG: 1, 3, or 4 for CMYK; 0 for other formats. */
  readonly components: number;
}

/** The formats that are read, in words. */
export const imageFormats = "a JPEG, PNG, WebP or GIF image";

/** Bytes that tell what a file is. */
const leastBytes = 12;

/** Why a file is no image that can be read. */
export class ImageFault extends Error {}

/** Thrown inside where bytes end before what is read. */
class Short extends Error {}

/** Bytes that are read by their offsets. */
class Reader {
  readonly #view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(at: number): number {
    return this.#number(at, 1, (offset) => this.#view.getUint8(offset));
  }

  u16(at: number, isLittle = false): number {
    return this.#number(at, 2, (offset) => this.#view.getUint16(offset, isLittle));
  }

  u32(at: number, isLittle = false): number {
    return this.#number(at, 4, (offset) => this.#view.getUint32(offset, isLittle));
  }

  text(at: number, length: number): string {
    if (at + length > this.bytes.length) throw new Short();
    return String.fromCharCode(...this.bytes.subarray(at, at + length));
  }

  #number(at: number, bytes: number, read: (at: number) => number): number {
    if (at + bytes > this.bytes.length) throw new Short();
    return read(at);
  }
}

/**
 * Reads a header.
 *
 * @param bytes The file, or its beginning.
 * @param isWhole False where there is more of the file.
 * @returns The header, or undefined where it lies behind the beginning.
 * @throws {ImageFault} If the file is no image, or ends in its header.
 */
export function readImageHeader(bytes: Uint8Array, isWhole: boolean): ImageHeader | undefined {
  const reader = new Reader(bytes);
  try {
    const header = readFormat(reader);
    if (header.width === 0 || header.height === 0) {
      throw new ImageFault(`its header says ${header.width} x ${header.height} pixels`);
    }
    return header;
  } catch (error) {
    if (!(error instanceof Short)) throw error;
    if (!isWhole) return undefined;
    const isTiny = bytes.length < leastBytes ? "it is no image" : "it is cut off in its header";
    throw new ImageFault(bytes.length === 0 ? "it is empty" : isTiny);
  }
}

function readFormat(reader: Reader): ImageHeader {
  const { bytes } = reader;
  if (bytes.length < leastBytes) throw new Short();
  if (reader.u16(0) === 0xffd8) return readJpeg(reader);
  if (reader.text(0, 8) === "\x89PNG\r\n\x1a\n") return readPng(reader);
  if (reader.text(0, 4) === "RIFF" && reader.text(8, 4) === "WEBP") return readWebp(reader);
  const start = reader.text(0, 6);
  if (start === "GIF87a" || start === "GIF89a") {
    const size = { width: reader.u16(6, true), height: reader.u16(8, true) };
    return { format: "gif", ...size, isGrey: false, orientation: 1, components: 0 };
  }
  throw new ImageFault(describeOther(reader));
}

/** What a file is that is no image of a known format. */
function describeOther(reader: Reader): string {
  const start = reader.text(0, 12);
  const others: readonly (readonly [at: number, text: string, kind: string])[] = [
    [0, "BM", "a BMP image"],
    [0, "II*\0", "a TIFF image"],
    [0, "MM\0*", "a TIFF image"],
    [4, "ftypavi", "an AVIF image"],
    [4, "ftyphei", "a HEIC image"],
    [4, "ftypmif1", "a HEIC image"],
    [0, "\xff\x0a", "a JPEG XL image"],
    [0, "\0\0\0\x0cJXL ", "a JPEG XL image"],
    [0, "<svg", "an SVG image"],
    [0, "%PDF", "a PDF file"],
    [0, "PK\x03\x04", "a zip file"],
    [0, "\x1f\x8b", "a gzip file"],
  ];
  const found = others.find(([at, text]) => start.startsWith(text, at));
  return found ? `it is ${found[2]}` : "it is no image";
}

function readJpeg(reader: Reader): ImageHeader {
  let orientation = 1;
  for (let at = 2;;) {
    if (reader.u8(at) !== 0xff) throw new ImageFault(`it has no marker at byte ${at}`);
    const marker = reader.u8(at + 1);
    // Fill bytes, and markers without a length.
    if (marker === 0xff || marker === 1 || marker >= 0xd0 && marker <= 0xd7) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    const length = reader.u16(at + 2);
    if (marker === 0xd9 || marker === 0xda || length < 2) {
      throw new ImageFault(`it has no frame before byte ${at}`);
    }
    if (marker === 0xe1 && length >= 8 && reader.text(at + 4, 6) === "Exif\0\0") {
      orientation = readOrientation(reader, at + 10, at + 2 + length) ?? orientation;
    }
    // Frames, but for tables of Huffman and arithmetic coding.
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      const size = { height: reader.u16(at + 5), width: reader.u16(at + 7) }, components = reader.u8(at + 9);
      return { format: "jpeg", ...size, isGrey: components === 1, orientation, components };
    }
    at += 2 + length;
  }
}

/** The orientation in a TIFF header between two offsets; undefined where there is none. */
function readOrientation(reader: Reader, start: number, end: number): number | undefined {
  if (end > reader.bytes.length) throw new Short();
  const part = new Reader(reader.bytes.subarray(start, end));
  try {
    const order = part.text(0, 2), isLittle = order === "II";
    if (!isLittle && order !== "MM") return undefined;
    const first = part.u32(4, isLittle), count = part.u16(first, isLittle);
    for (let i = 0; i < count; i++) {
      const entry = first + 2 + 12 * i;
      if (part.u16(entry, isLittle) !== 0x112) continue;
      const value = part.u16(entry + 8, isLittle);
      return value >= 1 && value <= 8 ? value : undefined;
    }
  } catch (error) {
    // Programs that show images take no notice of a broken one either.
    if (!(error instanceof Short)) throw error;
  }
  return undefined;
}

function readPng(reader: Reader): ImageHeader {
  if (reader.text(12, 4) !== "IHDR") throw new ImageFault("its first chunk is not IHDR");
  const size = { width: reader.u32(16), height: reader.u32(20) }, colour = reader.u8(25);
  let orientation = 1;
  for (let at = 33;;) {
    const length = reader.u32(at), type = reader.text(at + 4, 4);
    if (type === "IDAT" || type === "IEND") break;
    if (type === "eXIf") orientation = readOrientation(reader, at + 8, at + 8 + length) ?? 1;
    at += 12 + length;
  }
  // Bit 1 is colour.
  return { format: "png", ...size, isGrey: (colour & 2) === 0, orientation, components: 0 };
}

function readWebp(reader: Reader): ImageHeader {
  const kind = reader.text(12, 4), u24 = (at: number) => reader.u16(at, true) + 65536 * reader.u8(at + 2);
  const header = (width: number, height: number, orientation = 1): ImageHeader => {
    return { format: "webp", width, height, isGrey: false, orientation, components: 0 };
  };
  if (kind === "VP8 ") return header(reader.u16(26, true) & 0x3fff, reader.u16(28, true) & 0x3fff);
  if (kind === "VP8L") {
    const bits = reader.u32(21, true);
    return header((bits & 0x3fff) + 1, (bits >>> 14 & 0x3fff) + 1);
  }
  if (kind !== "VP8X") throw new ImageFault(`its first chunk is ${JSON.stringify(kind)}`);
  const flags = reader.u8(20), width = u24(24) + 1, height = u24(27) + 1;
  if (flags & 2) throw new ImageFault("it is an animation");
  // Exif comes last, behind the pixels.
  if ((flags & 8) === 0) return header(width, height);
  for (let at = 30;;) {
    const type = reader.text(at, 4), length = reader.u32(at + 4, true);
    if (type === "EXIF") {
      const skip = length >= 6 && reader.text(at + 8, 6) === "Exif\0\0" ? 6 : 0;
      return header(width, height, readOrientation(reader, at + 8 + skip, at + 8 + length));
    }
    at += 8 + length + length % 2;
  }
}
