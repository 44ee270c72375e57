/**
 * Naming files for what they are, where something else was expected: by their first bytes, not by their names.
 *
 * @module
 */

/** What a file is. */
export interface FileKind {
  /** Such as `a PyTorch file (zip)`. */
  readonly name: string;
  /** Where it stands for weights: how to get those. */
  readonly instead: string;
}

const fromTorch = "its state_dict as safetensors: in Python, from safetensors.torch import save_file; " +
  'save_file(torch.load("FILE", map_location="cpu", weights_only=True), "FILE.safetensors")';
const fromSource = "the PyTorch weights that it was made from, as safetensors";
const unpacked = "the file in it, unpacked";

/** Kinds by the bytes at the start of a file. */
const signatures: readonly (readonly [signature: string, FileKind])[] = [
  ["version https://git-lfs", {
    name: "a Git LFS pointer",
    instead: "the file that it points to: git lfs pull, or the raw download of its page",
  }],
  ["\x89HDF\r\n\x1a\n", { name: "an HDF5 file, as Keras writes", instead: fromSource }],
  ["GGUF", { name: "a GGUF file", instead: fromSource }],
  ["\x93NUMPY", { name: "a NumPy array", instead: "tensors by PyTorch's names, as safetensors" }],
  ["\x1f\x8b", { name: "a gzip file", instead: `${unpacked}: gunzip` }],
  ["\xfd7zXZ", { name: "an xz file", instead: `${unpacked}: unxz` }],
  ["\x28\xb5\x2f\xfd", { name: "a Zstandard file", instead: `${unpacked}: unzstd` }],
  ["BZh", { name: "a bzip2 file", instead: `${unpacked}: bunzip2` }],
];

/**
 * What a file is, as far as its bytes tell; undefined where they do not.
 *
 * @param bytes The whole file, or its first kilobyte.
 */
export function recognizeFileKind(bytes: Uint8Array): FileKind | undefined {
  if (bytes.length === 0) return { name: "empty", instead: "a file with something in it" };
  // One character a byte.
  const start = Array.from(bytes.subarray(0, 1024), (byte) => String.fromCharCode(byte)).join("");
  if (isSafetensors(bytes)) {
    return { name: "a safetensors file", instead: "a name that ends in .safetensors" };
  }
  if (start.startsWith("PK\x03\x04")) return recognizeZipKind(start);
  const known = signatures.find(([signature]) => start.startsWith(signature));
  if (known) return known[1];
  // Protocol 2 to 5 of Python's pickle.
  const isWithin = (at: number, min: number, max: number) => bytes[at] >= min && bytes[at] <= max;
  if (bytes[0] === 0x80 && isWithin(1, 2, 5) && bytes[2] > 0) {
    return { name: "a Python pickle, as older versions of PyTorch write", instead: fromTorch };
  }
  // Fields 1 and 2 of a model: the version of ONNX as a number, and the name of what wrote it.
  if (
    bytes[0] === 0x08 && isWithin(1, 1, 32) && bytes[2] === 0x12 && isWithin(3, 1, 64) && isWithin(4, 32, 126)
  ) {
    return { name: "an ONNX model", instead: "a name that ends in .onnx" };
  }
  if (start.slice(257, 262) === "ustar") return { name: "a tar archive", instead: `${unpacked}: tar -xf` };
  if (/^(\xef\xbb\xbf)?\s*<(!doctype html|html|\?xml|head|!--)/i.test(start)) {
    return { name: "a web page", instead: "the file that the page offers: its raw download" };
  }
  if (/^(\xef\xbb\xbf)?\s*[{[]/.test(start)) {
    return { name: "JSON or text", instead: "a graph in JSON has a name that does not end in .safetensors" };
  }
  return undefined;
}

/** True where a file starts as a safetensors file does: with the length of a header, and the header. */
function isSafetensors(bytes: Uint8Array): boolean {
  const brace = 0x7b;
  return bytes.length > 8 && bytes[8] === brace && bytes.subarray(4, 8).every((byte) => byte === 0);
}

function recognizeZipKind(start: string): FileKind {
  // The length of the first entry's name stands at byte 26, the name at byte 30.
  const entry = start.slice(30, 30 + start.charCodeAt(26) + 256 * start.charCodeAt(27));
  if (entry.endsWith(".npy")) {
    return { name: "a NumPy archive (zip)", instead: "tensors by PyTorch's names, as safetensors" };
  }
  if (/^(metadata|config)\.json$|\.weights\.h5$/.test(entry)) {
    return { name: "a Keras model (zip)", instead: fromSource };
  }
  const isTorch = /(^|\/)(data\.pkl|data\/|byteorder|version|\.format_version|constants\.pkl)/.test(entry);
  return { name: isTorch ? "a PyTorch file (zip)" : "a zip archive, as PyTorch writes", instead: fromTorch };
}
