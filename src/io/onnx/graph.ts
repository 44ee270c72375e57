/**
 * The graph of an ONNX file: nodes in the order of their computation, each value by its name.
 *
 * @module
 */
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  type ModelProto,
  type TensorProto,
  TensorProto_DataType,
  type ValueInfoProto,
} from "onnx-buf";
import { FormatError } from "../../errors.ts";
import { checkAttributes } from "./attributes.ts";
import { isFloatType } from "./tensor.ts";

/** A node. */
export interface OnnxNode {
  /** Its place in the file, from 0. */
  readonly index: number;
  /** Its operator, such as `Conv`; with its domain in front if that is not ONNX's own. */
  readonly op: string;
  /** Its name; often empty. */
  readonly name: string;
  /** The names of the values that it reads; empty for one that is left out. */
  readonly inputs: readonly string[];
  /** The names of the values that it gives. */
  readonly outputs: readonly string[];
  /** Its attributes by name. */
  readonly attributes: ReadonlyMap<string, AttributeProto>;
}

/** The graph of a file with one input, images, and one output. */
export interface OnnxGraph {
  /** The file's name, for messages. */
  readonly file: string;
  /** The name of the graph. */
  readonly name: string;
  /** What wrote the file. */
  readonly producer: string;
  /** The version of ONNX's operators. */
  readonly opset: number;
  /** The nodes; each reads only what stands before it. */
  readonly nodes: readonly OnnxNode[];
  /** Which node gives a value. */
  readonly producers: ReadonlyMap<string, OnnxNode>;
  /** The tensors of the file by name. */
  readonly initializers: ReadonlyMap<string, TensorProto>;
  /** The images: (N, C, H, W); undefined for a size that the file leaves open. */
  readonly input: { readonly name: string; readonly sizes: readonly (number | undefined)[] };
  /** The name of the value that the graph gives. */
  readonly output: string;
  /** Free text by key. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** The largest number of nodes that a file may have: more are refused unread. */
const maxNodes = 100_000;

/** The versions of ONNX's operators that are read. */
const opsets = { oldest: 1, newest: 24 };

/**
 * Reads the graph of a file.
 *
 * @param file The file's name, for messages.
 * @throws {FormatError} If it is of another version, has too many nodes, has not exactly one input of images and one
 *   output, or a node reads what no node before it gives.
 */
export function readOnnxGraph(model: ModelProto, file: string): OnnxGraph {
  const graph = model.graph!;
  const refuse = (current: string, wanted: string): never => {
    throw new FormatError({ act: "read", thing: file, current, wanted });
  };
  const opset = Number(model.opsetImport.find(({ domain }) => isOnnxDomain(domain))?.version ?? 1);
  if (opset < opsets.oldest || opset > opsets.newest) {
    refuse(`its operators are of version ${opset}`, `version ${opsets.oldest} to ${opsets.newest}`);
  }
  if (graph.node.length > maxNodes) refuse(`${graph.node.length} nodes`, `at most ${maxNodes}`);
  if (graph.sparseInitializer.length > 0) refuse("sparse initializers", "dense ones");
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  if (initializers.size < graph.initializer.length) {
    const names = graph.initializer.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) < i);
    refuse(`two tensors named "${twice}"`, "one tensor per name");
  }
  const inputs = graph.input.filter(({ name }) => !initializers.has(name));
  if (inputs.length !== 1) {
    const names = inputs.slice(0, 4).map(({ name }) => name).join(", ");
    refuse(`${inputs.length} inputs${names && `: ${names}`}`, "one, the images");
  }
  if (graph.output.length !== 1) {
    const names = graph.output.slice(0, 4).map(({ name }) => name).join(", ");
    refuse(`${graph.output.length} outputs${names && `: ${names}`}`, "one, the logits");
  }
  const input = { name: inputs[0].name, sizes: readSizes(inputs[0], file) };
  const producers = new Map<string, OnnxNode>(), known = new Set([input.name, ...initializers.keys()]);
  const nodes = graph.node.map(({ opType, domain, name, input, output, attribute }, index): OnnxNode => {
    const op = isOnnxDomain(domain) ? opType : `${domain}.${opType}`;
    const attributes = new Map(attribute.map((own) => [own.name, own]));
    const node = { index, op, name, inputs: input, outputs: output, attributes };
    const refuseThis = (current: string, wanted: string): never => {
      throw new FormatError({ act: "read", thing: `${file}, ${describeNode(node)}`, current, wanted });
    };
    checkAttributes(op, attribute, { opset, refuse: refuseThis });
    const unknown = input.find((value) => value !== "" && !known.has(value));
    if (unknown !== undefined) {
      refuseThis(
        `it reads "${unknown}", which no node before it gives`,
        "nodes in the order of their computation",
      );
    }
    for (const value of output) {
      if (value === "") continue;
      if (known.has(value)) refuseThis(`it gives "${value}", which is there already`, "one node per value");
      known.add(value);
      producers.set(value, node);
    }
    return node;
  });
  const output = graph.output[0].name;
  if (!known.has(output)) refuse(`no node gives its output "${output}"`, "a node that does");
  return {
    file,
    name: graph.name,
    producer: model.producerName,
    opset,
    nodes,
    producers,
    initializers,
    input,
    output,
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

function isOnnxDomain(domain: string): boolean {
  return domain === "" || domain === "ai.onnx";
}

/** The sizes of the images. */
function readSizes({ name, type }: ValueInfoProto, file: string): readonly (number | undefined)[] {
  const tensor = type?.value.case === "tensorType" ? type.value.value : undefined;
  const sizes = tensor?.shape?.dim.map(({ value }) =>
    value.case === "dimValue" ? Number(value.value) : undefined
  );
  const isImages = tensor !== undefined && isFloatType(tensor.elemType) && sizes?.length === 4;
  const isKnown = sizes?.every((size) => size === undefined || Number.isSafeInteger(size) && size > 0);
  if (isImages && isKnown) return sizes!;
  const text = sizes ? `of sizes (${sizes.map((size) => size ?? "?").join(", ")})` : "of unknown sizes";
  const current = tensor && !isFloatType(tensor.elemType) ? "no floats" : text;
  const wanted = "images (N, C, H, W) of floats";
  throw new FormatError({ act: "read", thing: `${file}, input ${name}`, current, wanted });
}

/** A node for messages: its place, name and operator. */
export function describeNode({ index, name, op }: OnnxNode): string {
  return `node ${index}${name === "" ? "" : ` ${name}`} (${op})`;
}

const { INT, INTS, FLOAT, STRING, TENSOR } = AttributeProto_AttributeType;

/** An attribute that is a whole number. */
export function readInt(node: OnnxNode, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.type === INT ? Number(attribute.i) : otherwise;
}

/** The type that a Cast gives: a number, in version 1 a name. */
export function readType(node: OnnxNode): TensorProto_DataType {
  const name = readText(node, "to", "");
  const named = TensorProto_DataType[name as keyof typeof TensorProto_DataType];
  return name === ""
    ? readInt(node, "to", TensorProto_DataType.FLOAT)
    : named ?? TensorProto_DataType.UNDEFINED;
}

/** An attribute that is a list of whole numbers; undefined if it is absent. */
export function readInts(node: OnnxNode, name: string): readonly number[] | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.type === INTS ? attribute.ints.map(Number) : undefined;
}

/** An attribute that is a number, as the shortest decimal that gives its 32-bit float. */
export function readFloat(node: OnnxNode, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.type === FLOAT ? shortestDecimal(attribute.f) : otherwise;
}

/** An attribute that is a text. */
export function readText(node: OnnxNode, name: string, otherwise: string): string {
  const attribute = node.attributes.get(name);
  return attribute?.type === STRING ? new TextDecoder().decode(attribute.s) : otherwise;
}

/** An attribute that is a tensor; undefined if it is absent. */
export function readTensorAttribute(node: OnnxNode, name: string): TensorProto | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.type === TENSOR ? attribute.t : undefined;
}

/** The shortest decimal that gives a 32-bit float, such as 1e-5 for 0.000009999999747378752. */
export function shortestDecimal(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
