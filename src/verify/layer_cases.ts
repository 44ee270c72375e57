/**
 * Reference cases of pooling, batch norm and cross-entropy.
 *
 * @module
 */
import { inputRef } from "../kernels/buffer_ref.ts";
import type { Gpu } from "../gpu/device.ts";
import { type Run, runOnce } from "../gpu/run_once.ts";
import { imagesFromQuads, imagesToQuads, rowsFromQuads, rowsToQuads } from "../io/quads.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import { defaultChooser } from "../kernels/gemm.ts";
import type { LayerContext, PassMode } from "../model/layer.ts";
import { getLayerType, type LayerSpec } from "../model/layers/index.ts";
import { countQuads, mapShape } from "../shape.ts";
import { type Check, compare, type Goldens } from "./goldens.ts";

const tolerance = 1e-5;

/** A layer's forward and backward dispatches on buffers x, y, dy, dx and those that it asks for. */
function lowerLayer(spec: LayerSpec, { shape, mode, offsets }: {
  readonly shape: readonly number[];
  readonly mode: PassMode;
  readonly offsets?: Readonly<Record<string, number>>;
}): { readonly dispatches: readonly Dispatch[]; readonly scratch: Readonly<Record<string, number>> } {
  const [batch, channels, height, width] = shape;
  const type = getLayerType(spec), input = mapShape(channels, height, width);
  const dispatches: Dispatch[] = [], scratch: Record<string, number> = {};
  const context: LayerContext<LayerSpec> = {
    spec,
    name: spec.name,
    stream: "layer1",
    batch,
    mode,
    inputs: [{ shape: input, x: inputRef("x"), dx: inputRef("dx") }],
    norm: undefined,
    residual: undefined,
    addend: undefined,
    input,
    output: type.outputShape(spec, [input], spec.name),
    x: inputRef("x"),
    y: inputRef("y"),
    dy: inputRef("dy"),
    dx: inputRef("dx"),
    relu: false,
    gated: false,
    pool: undefined,
    choose: defaultChooser("storage"),
    offsetOf: (parameter) => offsets?.[parameter] ?? 0,
    scratch(purpose, quads) {
      scratch[purpose] = Math.max(4 * quads, scratch[purpose] ?? 0);
      return inputRef(purpose);
    },
    emit: (...more) => dispatches.push(...more),
  };
  type.forward(context);
  if (mode === "train") type.backward(context);
  return { dispatches, scratch };
}

/** Checks a maxpool2d or avgpool2d case: x, dy -> y, dx. */
export async function checkPool2d(
  gpu: Gpu,
  goldens: Goldens,
  { name, kind }: { readonly name: string; readonly kind: "maxpool2d" | "avgpool2d" },
): Promise<readonly Check[]> {
  const xShape = goldens.shape(`${name}.x`, 4), yShape = goldens.shape(`${name}.y`, 4);
  const kernel = goldens.parameter(name, "kernel", 2);
  const stride = goldens.parameter(name, "stride", kernel), padding = goldens.parameter(name, "padding", 0);
  const { dispatches } = lowerLayer({ kind, name, kernel, stride, padding }, {
    shape: xShape,
    mode: "train",
  });
  const x = imagesToQuads(goldens.floats(`${name}.x`), xShape);
  const dy = imagesToQuads(goldens.floats(`${name}.dy`), yShape);
  const got = await runOnce(gpu, { dispatches, buffers: { x, dy, y: dy.length, dx: x.length } });
  const check = (tensor: string, shape: readonly number[]) => {
    const values = imagesFromQuads(got.floats(tensor), shape);
    return compare(`${name} ${tensor}`, {
      got: values,
      want: goldens.floats(`${name}.${tensor}`),
      relative: tolerance,
    });
  };
  return [check("y", yShape), check("dx", xShape)];
}

/** Checks a batchnorm2d case in evaluation and training. */
export async function checkBatchnorm2d(gpu: Gpu, goldens: Goldens, name: string): Promise<readonly Check[]> {
  const shape = goldens.shape(`${name}.x`, 4), channels = shape[1], quads = countQuads(channels);
  const floats = (tensor: string) => goldens.floats(`${name}.${tensor}`);
  const spec = {
    kind: "batchnorm2d",
    name,
    epsilon: goldens.parameter(name, "eps", 1e-5),
    momentum: goldens.parameter(name, "momentum", 0.1),
  } as const;
  const offsets = { weight: 0, bias: quads, "running_mean": 0, "running_var": quads };
  const pair = (first: string, second: string) => {
    const arena = new Float32Array(8 * quads);
    arena.set(floats(first));
    arena.set(floats(second), 4 * quads);
    return arena;
  };
  const x = imagesToQuads(floats("x"), shape), dy = imagesToQuads(floats("dy"), shape);
  const run = (mode: PassMode) => {
    const { dispatches, scratch } = lowerLayer(spec, { shape, mode, offsets });
    const arenas = { values: pair("gamma", "beta"), statistics: pair("running_mean", "running_var") };
    const buffers: Run["buffers"] = {
      x,
      dy,
      ...arenas,
      gradients: 8 * quads,
      y: x.length,
      dx: x.length,
      tally: 4,
      ...scratch,
    };
    return runOnce(gpu, { dispatches, buffers, step: { index: 0 } });
  };
  const evaluated = await run("evaluate"), trained = await run("train");
  const check = (tensor: string, got: Float32Array) =>
    compare(`${name} ${tensor}`, { got, want: floats(tensor), relative: tolerance });
  const first = (arena: Float32Array) => arena.subarray(0, channels);
  const second = (arena: Float32Array) => arena.subarray(4 * quads, 4 * quads + channels);
  const gradients = trained.floats("gradients"), statistics = trained.floats("statistics");
  return [
    check("y_eval", imagesFromQuads(evaluated.floats("y"), shape)),
    check("y_train", imagesFromQuads(trained.floats("y"), shape)),
    check("dx", imagesFromQuads(trained.floats("dx"), shape)),
    check("dgamma", first(gradients)),
    check("dbeta", second(gradients)),
    check("running_mean_after", first(statistics)),
    check("running_var_after", second(statistics)),
  ];
}

/** Checks a cross_entropy case: logits, labels -> loss, dlogits. */
export async function checkCrossEntropy(gpu: Gpu, goldens: Goldens, name: string): Promise<readonly Check[]> {
  const [rows, classes] = goldens.shape(`${name}.logits`, 2);
  const smoothing = goldens.parameter(name, "label_smoothing", 0), quads = countQuads(classes);
  const losses = dispatchOver(rows, {
    kernel: "loss/softmax_cross_entropy",
    label: "cross-entropy",
    bindings: {
      logits: inputRef("logits"),
      labels: inputRef("labels"),
      losses: inputRef("losses"),
      predictions: inputRef("predictions"),
      dlogits: inputRef("dlogits"),
    },
    params: { rows, quads, classes, smoothing },
  });
  const tally = dispatchOver(1, {
    kernel: "loss/tally",
    label: "tally",
    bindings: {
      losses: inputRef("losses"),
      predictions: inputRef("predictions"),
      labels: inputRef("labels"),
      tally: inputRef("tally"),
    },
    params: { rows },
  });
  const got = await runOnce(gpu, {
    dispatches: [losses, tally],
    buffers: {
      logits: rowsToQuads(goldens.floats(`${name}.logits`), rows, classes),
      labels: Uint32Array.from(goldens.integers(`${name}.labels`)),
      losses: rows,
      predictions: rows,
      dlogits: 4 * rows * quads,
      tally: 4,
    },
    step: { count: rows, index: 0 },
  });
  const loss = [got.floats("tally")[0] / rows];
  const dlogits = rowsFromQuads(got.floats("dlogits"), rows, classes);
  return [
    compare(`${name} loss`, { got: loss, want: goldens.floats(`${name}.loss`), relative: tolerance }),
    compare(`${name} dlogits`, {
      got: dlogits,
      want: goldens.floats(`${name}.dlogits`),
      relative: tolerance,
    }),
  ];
}
