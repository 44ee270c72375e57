/**
 * A thread that reads, decodes and resizes images; image_decoder.ts starts some.
 *
 * @module
 */
import {
  type DamagedFile,
  type DecodedImages,
  type DecodeRequest,
  maxImageBytes,
  maxImagePixels,
  type ProbedImages,
} from "../data/image_decoder.ts";
import { ImageFault, type ImageHeader, readImageHeader } from "../data/image_header.ts";
import { type ImageSize, placeImage, type Placement, Resizer } from "../data/image_resize.ts";
import { ImageCodecs, type Scale } from "./image_codecs.ts";

/** What a thread is asked for. */
export type ImageMessage =
  & { readonly id: number }
  & ({ readonly probe: readonly string[] } | { readonly decode: DecodeRequest });

/** What it answers. */
export type ImageAnswer =
  & { readonly id: number }
  & ({ readonly probed: ProbedImages } | { readonly decoded: DecodedImages });

/** The part of a worker's global scope that is used here, which the types of a page lack. */
interface WorkerScope {
  addEventListener(type: "message", listener: (event: MessageEvent<ImageMessage>) => void): void;
  postMessage(answer: ImageAnswer, transfer: Transferable[]): void;
}

const scope = self as unknown as WorkerScope;
const codecs = new ImageCodecs(), resizer = new Resizer();

/** Bytes of a file that hold the header of most images. */
const headBytes = 4096;
const head = new Uint8Array(headBytes);

function describeFailure(error: unknown): string {
  if (error instanceof ImageFault) return error.message;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === "NotFound") return "there is no such file, or a link leads nowhere";
  if (name === "PermissionDenied") return "the system denies permission";
  return message.replace(/(: \w+ '[^']*')+$/, "");
}

function checkHeader(header: ImageHeader): ImageHeader {
  const { width, height } = header;
  if (width * height <= maxImagePixels) return header;
  const most = `${maxImagePixels / 1e6} million`;
  throw new ImageFault(`its header says ${width} x ${height} pixels, which is more than ${most}`);
}

/** The header of a file, of which only the beginning is read where that is enough. */
function probeFile(path: string): ImageHeader {
  const { isFile, isDirectory, size } = Deno.statSync(path);
  // Opening a pipe would wait for somebody to write into it.
  if (!isFile) throw new ImageFault(isDirectory ? "it is a folder" : "it is no regular file");
  if (size > maxImageBytes) throw new ImageFault(`it has ${size} bytes, more than ${maxImageBytes}`);
  let count = 0;
  {
    using file = Deno.openSync(path);
    for (let read: number | null = 0; read !== null && count < headBytes; count += read ?? 0) {
      read = file.readSync(head.subarray(count));
    }
  }
  const isWhole = count >= size;
  return checkHeader(
    readImageHeader(head.subarray(0, count), isWhole) ?? readImageHeader(Deno.readFileSync(path), true)!,
  );
}

/** Two hashes of bytes; files of the same content have the same. */
function digest(bytes: Uint8Array<ArrayBuffer>): readonly [number, number] {
  const words = new Uint32Array(bytes.buffer, 0, bytes.length >> 2);
  let a = 0x243f6a88, b = 0x85a308d3;
  for (let i = 0; i < words.length; i++) {
    a = Math.imul(a ^ words[i], 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul(b + words[i] | 0, 0x85ebca77) ^ b >>> 13;
  }
  for (let i = words.length * 4; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i], 0x9e3779b1) ^ a >>> 15;
    b = Math.imul(b + bytes[i] | 0, 0x85ebca77) ^ b >>> 13;
  }
  return [a >>> 0, b >>> 0];
}

/** The least eighths of a JPEG's size that leave twice the pixels that are wanted along each side. */
function chooseScale({ width, height }: ImageSize, placed: Placement): Scale {
  const [left, top, right, bottom] = placed.from, { to } = placed;
  const shrink = Math.min((right - left) / (to[2] - to[0]), (bottom - top) / (to[3] - to[1]));
  // Of few pixels the last, which may stand for less than a whole one, would count too much.
  if (Math.min(width, height) < 64) return { eighths: 8, isShrunk: false };
  return { eighths: Math.min(8, Math.max(1, Math.ceil(16 / shrink))), isShrunk: shrink >= 2 };
}

/** Writes resized pixels (C, H, W) to where Exif's orientation says that they are. */
function turn(from: Uint8Array, to: Uint8Array, { height, width, channels, orientation }: ImageSize & {
  readonly channels: number;
  readonly orientation: number;
}): void {
  const isTurned = orientation >= 5, lineWidth = isTurned ? height : width;
  // The orientation says where the first line and the first column of the file are: 3 and 2 mirror both or the columns.
  const flipsX = [2, 3, 7, 8].includes(orientation), flipsY = [3, 4, 6, 7].includes(orientation);
  const plane = height * width;
  for (let c = 0, out = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++, out++) {
        const row = isTurned ? x : y, column = isTurned ? y : x;
        const rows = isTurned ? width : height, columns = lineWidth;
        const sourceRow = flipsY ? rows - 1 - row : row,
          sourceColumn = flipsX ? columns - 1 - column : column;
        to[out] = from[c * plane + sourceRow * columns + sourceColumn];
      }
    }
  }
}

/** Decodes a file to its place in a result (C, H, W), and returns the digest of its bytes. */
async function decodeFile(path: string, request: DecodeRequest, target: Uint8Array) {
  const { channels, height, width, resize } = request, bytes = Deno.readFileSync(path);
  const header = checkHeader(readImageHeader(bytes, true)!), { orientation } = header;
  await codecs.open(header.format);
  const isTurned = orientation >= 5, size = isTurned ? { height: width, width: height } : { height, width };
  const placed = placeImage(header, size, resize);
  const image = codecs.decode(bytes, header, { channels, ...chooseScale(header, placed) });
  const scale = [image.width / header.width, image.height / header.height];
  const [left, top, right, bottom] = placed.from;
  const from = [left * scale[0], top * scale[1], right * scale[0], bottom * scale[1]] as const;
  const upright = orientation === 1 ? target : new Uint8Array(target.length);
  resizer.resize(image, { from, to: placed.to }, upright, size);
  if (orientation !== 1) turn(upright, target, { height, width, channels, orientation });
  return [bytes.length, ...digest(bytes)];
}

async function decodeFiles(request: DecodeRequest): Promise<DecodedImages> {
  const { paths, channels, height, width } = request, imageBytes = channels * height * width;
  const pixels = new Uint8Array(paths.length * imageBytes), digests = new Uint32Array(3 * paths.length);
  const damaged: DamagedFile[] = [];
  for (const [index, path] of paths.entries()) {
    const target = pixels.subarray(index * imageBytes, (index + 1) * imageBytes);
    try {
      digests.set(await decodeFile(path, request, target), 3 * index);
    } catch (error) {
      target.fill(0);
      damaged.push({ index, current: describeFailure(error) });
    }
  }
  return { pixels, digests, damaged };
}

function probeFiles(paths: readonly string[]): ProbedImages {
  const sizes = new Uint32Array(3 * paths.length), damaged: DamagedFile[] = [];
  for (const [index, path] of paths.entries()) {
    try {
      const { width, height, isGrey, orientation } = probeFile(path);
      const shown = orientation >= 5 ? [width, height] : [height, width];
      sizes.set([...shown, isGrey ? 1 : 0], 3 * index);
    } catch (error) {
      damaged.push({ index, current: describeFailure(error) });
    }
  }
  return { sizes, damaged };
}

// One message after the other: codecs and memory are shared.
let turns = Promise.resolve();
scope.addEventListener("message", ({ data }) => {
  turns = turns.then(async () => {
    if ("probe" in data) {
      const probed = probeFiles(data.probe);
      scope.postMessage({ id: data.id, probed }, [probed.sizes.buffer]);
    } else {
      const decoded = await decodeFiles(data.decode);
      scope.postMessage({ id: data.id, decoded }, [decoded.pixels.buffer, decoded.digests.buffer]);
    }
  });
});
