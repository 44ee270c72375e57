/**
 * Lowers a model to the dispatches of a step: forward, loss, backward, and what follows them.
 *
 * @module
 */
import { dispatchOver } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import type { FusedNorm, FusedPool, LayerContext, PassMode } from "../model/layer.ts";
import { type LayerSpec, layerTypeOf } from "../model/layers/index.ts";
import { featuresOf, quadsOf, quadsPerExample } from "../shape.ts";
import type { Distillation } from "./distillation.ts";
import { featureLayersOf, lowerFeatureGradient } from "./features.ts";
import { type ImageSource, lowerImages } from "./images.ts";
import { layOutParameters } from "./layout.ts";
import { lowerLoss } from "./loss.ts";
import { lowerMixedImages } from "./mixup.ts";
import { type Plan, PlanBuilder } from "./plan.ts";
import { lowerUpdate, type UpdateOptions } from "./optimizer.ts";
import { type GradientSum, type Wire, wireLayers } from "./wire.ts";

/** How a step is to be lowered. */
export interface LowerOptions extends UpdateOptions {
  /** Examples a step. */
  readonly batch: number;
  readonly mode: PassMode;
  readonly choose: ProductChooser;
  /** Where the batch comes from; without it the host writes the tensors `x` and `labels` before each step. */
  readonly images?: ImageSource;
  /** Mixes the batch in pairs, by the shares in the buffer `mix_shares`; in mode `train` the loss does likewise. */
  readonly mixes?: boolean;
  readonly labelSmoothing?: number;
  /** Layers whose outputs are to be left for the host, or other dispatches, to read; see `Plan.outputs`. */
  readonly probes?: readonly string[];
  /** Mode `score`: draws labels from the model's own predictions instead, by this seed. */
  readonly sampledLabels?: number;
  /**
   * Mode `train`: what is learned from a teacher, whose logits lie in the buffer `teacher_logits`, and with a
   * `featureWeight` its features in `teacher_features`.
   */
  readonly distillation?: Distillation;
}

/**
 * Lowers a model.
 *
 * - `train`: forward, loss, tally, backward, and where they are asked for optimizer and running mean.
 * - `score`: the same gradients with running statistics, accumulated for the criteria.
 * - `evaluate`: forward, loss, tally, confusion counts and kept predictions.
 *
 * @throws {ShapeError} Where a layer does not fit its input, or features are asked for that the model has not.
 */
export function lowerPlan(graph: Graph, options: LowerOptions): Plan {
  const { batch, mode, images, mixes } = options;
  const builder = new PlanBuilder();
  const nodes = resolveGraph(graph);
  const input = nodes[0].input;
  builder.declare("x", batch * quadsPerExample(input));
  builder.declare("labels", quadsOf(batch));
  if (images) builder.emit(lowerImages(images, { batch, input, augments: mode === "train" }));
  else for (const name of ["x", "labels"]) builder.keep(name);
  if (mixes) builder.emit(lowerMixedImages({ rows: batch, quads: quadsPerExample(input) }));
  const { featureWeight = 0, featureMaps = "last" } = options.distillation ?? {};
  const comparesFeatures = mode === "train" && featureWeight > 0;
  const featureLayers = comparesFeatures ? featureLayersOf(graph, featureMaps, nodes) : [];
  const layers = layersOf(nodes, { graph, builder, options, featureLayers });
  for (const { context, runsForward } of layers) {
    if (runsForward) layerTypeOf(context.spec).forward(context);
    builder.endLayer(context.name);
  }
  const { y: logits, dy: dlogits } = layers[layers.length - 1].context;
  const compared = featureLayers.map((layer, map) => ({
    map,
    rows: batch,
    quads: quadsPerExample(nodes[layer].output),
    features: layers[layer].context.y,
  }));
  const classes = featuresOf(nodes[nodes.length - 1].output);
  lowerLoss(builder, { logits, dlogits, classes, options, compared });
  if (mode !== "evaluate") {
    for (const [i, { context, wire }] of [...layers.entries()].toReversed()) {
      for (const sum of wire.sums) lowerSum(builder, sum, batch * quadsPerExample(nodes[sum.of].output));
      const features = compared[featureLayers.indexOf(i)];
      if (features) {
        const { dy, spec } = context;
        builder.emit(lowerFeatureGradient({ ...features, dy, isRelu: spec.kind === "relu" }));
      }
      if (!wire.skipsBackward) layerTypeOf(context.spec).backward(context);
    }
  }
  const layout = layOutParameters(graph), { quads } = layout;
  if (mode === "train") {
    builder.emit(...lowerUpdate(layout, options, (name, quads) => builder.declare(name, quads)));
  }
  if (mode === "score") {
    const names = ["gradients", "fisher", "gradient_mean", "tally"];
    const bindings = Object.fromEntries(names.map((name) => [name, name]));
    const accumulate = {
      kernel: "score/accumulate",
      label: "accumulate Fisher",
      bindings,
      params: { quads },
    };
    builder.emit(dispatchOver(quads, accumulate));
  }
  for (const { context: { name, y } } of layers) {
    if (y === logits || options.probes?.includes(name)) builder.keepOutput(name, y);
  }
  for (const name of ["losses", "predictions"]) builder.keep(name);
  return builder.build(mode, batch);
}

interface LoweredLayer {
  readonly context: LayerContext<LayerSpec>;
  readonly wire: Wire;
  readonly runsForward: boolean;
}

/** Makes each layer's context and declares its tensors. */
function layersOf(
  nodes: readonly GraphNode[],
  { graph, builder, options, featureLayers }: {
    readonly graph: Graph;
    readonly builder: PlanBuilder;
    readonly options: LowerOptions;
    readonly featureLayers: readonly number[];
  },
): readonly LoweredLayer[] {
  const { batch, mode, choose } = options;
  const places = new Map(
    layOutParameters(graph).parameters.map(({ fullName, offset }) => [fullName, offset]),
  );
  const offsetOf = (layer: number) => (parameter: string) =>
    places.get(`${nodes[layer].spec.name}.${parameter}`)!;
  // Features must be stored, whatever pools them.
  const stored = featureLayers.map((layer) => nodes[layer].spec.name);
  const wires = wireLayers(nodes, mode, [...options.probes ?? [], ...stored]);
  const poolOf = (layer: number): FusedPool => {
    const { spec, output } = nodes[layer], { y, dy } = wires[layer];
    const places = mode === "evaluate"
      ? builder.declare("no places", 1)
      : builder.declare(`${spec.name} places`, batch * quadsPerExample(output));
    return { y, places, dy, output };
  };
  return nodes.map(({ spec, inputs, input, output }, i) => {
    const wire = wires[i], quads = batch * quadsPerExample(output);
    const runsForward = wire.emitter === i;
    // The output of a convolution that pools what it stores never leaves it.
    if (runsForward || wires[wire.emitter]?.pool === i) builder.declare(wire.y, quads);
    if (mode !== "evaluate") {
      builder.declare(wire.dy, quads);
      for (const [slot, dx] of wire.dxs.entries()) {
        if (dx) builder.declare(dx, batch * quadsPerExample(inputs[slot]));
      }
    }
    const isPool = wire.emitter >= 0 && wires[wire.emitter].pool === i;
    const context: LayerContext<LayerSpec> = {
      spec,
      name: spec.name,
      batch,
      mode,
      inputs: inputs.map((shape, slot) => ({ shape, x: wire.xs[slot], dx: wire.dxs[slot] })),
      input,
      output,
      x: wire.xs[0],
      y: wire.y,
      dy: wire.dy,
      dx: wire.dxs[0],
      norm: wire.norm === undefined ? undefined : normOf(nodes[wire.norm].spec, offsetOf(wire.norm)),
      residual: wire.residual,
      relu: wire.relu,
      addend: wire.addend,
      gated: wire.gated,
      pool: isPool ? poolOf(i) : wire.pool === undefined ? undefined : poolOf(wire.pool),
      choose,
      offsetOf: offsetOf(i),
      scratch: (purpose, quads) => builder.declare(`${spec.name} ${purpose}`, quads),
      emit: (...dispatches) => builder.emit(...dispatches),
    };
    return { context, wire, runsForward };
  });
}

/** A batch norm as the convolution before it applies it. */
function normOf(spec: LayerSpec, offsetOf: (parameter: string) => number): FusedNorm | undefined {
  if (spec.kind !== "batchnorm2d") return undefined;
  const statistics = { mean: offsetOf("running_mean"), variance: offsetOf("running_var") };
  return { ...statistics, gamma: offsetOf("weight"), beta: offsetOf("bias"), epsilon: spec.epsilon };
}

/** Adds up the shares of a gradient, two at a time, the last two gated where a ReLU's backward pass follows. */
function lowerSum(builder: PlanBuilder, { terms, sum, gate }: GradientSum, quads: number): void {
  let total = terms[0];
  for (const [i, term] of terms.slice(1).entries()) {
    const isLast = i === terms.length - 2;
    const y = builder.declare(isLast ? sum : `${sum}, ${i + 2} terms`, quads);
    const isGated = isLast && gate !== undefined;
    builder.emit(dispatchOver(quads, {
      kernel: "layer/add_forward",
      label: sum,
      bindings: { a: total, b: term, gate: isGated ? gate : term, y },
      params: { quads },
      constants: { RELU: 0, GATED: isGated ? 1 : 0 },
    }));
    total = y;
  }
}
