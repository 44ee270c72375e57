/**
 * Runs ONNX files as others do: in onnxruntime.
 *
 * @module
 */
import * as ort from "onnxruntime-web";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { verifyGoldens } from "../../src/verify/verify.ts";
import { deviceOf } from "./devices.ts";
import { memoryFiles } from "./memory_files.ts";

ort.env.wasm.numThreads = 1;

/** Numbers in a shape. */
export interface RuntimeTensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** For tests that run a file: the runtime keeps its module for good. */
export const runtimeTest = { sanitizeResources: false, sanitizeOps: false } as const;

/** The output of a file for its images, with the names of both. */
export async function runOnnx(
  bytes: Uint8Array,
  { shape, values }: RuntimeTensor,
): Promise<RuntimeTensor & { readonly names: readonly string[] }> {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const [input] = session.inputNames, [output] = session.outputNames;
  const outputs = await session.run({ [input]: new ort.Tensor("float32", values, shape) });
  await session.release();
  const { dims, data } = outputs[output];
  return { shape: dims, values: data as Float32Array, names: [input, output] };
}

/** The checks by which `verify` holds the logits of a model's file, safetensors or ONNX, against others. */
export async function checkLogits(
  { model, bytes }: { readonly model: string; readonly bytes: Uint8Array },
  x: RuntimeTensor,
  y: RuntimeTensor,
) {
  const golden = writeSafetensors([
    { name: "x", dtype: "F32", ...x },
    { name: "y", dtype: "F32", ...y },
  ]);
  const sources = { files: memoryFiles({ [model]: bytes }), model };
  return await verifyGoldens(await deviceOf(), { bytes: golden, name: "a.safetensors" }, { sources });
}
