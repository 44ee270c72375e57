/**
 * The cases of the ONNX project's backend tests, which Debian's libonnx-testdata holds: files of a few nodes, with inputs and
 * the outputs that they must give.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProto_DataType,
  TensorProtoSchema,
  type ValueInfoProto,
} from "onnx-buf";
import { folds } from "../../src/io/onnx/fold.ts";
import { operators, partedOperators } from "../../src/io/onnx/operators.ts";

const { BFLOAT16, UINT16 } = TensorProto_DataType;

const folder = "/usr/share/libonnx-testdata/data";

/** One data set of a case: what its inputs are, by their place among those of the graph, and its outputs. */
export interface OnnxCase {
  readonly name: string;
  readonly model: ModelProto;
  readonly inputs: readonly TensorProto[];
  readonly outputs: readonly TensorProto[];
}

/**
 * True where the package is installed; otherwise a line says so.
 *
 * @throws {Error} Where it is absent and WINNOW_REQUIRE_ONNX_CASES is 1: then no test may be skipped for want of it.
 */
export function hasOnnxCases(): boolean {
  try {
    return Deno.statSync(folder).isDirectory;
  } catch (error) {
    if (Deno.env.get("WINNOW_REQUIRE_ONNX_CASES") === "1") throw error;
    console.log("skipped: tests that need Debian's libonnx-testdata, which is not installed");
    return false;
  }
}

/** The names of files in a folder that begin in a way, in the order of the numbers in them. */
function listNumbered(path: string, prefix: string): readonly string[] {
  const names = [...Deno.readDirSync(path)].map(({ name }) => name).filter((name) => name.startsWith(prefix));
  const place = (name: string) => Number(name.match(/\d+/)?.[0]);
  return names.toSorted((a, b) => place(a) - place(b)).map((name) => `${path}/${name}`);
}

/** The graph of a case. */
export function graphOf({ model }: OnnxCase): GraphProto {
  return model.graph!;
}

/** True if each operator of a graph is one that winnow reads, or computes on numbers. */
function isSupported({ node }: GraphProto): boolean {
  return node.every(({ domain, opType }) =>
    (domain === "" || domain === "ai.onnx") &&
    (operators.has(opType) || partedOperators.has(opType) || folds.has(opType))
  );
}

/** A tensor of the type that its graph declares: bfloat16 lies in files of unsigned integers. */
function asDeclared(tensor: TensorProto, value: ValueInfoProto | undefined): TensorProto {
  const type = value?.type?.value, declared = type?.case === "tensorType" ? type.value.elemType : undefined;
  const isBits = declared === BFLOAT16 && tensor.dataType === UINT16;
  return isBits ? { ...tensor, dataType: BFLOAT16 } : tensor;
}

/** All cases of operators that winnow reads, and the number of cases in the package. */
export function readOnnxCases(): { readonly cases: readonly OnnxCase[]; readonly total: number } {
  const cases: OnnxCase[] = [];
  let total = 0;
  for (const group of ["node", "pytorch-converted", "pytorch-operator", "simple"]) {
    const names = [...Deno.readDirSync(`${folder}/${group}`)].map(({ name }) => name).toSorted();
    total += names.length;
    for (const name of names) {
      const path = `${folder}/${group}/${name}`;
      const model = fromBinary(ModelProtoSchema, Deno.readFileSync(`${path}/model.onnx`));
      if (!isSupported(model.graph!)) continue;
      for (const set of listNumbered(path, "test_data_set_")) {
        const read = (prefix: string) =>
          listNumbered(set, prefix).map((file) => fromBinary(TensorProtoSchema, Deno.readFileSync(file)));
        const inputs = read("input_").map((tensor, i) => asDeclared(tensor, model.graph!.input[i]));
        const outputs = read("output_").map((tensor, i) => asDeclared(tensor, model.graph!.output[i]));
        cases.push({ name, model, inputs, outputs });
      }
    }
  }
  return { cases, total };
}
