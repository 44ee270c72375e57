/**
 * The cases of the ONNX project's own tests whose operators winnow reads: each gives the outputs that it must, or is refused
 * and named in docs/onnx.md. None gives others.
 */
import { assert, assertEquals } from "@std/assert";
import { clone, create, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
} from "onnx-buf";
import { imageBounds } from "../../../src/shape.ts";
import { isWinnowError } from "../../../src/errors.ts";
import { readOnnx } from "../../../src/io/onnx/read.ts";
import { countElements, type OnnxTensor, readTensor } from "../../../src/io/onnx/tensor.ts";
import { deviceOf } from "../../helpers/devices.ts";
import { memoryFiles } from "../../helpers/memory_files.ts";
import { graphOf, hasOnnxCases, type OnnxCase, readOnnxCases } from "../../helpers/onnx_cases.ts";
import { imageMessage } from "../../helpers/onnx_models.ts";
import { computeOutput } from "../../../src/verify/output_cases.ts";

const { FLOAT16, BFLOAT16 } = TensorProto_DataType;

/** What became of a case in one way of running it. */
type Outcome = { readonly end: "right" } | { readonly end: "refused" | "wrong"; readonly message: string };

const right: Outcome = { end: "right" };

/** Operators that compute each number from those at its place, with sizes of 1 repeated from the last dimension on. */
const pointwise = new Set(
  ("Add Cast Clip Div Dropout Elu HardSigmoid HardSwish Identity LeakyRelu Max Min Mul PRelu Relu Sigmoid Sub Sum Tanh")
    .split(" "),
);

/** A tensor of a case as numbers; undefined for one that is no numbers. */
function numbersOf(tensor: TensorProto): OnnxTensor | undefined {
  try {
    // Text is none.
    return readTensor(tensor, { thing: tensor.name, external: new Map() });
  } catch {
    return undefined;
  }
}

/** A node of the test's own. */
function makeNode(opType: string, input: readonly string[], output: string, axis?: number): NodeProto {
  const attribute = axis === undefined ? [] : [
    create(AttributeProtoSchema, { name: "axis", type: AttributeProto_AttributeType.INT, i: BigInt(axis) }),
  ];
  return create(NodeProtoSchema, { opType, input: [...input], output: [output], attribute });
}

/** Numbers as an initializer of floats. */
function floatsMessage(name: string, shape: readonly number[], values: ArrayLike<number>): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: shape.map(BigInt),
    dataType: TensorProto_DataType.FLOAT,
    rawData: new Uint8Array(Float32Array.from(values).buffer),
  });
}

/** The inputs of a case by name, without those that the file itself holds and those left out. */
function namedInputs(test: OnnxCase): readonly { readonly name: string; readonly tensor: TensorProto }[] {
  return test.inputs.map((tensor, i) => ({ name: graphOf(test).input[i]?.name ?? tensor.name, tensor }));
}

/** A file of a case with other inputs and outputs: what else it reads stands in it as numbers. */
function makeFile(
  test: OnnxCase,
  { image, before, after, numbers, output }: {
    readonly image: ValueInfoProto;
    readonly before: readonly NodeProto[];
    readonly after: readonly NodeProto[];
    readonly numbers: readonly TensorProto[];
    readonly output: string;
  },
): Uint8Array<ArrayBuffer> {
  const model = clone(ModelProtoSchema, test.model), graph = model.graph!;
  model.graph = create(GraphProtoSchema, {
    ...graph,
    input: [image],
    output: [imageMessage(output, [])],
    initializer: [...graph.initializer, ...numbers],
    node: [...before, ...graph.node, ...after],
  });
  return toBinary(ModelProtoSchema, model);
}

/** Reads a file, and does something with what was read. */
async function attempt(
  bytes: Uint8Array,
  act: (model: Awaited<ReturnType<typeof readOnnx>>) => Promise<Outcome>,
) {
  try {
    const model = await readOnnx(bytes, {
      name: "case.onnx",
      size: { height: 1, width: 1 },
      files: memoryFiles(),
    });
    try {
      return await act(model);
    } catch (error) {
      return { end: "wrong", message: `${error}` } as const;
    }
  } catch (error) {
    return { end: isWinnowError(error) ? "refused" : "wrong", message: `${error}` } as const;
  }
}

/** The most channels that images have. */
const maxChannels = imageBounds.channels;

/** A shape of images that hold an input; for a vector, each image is flattened to it. */
interface ImageForm {
  readonly shape: readonly number[];
  readonly isVector: boolean;
}

/** The shapes of images that hold an input of a shape. */
function imageForms(test: OnnxCase, shape: readonly number[]): readonly ImageForm[] {
  const forms: ImageForm[] = [], [rows, features] = shape;
  if (shape.length === 4) forms.push({ shape, isVector: false });
  if (shape.length === 2) {
    forms.push({
      shape: features > maxChannels ? [rows, 1, 1, features] : [rows, features, 1, 1],
      isVector: true,
    });
  }
  if (!graphOf(test).node.every(({ opType }) => pointwise.has(opType))) return forms;
  // Before version 7, shapes were aligned by an axis, since then at their ends.
  const ones = Array<number>(Math.max(0, 4 - shape.length)).fill(1);
  const isOld = test.model.opsetImport.some(({ version }) => version < 7n);
  if (isOld) {
    forms.push({
      shape: [...shape.slice(0, 3), ...ones.slice(1), countElements(shape.slice(3))],
      isVector: false,
    });
  } else if (shape.length < 4) forms.push({ shape: [...ones, ...shape], isVector: false });
  if (namedInputs(test).length === 1) forms.push({ shape: [1, 1, 1, countElements(shape)], isVector: false });
  return forms;
}

/** A way of running a case: nodes before and after its own, and which of its inputs are images. */
interface Way {
  readonly images: { readonly shape: readonly number[]; readonly values: Float32Array };
  readonly before: readonly NodeProto[];
  readonly numbers: readonly TensorProto[];
}

/** The inputs of one shape as channels of images: all of them, or the first. */
function listWays(test: OnnxCase, count: number): readonly Way[] {
  const given = namedInputs(test), tensors = given.slice(0, count).map(({ tensor }) => numbersOf(tensor));
  const [first] = tensors, ways: Way[] = [];
  if (!first || tensors.some((own) => own?.shape.join() !== first.shape.join())) return [];
  for (const { shape, isVector } of imageForms(test, first.shape)) {
    const [rows, channels, height, width] = shape, area = channels * height * width;
    const values = new Float32Array(rows * area * count);
    for (let i = 0; i < rows * count; i++) {
      const row = Math.floor(i / count), own = tensors[i % count]!.values;
      values.set(own.subarray(row * area, (row + 1) * area), i * area);
    }
    const names = given.slice(0, count).map(({ name }) => isVector ? `${name}.map` : name);
    const split = create(NodeProtoSchema, { ...makeNode("Split", ["images"], "", 1), output: names });
    const before = count > 1 ? [split] : [makeNode("Identity", ["images"], names[0])];
    if (isVector) {
      before.push(...given.slice(0, count).map(({ name }) => makeNode("Flatten", [`${name}.map`], name)));
    }
    const numbers = given.slice(count).map(({ name, tensor }) => ({ ...tensor, name }));
    ways.push({ images: { shape: [rows, channels * count, height, width], values }, before, numbers });
  }
  return ways;
}

/** Runs a case as a network, whose images are some of its inputs. */
async function runFeatures(
  test: OnnxCase,
  output: number,
  { images, before, numbers }: Way,
): Promise<Outcome> {
  const wanted = numbersOf(test.outputs[output])!, result = graphOf(test).output[output].name;
  const run = async (first: readonly NodeProto[]) => {
    const image = imageMessage("images", images.shape);
    const bytes = makeFile(test, {
      image,
      before: first,
      after: [],
      numbers: [...numbers, one],
      output: result,
    });
    return await attempt(bytes, async (model) => {
      const gpu = await deviceOf(), got = await computeOutput({ gpu, choose: gpu.choose }, model, images);
      return compareNumbers(got, wanted.values, toleranceOf(test.outputs[output]));
    });
  };
  const outcome = await run(before);
  const isView = outcome.end === "refused" && outcome.message.includes("does not depend on a layer");
  if (!isView) return outcome;
  // Views of the images become views of the images times 1.
  return await run([
    makeNode("Mul", ["images", "one"], "images.layer"),
    ...before.map((node) => renameInput(node)),
  ]);
}

/** A node that reads the images times 1. */
function renameInput(node: NodeProto): NodeProto {
  const input = node.input.map((name) => name === "images" ? "images.layer" : name);
  return create(NodeProtoSchema, { ...node, input });
}

const one = floatsMessage("one", [1], [1]);

/** Whether numbers are the wanted ones within a share of the largest. */
function compareNumbers(got: ArrayLike<number>, want: ArrayLike<number>, allowed = 1e-4): Outcome {
  const wanted = Array.from(want), sizes = wanted.filter(Number.isFinite).map(Math.abs);
  const most = allowed * sizes.reduce((largest, size) => Math.max(largest, size), 0);
  const isNear = (value: number, i: number) => Object.is(value, got[i]) || Math.abs(value - got[i]) <= most;
  if (got.length === wanted.length && wanted.every(isNear)) return right;
  return { end: "wrong", message: `${Array.from(got).slice(0, 8)}, expected ${wanted.slice(0, 8)}` };
}

/** Types of 16 bits are computed with as 32-bit floats: outputs differ by their rounding. */
function toleranceOf({ dataType }: TensorProto): number {
  return dataType === FLOAT16 ? 2 ** -11 : dataType === BFLOAT16 ? 2 ** -7 : 1e-4;
}

/** Runs a case on numbers alone: its output and the output's shape become the weights of a layer. */
async function runNumbers(test: OnnxCase, output: number): Promise<Outcome> {
  const wanted = numbersOf(test.outputs[output])!, result = graphOf(test).output[output].name;
  const read = async (
    nodes: readonly NodeProto[],
    value: string,
    want: ArrayLike<number>,
    allowed?: number,
  ) => {
    const after = [
      ...nodes,
      makeNode("Cast", [value], "floats"),
      makeNode("Reshape", ["floats", "sizes"], "weight"),
      makeNode("Flatten", ["images"], "flat"),
      makeNode("MatMul", ["flat", "weight"], "logits"),
    ];
    const sizes = create(TensorProtoSchema, {
      name: "sizes",
      dims: [2n],
      dataType: TensorProto_DataType.INT64,
      int64Data: [1n, BigInt(want.length)],
    });
    const numbers = [...namedInputs(test).map(({ name, tensor }) => ({ ...tensor, name })), sizes];
    const image = imageMessage("images", [1, 1, 1, 1]);
    const bytes = makeFile(test, { image, before: [], after, numbers, output: "logits" });
    return await attempt(
      bytes,
      ({ parameters }) => Promise.resolve(compareNumbers([...parameters.values()][0], want, allowed)),
    );
  };
  const values = await read([], result, wanted.values, toleranceOf(test.outputs[output]));
  if (values.end !== "right" || wanted.shape.length === 0) return values;
  return await read([makeNode("Shape", [result], "its.sizes")], "its.sizes", wanted.shape);
}

/** Runs a case in all ways for each of its outputs: each output must be right in one way, and wrong in none. */
async function runCase(test: OnnxCase): Promise<Outcome> {
  for (const output of test.outputs.keys()) {
    if (!numbersOf(test.outputs[output])) return { end: "refused", message: "no numbers of 32-bit floats" };
    const ways = [1, test.inputs.length].slice(0, test.inputs.length).flatMap((count) =>
      listWays(test, count)
    );
    const outcomes = [await runNumbers(test, output)];
    for (const way of ways) outcomes.push(await runFeatures(test, output, way));
    const wrong = outcomes.find(({ end }) => end === "wrong");
    if (wrong) return wrong;
    if (!outcomes.some(({ end }) => end === "right")) return outcomes.at(-1)!;
  }
  return right;
}

/** The names of cases in docs/onnx.md, of which * may be a part. */
async function readNames(): Promise<readonly string[]> {
  const page = await Deno.readTextFile(new URL("../../../docs/onnx.md", import.meta.url));
  return [...page.matchAll(/`(test_[\w*]+)`/g)].map(([, name]) => name);
}

Deno.test({
  name: "readOnnx() reads the ONNX project's cases right, or refuses those that docs/onnx.md names",
  ignore: !hasOnnxCases(),
  async fn() {
    const { cases, total } = readOnnxCases(), names = await readNames();
    assert(total >= 1072 && cases.length >= 398, `${cases.length} of ${total} cases`);
    const named = names.map((name) => new RegExp(`^${name.replaceAll("*", ".*")}$`)),
      found = new Set<RegExp>();
    const wrong: string[] = [];
    let passed = 0;
    for (const test of cases) {
      const outcome = await runCase(test), own = named.find((name) => name.test(test.name));
      if (own) found.add(own);
      if (outcome.end === "right") passed++;
      if (outcome.end === "wrong") wrong.push(`${test.name} is wrong: ${outcome.message}`);
      if (outcome.end === "refused" && !own) {
        wrong.push(`${test.name} is refused, and not named: ${outcome.message}`);
      }
      if (outcome.end === "right" && own) wrong.push(`${test.name} is right, and named`);
    }
    for (const [i, name] of named.entries()) if (!found.has(name)) wrong.push(`${names[i]} is no case`);
    assertEquals(wrong, []);
    // What docs/onnx.md says.
    assertEquals([cases.length, passed], [398, 284]);
  },
});
