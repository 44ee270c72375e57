/**
 * The names of layers that come from an ONNX file: PyTorch's, as far as the file tells.
 *
 * @module
 */
import { imagesName } from "../../model/graph.ts";
import type { OnnxGraph, OnnxNode } from "./graph.ts";

/** Names a layer after the node that it comes from; no name is given twice. */
export function nameLayer(
  { graph, names }: { readonly graph: OnnxGraph; readonly names: Map<string, number> },
  node: OnnxNode,
): string {
  const name = nameByWeight(graph, node) ?? nameByPath(node) ?? node.op.toLowerCase();
  let free = name, count = names.get(name) ?? (name === imagesName ? 1 : 0);
  while (names.has(free) || count > 0 && free === name) free = `${name}_${++count}`;
  names.set(name, Math.max(count, 1)).set(free, names.get(free) ?? 1);
  return free;
}

/** `layer1.0.conv1` of a weight `layer1.0.conv1.weight`. */
function nameByWeight({ initializers }: OnnxGraph, { inputs }: OnnxNode): string | undefined {
  const weight = inputs.find((input) => initializers.has(input) && input.endsWith(".weight"));
  const name = weight?.slice(0, -".weight".length);
  return name === "" ? undefined : name;
}

/**
 * `layer1.0.conv1` of a node `/layer1/layer1.0/conv1/Conv`, and `layer1.0.relu` of `/layer1/layer1.0/Relu`, as PyTorch's
 * exporter names nodes by their modules; the name of any other node as it is.
 */
function nameByPath({ name, op, inputs }: OnnxNode): string | undefined {
  if (!name.startsWith("/")) return name === "" ? undefined : name;
  const parts = name.slice(1).split("/"), own = parts.pop()!;
  const modules = parts.reduce<string[]>((path, part) => {
    // A module in a list repeats the list's name.
    if (path.length > 0 && part.startsWith(`${path.at(-1)}.`)) return [...path.slice(0, -1), part];
    return [...path, part];
  }, []);
  const hasWeight = ["Conv", "Gemm", "MatMul", "BatchNormalization", "PRelu"].includes(op) &&
    inputs.length > 1;
  if (!hasWeight || modules.length === 0) modules.push(own.toLowerCase());
  return modules.join(".");
}
