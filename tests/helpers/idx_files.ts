/**
 * Building IDX files, for tests.
 *
 * @module
 */

/** An IDX file of bytes: magic 0x0000_08_DD, one big-endian 32-bit size a dimension, the values. */
export function idxFile(shape: readonly number[], values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const headerBytes = 4 + 4 * shape.length;
  const bytes = new Uint8Array(headerBytes + values.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x800 + shape.length);
  shape.forEach((size, i) => view.setUint32(4 + 4 * i, size));
  bytes.set(values, headerBytes);
  return bytes;
}

/** Gzip of bytes. */
export async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const compressed = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(compressed).arrayBuffer());
}

/** The four files of a tiny data set: images (3, 2, 2) and (1, 2, 2) of which each pixel is its index. */
export function tinyIdx(folder: string): Record<string, Uint8Array<ArrayBuffer>> {
  const counting = (count: number) => Array.from({ length: count }, (_, i) => i);
  return {
    [`${folder}/train-images-idx3-ubyte`]: idxFile([3, 2, 2], counting(12)),
    [`${folder}/train-labels-idx1-ubyte`]: idxFile([3], [0, 2, 1]),
    [`${folder}/t10k-images-idx3-ubyte`]: idxFile([1, 2, 2], counting(4)),
    [`${folder}/t10k-labels-idx1-ubyte`]: idxFile([1], [3]),
  };
}
