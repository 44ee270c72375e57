/**
 * Lowers a model to the dispatches of a step: forward, loss, backward, and what follows them.
 *
 * @module
 */
import { dispatchOver } from "../kernels/dispatch.ts";
import type { ProductChooser } from "../kernels/gemm.ts";
import { type Graph, type GraphNode, resolveGraph } from "../model/graph.ts";
import type { FusedPool, LayerContext, PassMode } from "../model/layer.ts";
import { type LayerSpec, layerTypeOf } from "../model/layers/index.ts";
import { featuresOf, quadsOf, quadsPerExample } from "../shape.ts";
import { type Distillation, lowerDistillation } from "./distillation.ts";
import { type ImageSource, lowerImages } from "./images.ts";
import { layOutParameters } from "./layout.ts";
import { type Plan, PlanBuilder } from "./plan.ts";
import { lowerUpdate, type UpdateOptions } from "./optimizer.ts";

/** How a step is to be lowered. */
export interface LowerOptions extends UpdateOptions {
  /** Examples a step. */
  readonly batch: number;
  readonly mode: PassMode;
  readonly choose: ProductChooser;
  /** Where the batch comes from; without it the host writes the tensors `x` and `labels` before each step. */
  readonly images?: ImageSource;
  readonly labelSmoothing?: number;
  /** Mode `train`: what is learned from a teacher, whose logits lie in the buffer `teacher_logits`. */
  readonly distillation?: Distillation;
}

/**
 * Lowers a model.
 *
 * - `train`: forward, loss, tally, backward, and where they are asked for optimizer and running mean.
 * - `score`: the same gradients with running statistics, accumulated for the criteria.
 * - `evaluate`: forward, loss, tally, confusion counts and kept predictions.
 *
 * @throws {ShapeError} Where a layer does not fit its input.
 */
export function lowerPlan(graph: Graph, options: LowerOptions): Plan {
  const { batch, mode, images } = options;
  const builder = new PlanBuilder();
  const nodes = resolveGraph(graph);
  const input = nodes[0].input;
  builder.declare("x", batch * quadsPerExample(input));
  builder.declare("labels", quadsOf(batch));
  if (images) builder.emit(lowerImages(images, { batch, input, augments: mode === "train" }));
  else for (const name of ["x", "labels"]) builder.keep(name);
  const contexts = contextsOf(nodes, { graph, builder, options });
  const forwards = contexts.filter(({ skipsForward }) => !skipsForward);
  for (const { context } of forwards) layerTypeOf(context.spec).forward(context);
  const logits = contexts[contexts.length - 1].context.y;
  lowerLoss(builder, { logits, classes: featuresOf(nodes[nodes.length - 1].output), options });
  if (mode !== "evaluate") {
    for (const { context, skipsBackward } of contexts.toReversed()) {
      if (!skipsBackward) layerTypeOf(context.spec).backward(context);
    }
  }
  const layout = layOutParameters(graph), { quads } = layout;
  if (mode === "train") {
    builder.emit(...lowerUpdate(layout, options, (name, quads) => builder.declare(name, quads)));
  }
  if (mode === "score") {
    const bindings = { gradients: "gradients", fisher: "fisher", "gradient_mean": "gradient_mean" };
    const accumulate = {
      kernel: "score/accumulate",
      label: "accumulate Fisher",
      bindings,
      params: { quads },
    };
    builder.emit(dispatchOver(quads, accumulate));
  }
  for (const name of [logits, "losses", "predictions"]) builder.keep(name);
  return builder.build(mode, batch);
}

/** The tensor of the logits of a plan for a model. */
export function logitsTensor(graph: Graph): string {
  return graph.layers[graph.layers.length - 1].name;
}

interface LoweredLayer {
  readonly context: LayerContext<LayerSpec>;
  readonly skipsForward: boolean;
  readonly skipsBackward: boolean;
}

/** Decides names, views and what is fused, and makes each layer's context. */
function contextsOf(
  nodes: readonly GraphNode[],
  { graph, builder, options }: {
    readonly graph: Graph;
    readonly builder: PlanBuilder;
    readonly options: LowerOptions;
  },
): readonly LoweredLayer[] {
  const { batch, mode, choose } = options;
  const { parameters } = layOutParameters(graph);
  const typeAt = (i: number) => i < nodes.length && i >= 0 ? layerTypeOf(nodes[i].spec) : undefined;
  const isRelu = (i: number) => nodes[i]?.spec.kind === "relu";
  // A ReLU whose producer applies it is a view of the producer's output.
  const isFusedRelu = (i: number) => isRelu(i) && typeAt(i - 1)?.fusesRelu === true;
  // A ReLU whose consumer applies its backward pass hands the gradient on as it is.
  const isGated = (i: number) => isRelu(i) && typeAt(i + 1)?.gatesInput?.(nodes[i + 1].spec) === true;
  const isView = (i: number) => typeAt(i)?.isView?.(mode) === true;
  // A pool whose convolution pools what it stores; the convolution's own output then never leaves it.
  const isFusedPool = (i: number) =>
    isHalving(nodes[i]?.spec) && isFusedRelu(i - 1) && typeAt(i - 2)?.fusesPool?.(nodes[i - 2].spec) === true;
  const y: string[] = [], dy: string[] = [];
  for (const [i, { spec }] of nodes.entries()) {
    y[i] = isView(i) || isFusedRelu(i) ? (y[i - 1] ?? "x") : spec.name;
  }
  for (let i = nodes.length - 1; i >= 0; i--) {
    const passesOn = i + 1 < nodes.length && (isView(i + 1) || isGated(i + 1));
    dy[i] = passesOn ? dy[i + 1] : `${nodes[i].spec.name} gradient`;
  }
  const firstTrained = nodes.findIndex((node) => node.parameters.length > 0);
  const poolAt = (i: number): FusedPool | undefined => {
    if (!isFusedPool(i)) return undefined;
    const { output, spec } = nodes[i];
    const places = mode === "evaluate"
      ? builder.declare("no places", 1)
      : builder.declare(`${spec.name} places`, batch * quadsPerExample(output));
    return { y: y[i], places, dy: dy[i], output };
  };
  return nodes.map((node, i) => {
    const { spec, input, output } = node;
    if (!isView(i) && !isFusedRelu(i)) builder.declare(y[i], batch * quadsPerExample(output));
    if (mode !== "evaluate") builder.declare(dy[i], batch * quadsPerExample(output));
    const context: LayerContext<LayerSpec> = {
      spec,
      name: spec.name,
      batch,
      mode,
      inputs: [{ shape: input, x: y[i - 1] ?? "x", dx: i > firstTrained ? dy[i - 1] : undefined }],
      norm: undefined,
      residual: undefined,
      addend: undefined,
      input,
      output,
      x: y[i - 1] ?? "x",
      y: y[i],
      dy: dy[i],
      dx: i > firstTrained ? dy[i - 1] : undefined,
      relu: isRelu(i + 1) && isFusedRelu(i + 1),
      gated: i > 0 && isGated(i - 1),
      pool: poolAt(i) ?? poolAt(i + 2),
      choose,
      offsetOf: (parameter) =>
        parameters.find(({ fullName }) => fullName === `${spec.name}.${parameter}`)!.offset,
      scratch: (purpose, quads) => builder.declare(`${spec.name} ${purpose}`, quads),
      emit: (...dispatches) => builder.emit(...dispatches),
    };
    return {
      context,
      skipsForward: isView(i) || isFusedRelu(i) || isFusedPool(i),
      // The first trained layer needs no gradient of its input, so a pool fused into it has nothing to hand back.
      skipsBackward: i < firstTrained || isView(i) || isGated(i) ||
        (isFusedPool(i) && i - 2 === firstTrained),
    };
  });
}

/** True for max pooling that halves the sides of a map. */
function isHalving(spec: LayerSpec | undefined): boolean {
  return spec?.kind === "maxpool2d" && spec.kernel === 2 && spec.stride === 2 && spec.padding === 0;
}

/** The loss with its gradient, and the tally; in mode `evaluate` the confusion counts instead of the gradient. */
function lowerLoss(builder: PlanBuilder, { logits, classes, options }: {
  readonly logits: string;
  readonly classes: number;
  readonly options: LowerOptions;
}): void {
  const { batch: rows, mode, labelSmoothing = 0, distillation } = options;
  const hasGradient = mode !== "evaluate";
  builder.declare("losses", quadsOf(rows));
  builder.declare("predictions", quadsOf(rows));
  // Without a gradient nothing is written, but something must be bound.
  const dlogits = hasGradient ? `${logits} gradient` : builder.declare("no gradient", 1);
  builder.emit(
    dispatchOver(rows, {
      kernel: "loss/softmax_cross_entropy",
      label: "cross-entropy",
      bindings: { logits, labels: "labels", losses: "losses", predictions: "predictions", dlogits },
      params: { rows, quads: quadsOf(classes), classes, smoothing: mode === "train" ? labelSmoothing : 0 },
      constants: { GRADIENT: hasGradient ? 1 : 0 },
    }),
    ...(mode === "train" && distillation
      ? [lowerDistillation(distillation, { rows, classes, logits, dlogits })]
      : []),
    dispatchOver(1, {
      kernel: "loss/tally",
      label: "tally",
      bindings: { losses: "losses", predictions: "predictions", labels: "labels", tally: "tally" },
      params: { rows },
    }),
  );
  if (mode !== "evaluate") return;
  builder.emit(dispatchOver(rows, {
    kernel: "loss/confusion",
    label: "confusion",
    bindings: { predictions: "predictions", labels: "labels", counts: "counts", kept: "kept" },
    params: { rows, classes },
  }));
}
