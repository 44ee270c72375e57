/**
 * Tensors that PyTorch's pruning (`torch.nn.utils.prune`) leaves in place of a parameter: `weight_orig`, which it was, and
 * `weight_mask`, whose ones are kept.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { indexText } from "./check_values.ts";
import { parameterFloats, type StoredTensor, tensorIntegers } from "./safetensors.ts";

/** Whole parameters, and the masks of those that were pruned. */
interface MergedTensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** By the parameter's name: 1 keeps, 0 removes. */
  readonly masks: ReadonlyMap<string, Float32Array>;
}

const originalEnd = "_orig", maskEnd = "_mask";

/**
 * Puts parameters in the place of their `_orig` and `_mask`, removed weights as zeros.
 *
 * @param file The file's name, for messages.
 * @throws {FormatError} If one of both is missing, they have different shapes, or a mask holds another number than 0 and 1.
 */
export function mergePruned(tensors: ReadonlyMap<string, StoredTensor>, file: string): MergedTensors {
  const merged = new Map<string, StoredTensor>(), masks = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) {
    if (name.endsWith(maskEnd) && tensors.has(partner(name, maskEnd, originalEnd))) continue;
    if (!name.endsWith(originalEnd)) {
      merged.set(name, tensor);
      continue;
    }
    const whole = partner(name, originalEnd, ""),
      maskName = `${whole}${maskEnd}`,
      mask = tensors.get(maskName);
    if (!mask) refuse(`${file}, ${name}`, `there is no ${maskName}`, "its mask beside it");
    if (tensors.has(whole)) refuse(`${file}, ${name}`, `there is a ${whole} too`, "one of both");
    if (mask.shape.join() !== tensor.shape.join()) {
      refuse(`${file}, ${maskName}`, `shape (${mask.shape.join(", ")})`, `(${tensor.shape.join(", ")})`);
    }
    const bits = readMask(mask, `${file}, ${maskName}`);
    const values = parameterFloats(tensor, `${file}, ${name}`).map((value, i) => bits[i] === 0 ? 0 : value);
    merged.set(whole, { dtype: "F32", shape: tensor.shape, bytes: new Uint8Array(values.buffer) });
    if (bits.includes(0)) masks.set(whole, bits);
  }
  return { tensors: merged, masks };
}

/** A name with another end. */
function partner(name: string, end: string, other: string): string {
  return `${name.slice(0, -end.length)}${other}`;
}

/** A mask of floats or truth values. */
function readMask(tensor: StoredTensor, thing: string): Float32Array {
  const bits = tensor.dtype === "BOOL"
    ? Float32Array.from(tensorIntegers(tensor, thing))
    : parameterFloats(tensor, thing);
  const wrong = bits.findIndex((bit) => bit !== 0 && bit !== 1);
  if (wrong >= 0) refuse(thing, `${bits[wrong]} at its index ${indexText(wrong, tensor.shape)}`, "0 or 1");
  return bits;
}

function refuse(thing: string, current: string, wanted: string): never {
  throw new FormatError({ act: "read model", thing, current, wanted });
}
