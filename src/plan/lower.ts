/**
 * Lowers a model to the dispatches of a step: forward, loss, backward and update.
 *
 * @module
 */
import { arenaRef, type BufferRef, inputRef, tensorRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import type { FusedNorm, FusedPool, LayerContext } from "../model/layer.ts";
import type { LayerSpec } from "../model/layers/index.ts";
import { countFeatures, countQuads, quadsPerExample } from "../shape.ts";
import { findComparedLayers, lowerFeatureGradient } from "./features.ts";
import { type ImageSource, lowerImages } from "./images.ts";
import { layOutParameters, type ParameterLayout } from "./layout.ts";
import { type LossOptions, lowerLoss } from "./loss.ts";
import { lowerMixedImages } from "./mixup.ts";
import { layerTensor, type Plan, PlanBuilder } from "./plan.ts";
import {
  type Accumulation,
  gradientArena,
  lowerGradientSum,
  lowerUpdate,
  type UpdateOptions,
} from "./optimizer.ts";
import { inWindow, overWindows } from "./windows.ts";
import { type GradientSum, type Wire, wireLayers } from "./wire.ts";

/** Options of a step. */
export interface LowerOptions extends UpdateOptions, LossOptions {
  readonly choose: ProductChooser;
  /** The layout of the network that the plan runs on. Default: all parameters in one window. */
  readonly layout?: ParameterLayout;
  /** The source of the batch. Default: the host writes the tensors `x` and `labels` before each step. */
  readonly images?: ImageSource;
  /** Mode `train`: how the batches of a step are added up. Default: each step is one batch. */
  readonly accumulation?: Accumulation;
  /** Mode `train`: true leaves the step's gradient in its arena; `lowerUpdatePlan` makes the update. */
  readonly stopsAtGradients?: boolean;
  /** Layers whose own outputs the host, or other dispatches, will read; see `Plan.outputs`. */
  readonly probes?: readonly string[];
}

/**
 * Lowers a model.
 *
 * - `train`: forward, loss, tally, backward, and if asked for optimizer and running mean. The layers of a reconstruction
 *   run as in `score`.
 * - `score`: the same gradients with running statistics, accumulated for the criteria.
 * - `evaluate`: forward, loss, tally, confusion counts and kept predictions.
 *
 * @throws {ShapeError} If a layer does not fit its input, or features are asked for that the model does not have.
 */
export function lowerPlan(graph: Graph, options: LowerOptions): Plan {
  const { batch, mode, images, mixes, layout = layOutParameters(graph) } = options;
  const builder = new PlanBuilder();
  const nodes = resolveGraph(graph);
  const input = nodes[0].input;
  builder.declare("x", batch * quadsPerExample(input));
  builder.declare("labels", countQuads(batch));
  if (images) builder.emit(lowerImages(images, { batch, input, augments: mode === "train" }));
  else for (const name of ["x", "labels"]) builder.keep(name);
  if (mixes) builder.emit(lowerMixedImages({ rows: batch, quads: quadsPerExample(input) }));
  const featureLayers = mode === "train" ? findComparedLayers(graph, options, nodes) : [];
  const reconstruction = mode === "train" ? options.reconstruction : undefined;
  const passMode = reconstruction ? "score" : mode;
  const { first, end } = reconstruction
    ? { first: reconstruction.first, end: reconstruction.layers.at(-1)! }
    : { first: 0, end: nodes.length - 1 };
  const all = makeLayers(nodes, { layout, builder, options: { ...options, mode: passMode }, featureLayers });
  const layers = all.slice(0, end + 1);
  for (const [i, { context, runsForward }] of layers.entries()) {
    if (runsForward) nodes[i].type.forward(context);
    builder.endLayer(context.name);
  }
  const { y: logits, dy: dlogits } = layers[layers.length - 1].context;
  const compared = featureLayers.map((layer, map) => ({
    map,
    rows: batch,
    quads: quadsPerExample(nodes[layer].output),
    features: layers[layer].context.y,
  }));
  const classes = countFeatures(nodes[nodes.length - 1].output);
  lowerLoss(builder, { logits, dlogits, classes, options, compared });
  if (mode !== "evaluate") {
    for (const [i, { context, wire }] of [...layers.entries()].slice(first).toReversed()) {
      // What reads the last layer of a reconstruction does not run.
      const isFirst = reconstruction !== undefined && i === end;
      for (const sum of isFirst ? [] : wire.sums) {
        lowerSum(builder, sum, batch * quadsPerExample(nodes[sum.of].output));
      }
      const features = compared[featureLayers.indexOf(i)];
      if (features) {
        const { dy } = context, isRelu = nodes[i].type.isRelu === true;
        builder.emit(lowerFeatureGradient({ ...features, dy, isRelu, isFirst }));
      }
      if (!wire.skipsBackward) nodes[i].type.backward(context);
    }
  }
  if (mode === "train") {
    const { accumulation, stopsAtGradients } = options;
    if (gradientArena(accumulation) === "gradient_sum") {
      builder.emit(...lowerGradientSum(layout, accumulation!.batches));
    }
    const updates = accumulation?.isLast !== false && !stopsAtGradients;
    if (updates) builder.emit(...lowerUpdate(layout, options, (name, quads) => builder.declare(name, quads)));
  }
  if (mode === "score") builder.emit(...lowerFisher(layout));
  const { wire: { y: last } } = layers[layers.length - 1];
  for (const { context: { name }, wire: { y } } of layers) {
    if (y === last || options.probes?.includes(name)) builder.keepOutput(name, y);
  }
  for (const name of ["losses", "predictions"]) builder.keep(name);
  return builder.build(mode, batch);
}

/** The dispatches that add a batch's gradients to the Fisher information and the mean gradient. */
function lowerFisher({ windows }: ParameterLayout): readonly Dispatch[] {
  return overWindows(windows, ({ quads }) => ({
    kernel: "score/accumulate",
    label: "accumulate Fisher",
    bindings: {
      gradients: arenaRef("gradients"),
      fisher: arenaRef("fisher"),
      "gradient_mean": arenaRef("gradient_mean"),
      tally: inputRef("tally"),
    },
    params: { quads },
  }));
}

/**
 * The second half of a training step, after `lowerPlan` with `stopsAtGradients`. Between the two plans, the step's
 * gradient lies in the arena `gradientArena`, where it can be reduced over devices.
 */
export function lowerUpdatePlan(
  layout: ParameterLayout,
  options: UpdateOptions & { readonly accumulation?: Accumulation },
): Plan {
  const builder = new PlanBuilder();
  const declare = (name: string, quads: number) => builder.declare(name, quads);
  builder.emit(...lowerUpdate(layout, options, declare));
  return builder.build("update", 0);
}

interface LoweredLayer {
  readonly context: LayerContext<LayerSpec>;
  readonly wire: Wire;
  readonly runsForward: boolean;
}

/** Makes each layer's context and declares its tensors. */
function makeLayers(
  nodes: readonly GraphNode[],
  { layout, builder, options, featureLayers }: {
    readonly layout: ParameterLayout;
    readonly builder: PlanBuilder;
    readonly options: LowerOptions;
    readonly featureLayers: readonly number[];
  },
): readonly LoweredLayer[] {
  const { batch, mode, choose } = options;
  const placed = new Map(layout.parameters.map((parameter) => [parameter.fullName, parameter]));
  const offsetOf = (layer: number) => (parameter: string) =>
    placed.get(`${nodes[layer].spec.name}.${parameter}`)!.offset;
  const windowOf = ({ spec, parameters }: GraphNode) =>
    parameters.map(({ name }) => placed.get(`${spec.name}.${name}`)!)
      .find(({ arena }) => arena === "values")?.window ?? layout.windows[0];
  // Features must be stored, even if a pool follows.
  const stored = featureLayers.map((layer) => nodes[layer].spec.name);
  const wires = wireLayers(nodes, mode, [...options.probes ?? [], ...stored]);
  const poolOf = (layer: number): FusedPool => {
    const { spec, output } = nodes[layer], { y, dy } = wires[layer];
    const argmax = mode === "evaluate"
      ? builder.declare("no argmax", 1)
      : builder.declare(layerTensor("argmax", spec.name), batch * quadsPerExample(output));
    return { y: tensorRef(y), argmax, dy: tensorRef(dy), output };
  };
  return nodes.map((node, i) => {
    const { spec, stream, inputs, input, output } = node, window = windowOf(node);
    const wire = wires[i], quads = batch * quadsPerExample(output);
    const runsForward = wire.computedBy === i;
    // The output of a convolution with a fused pool is never stored.
    if (runsForward || wires[wire.computedBy]?.pool === i) builder.declare(wire.y, quads);
    if (mode !== "evaluate") {
      builder.declare(wire.dy, quads);
      for (const [slot, dx] of wire.dxs.entries()) {
        if (dx) builder.declare(dx, batch * quadsPerExample(inputs[slot]));
      }
    }
    const isPool = wire.computedBy >= 0 && wires[wire.computedBy].pool === i;
    const xs = wire.xs.map(tensorRef), dxs = wire.dxs.map(toTensorRef);
    const context: LayerContext<LayerSpec> = {
      spec,
      name: spec.name,
      stream,
      batch,
      mode,
      inputs: inputs.map((shape, slot) => ({ shape, x: xs[slot], dx: dxs[slot] })),
      input,
      output,
      x: xs[0],
      y: tensorRef(wire.y),
      dy: tensorRef(wire.dy),
      dx: dxs[0],
      norm: wire.norm === undefined ? undefined : makeFusedNorm(nodes[wire.norm], offsetOf(wire.norm)),
      residual: toTensorRef(wire.residual),
      relu: wire.relu,
      addend: toTensorRef(wire.addend),
      gated: wire.gated,
      pool: isPool ? poolOf(i) : wire.pool === undefined ? undefined : poolOf(wire.pool),
      choose,
      offsetOf: offsetOf(i),
      scratch: (purpose, quads) => builder.declare(layerTensor(purpose, spec.name), quads),
      emit: (...dispatches) => builder.emit(...dispatches.map((dispatch) => inWindow(window, dispatch))),
    };
    return { context, wire, runsForward };
  });
}

/** A reference to a tensor, if there is one. */
function toTensorRef(name: string | undefined): BufferRef | undefined {
  return name === undefined ? undefined : tensorRef(name);
}

/** A batch norm that is fused into the convolution before it. */
function makeFusedNorm(
  { spec, type }: GraphNode,
  offsetOf: (parameter: string) => number,
): FusedNorm | undefined {
  const form = type.normForm?.(spec);
  if (!form) return undefined;
  return {
    mean: offsetOf(form.mean),
    variance: offsetOf(form.variance),
    gamma: offsetOf(form.scale),
    beta: offsetOf(form.shift),
    epsilon: form.epsilon,
  };
}

/** Adds up the terms of a gradient, two at a time. The last addition is gated if a ReLU's backward pass follows. */
function lowerSum(builder: PlanBuilder, { terms, sum, gate }: GradientSum, quads: number): void {
  let total = tensorRef(terms[0]);
  for (const [i, term] of terms.slice(1).entries()) {
    const isLast = i === terms.length - 2;
    const y = builder.declare(isLast ? sum : `${i + 2} terms of ${sum}`, quads);
    const isGated = isLast && gate !== undefined;
    builder.emit(dispatchOver(quads, {
      kernel: "layer/add_forward",
      label: sum,
      bindings: { a: total, b: tensorRef(term), gate: tensorRef(isGated ? gate : term), y },
      params: { quads },
      constants: { RELU: 0, GATED: isGated ? 1 : 0 },
    }));
    total = y;
  }
}
