/**
 * The variants of kernels that plans can ask for: everything is lowered, on graphs of every kind, and nothing is run.
 *
 * @module
 */
import { lowerFiniteCheck } from "../../src/gpu/finite.ts";
import { coreSubgroupSize } from "../../src/gpu/subgroups.ts";
import { usableCores } from "../../src/kernels/cores.ts";
import type { Dispatch } from "../../src/kernels/dispatch.ts";
import { defaultChooser, productSplits } from "../../src/kernels/gemm.ts";
import type { ReadPath } from "../../src/kernels/interface.ts";
import type { ProductChooser } from "../../src/kernels/product.ts";
import { type Graph, resolveGraph } from "../../src/model/graph.ts";
import { presetNames, presetNetwork } from "../../src/model/presets.ts";
import { lowerForward, lowerRecalibration } from "../../src/plan/forward.ts";
import { layOutParameters } from "../../src/plan/layout.ts";
import { type LowerOptions, lowerPlan, lowerUpdatePlan } from "../../src/plan/lower.ts";
import { findReconstructedLayers } from "../../src/plan/reconstruction.ts";
import { adam, type OptimizerSettings, sgd } from "../../src/plan/optimizer.ts";
import { layOutBlocks, lowerBlockMasks, lowerBlockSums } from "../../src/prune/groups/blocks.ts";
import { lowerConfidence, lowerPrior } from "../../src/prune/score/confidence.ts";
import { criteria, lowerScores, prunableTensors } from "../../src/prune/score/criteria.ts";
import { lowerGroupSums } from "../../src/prune/groups/scores.ts";
import { lowerMaskCounts, lowerMasking } from "../../src/prune/mask.ts";
import { lowerRowGather } from "../../src/prune/refit/gather_rows.ts";
import { lowerAccumulation, lowerCovariances, lowerShift } from "../../src/prune/refit/gram.ts";
import { lowerSolve, lowerSupport, systemLayout } from "../../src/prune/refit/solve.ts";
import {
  joinRanges,
  lowerCountBelow,
  lowerCountSelected,
  lowerNOfM,
  lowerRegrowth,
  lowerSelection,
  lowerSparing,
} from "../../src/prune/select/select.ts";
import { graphs } from "../plan/graphs.ts";
import { randomGraph } from "../prune/random_graphs.ts";
import { readPaths } from "./harness.ts";
import { formatVariant, type Variant, variantOf } from "./variants.ts";

const task = { channels: 3, height: 32, width: 32, classes: 10 };

const switches = [false, true];

/** A graph of convolutions in groups on maps of 8 x 8, one with each combination of what it may take over. */
function everyConvolution(groups: number): Graph {
  const conv = { kind: "conv2d", outChannels: 8, kernel: 3, stride: 1, padding: 1 } as const;
  const layers: Graph["layers"][number][] = [{ ...conv, name: "first", bias: true }];
  const last = () => layers[layers.length - 1].name;
  for (const number of Array(16).keys()) {
    const [bias, norms, adds, rectifies] = [1, 2, 4, 8].map((bit) => (number & bit) !== 0), before = last();
    layers.push({ ...conv, name: `conv${number}`, groups, bias });
    if (norms) layers.push({ kind: "batchnorm2d", name: `norm${number}`, epsilon: 1e-3, momentum: 0.1 });
    if (adds) layers.push({ kind: "add", name: `sum${number}`, inputs: [last(), before] });
    if (rectifies) layers.push({ kind: "relu", name: `relu${number}` });
  }
  for (const bias of switches) {
    layers.push(
      { ...conv, name: `pooled conv, bias ${bias}`, bias },
      { kind: "relu", name: `pooled relu, bias ${bias}` },
      { kind: "maxpool2d", name: `pool, bias ${bias}`, kernel: 2, stride: 2, padding: 0 },
    );
  }
  layers.push(
    { kind: "dropout", name: "dropout", p: 0.5 },
    { kind: "flatten", name: "flatten" },
    { kind: "linear", name: "fc", outFeatures: 4, bias: true },
  );
  return { name: `convolutions in ${groups} groups`, input: { channels: 3, height: 8, width: 8 }, layers };
}

const convolutions = [1, 2, 8].map(everyConvolution);

/** Graphs in which layers meet in every way: small ones, the presets, and some at random. */
const allGraphs: readonly Graph[] = [
  ...graphs,
  ...convolutions,
  ...presetNames.map((name) => presetNetwork(name, task)),
  ...Array.from({ length: 60 }, (_, seed) => randomGraph(seed)),
];

/** Every optimizer with every way of clipping. */
const optimizers: readonly OptimizerSettings[] = switches.flatMap((clipsNorm) =>
  switches.flatMap((clipsValues) => {
    const clips = { ...(clipsNorm ? { clipNorm: 1 } : {}), ...(clipsValues ? { clipValue: 1 } : {}) };
    return [sgd(clips), sgd({ ...clips, nesterov: true }), adam(clips), adam({ ...clips, kind: "adamw" })];
  })
);

/** What training may do beside what a graph says. */
const trainings: readonly Partial<LowerOptions>[] = [
  ...(["none", "flip", "flip-crop"] as const).map((augmentation) => ({ images: { augmentation } })),
  { mixes: true, labelSmoothing: 0.1 },
  ...(["last", "stages"] as const).map((featureMaps) => ({
    distillation: { share: 0.5, temperature: 2, featureWeight: 1, featureMaps },
  })),
  { accumulation: { batches: 2, isLast: false } },
  { averages: true, keepsVariance: true },
  ...optimizers.map((optimizer) => ({ optimizer })),
];

const batch = 5;

/** All that training, evaluation, scoring and calibration of a graph ask for by a chooser. */
function lowerGraph(graph: Graph, choose: ProductChooser): readonly Dispatch[] {
  const base = { batch, choose }, images = { augmentation: "flip", inEvaluation: true } as const;
  const plans = [
    lowerPlan(graph, { ...base, mode: "train" }),
    lowerPlan(graph, { ...base, mode: "score", sampledLabels: 1 }),
    lowerPlan(graph, { ...base, mode: "evaluate" }),
    lowerForward(graph, { ...base, images, mixes: true }),
    lowerRecalibration(graph, base),
  ];
  return plans.flatMap(({ dispatches }) => dispatches);
}

/** What the options of training ask for beside that. */
function lowerTrainings(graph: Graph, choose: ProductChooser): readonly Dispatch[] {
  const whole = { layers: findReconstructedLayers(resolveGraph(graph)), first: 0 };
  const plans = [...trainings, { reconstruction: whole }].flatMap((options) => [
    lowerPlan(graph, { batch, choose, ...options, mode: "train" }),
    lowerUpdatePlan(layOutParameters(graph), options),
  ]);
  return plans.flatMap(({ dispatches }) => dispatches);
}

/** Takes one after the other of the cores that compute a product on a path, each with few splits and with many. */
function nthChooser(path: ReadPath, n: number): ProductChooser {
  return (shape) => {
    const cores = usableCores(path, coreSubgroupSize, shape), core = cores[n % cores.length];
    return { core, splits: productSplits(shape, core, n % 2 === 0 ? 1 : 128) };
  };
}

/** All that scoring, selection and masking ask for. */
function lowerPruning(graph: Graph): readonly Dispatch[] {
  const layout = layOutParameters(graph), tensors = prunableTensors(layout), ranges = joinRanges(tensors);
  const layers = tensors.map((tensor, layer) => ({ tensor, layer }));
  const blocks = ["filter", { rows: 2, channels: 4 }] as const;
  return [
    ...(["matched", "evidence"] as const).flatMap((prior) => lowerPrior(layout, prior, 100)),
    ...lowerConfidence(layout),
    ...criteria.flatMap((criterion) => lowerScores({ layout, graph }, criterion, { examples: 100, seed: 1 })),
    ...lowerSelection(ranges, 10),
    ...lowerCountSelected(layers),
    ...lowerCountBelow(layers, 1),
    ...lowerSparing(layers, 1),
    ...tensors.map((tensor) => lowerNOfM(tensor, { keep: 2, of: 4 })),
    ...lowerRegrowth(layers, { examples: 100, threshold: 1 }),
    ...switches.flatMap((isSquared) => [
      lowerGroupSums(layout.windows[0], 3, isSquared),
      ...blocks.flatMap((granularity) => lowerBlockSums(layOutBlocks(tensors, granularity), isSquared)),
    ]),
    ...blocks.flatMap((granularity) => lowerBlockMasks(layOutBlocks(tensors, granularity))),
    ...lowerMasking(layout, ["values", "mean", "velocity"]),
    ...lowerMaskCounts(layout),
    ...(["values", "statistics", "variance"] as const).flatMap((role) => lowerFiniteCheck(layout, role, 0)),
  ];
}

/** All that refits ask for on a path. */
function lowerRefits(path: ReadPath): readonly Dispatch[] {
  const geometry = {
    name: "layer",
    inChannels: 5,
    inSize: [9, 9],
    outChannels: 7,
    outSize: [9, 9],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
  } as const;
  const layout = systemLayout(64, true), rows = [0, 1, 2];
  const offsets = { denseOffset: 0, valuesOffset: 0, scoresOffset: 0, shiftOffset: 0 };
  const gathered = { label: "lines", inChannels: 5, lines: 9, firstChannel: 1, channels: 3 };
  const sampled = [undefined, coreSubgroupSize].flatMap((subgroupSize) =>
    lowerSolve({ rows, ...layout }, { geometry, ...offsets, scale: 1, shiftScale: 1, path, subgroupSize })
  );
  const cores = usableCores(path, coreSubgroupSize);
  const sums = cores.flatMap((_, n) => {
    const context = { geometry, samples: 256, choose: nthChooser(path, n), path };
    return switches.flatMap((withSkip) => [
      ...lowerShift(context, withSkip),
      ...lowerAccumulation(context, withSkip),
    ]);
  });
  // Positions are drawn of a tensor's lines, and groups take all lines; either may be added to what is there.
  const gathers = switches.flatMap((isSampled) =>
    switches.map((accumulate) => lowerRowGather({ ...gathered, isSampled, accumulate }))
  );
  return [
    ...gathers,
    ...sums,
    ...lowerCovariances(geometry, 256),
    ...lowerSupport(geometry, { damping: 0.01, maskOffset: 0 }),
    ...sampled,
  ];
}

/** Kernels that one place in src/ or bench/ runs with a dispatch of its own, on storage buffers. */
const others = ["mask/compact", "bench/peak_copy", "bench/peak_fma"];

/** The variants that plans can ask for, each once, on devices with subgroups. */
export function askedVariants(): readonly Variant[] {
  const variants = readPaths.flatMap((path) => {
    const maxCores = usableCores(path, coreSubgroupSize).length + 4, choose = defaultChooser(path);
    const dispatches = [
      ...allGraphs.flatMap((graph) => lowerGraph(graph, choose)),
      ...graphs.flatMap((graph) => lowerTrainings(graph, choose)),
      ...Array.from({ length: maxCores }, (_, n) => nthChooser(path, n)).flatMap((choose) =>
        [...graphs, convolutions[0]].flatMap((graph) => lowerGraph(graph, choose))
      ),
      ...lowerPruning(presetNetwork("resnet20", task)),
      ...lowerRefits(path),
    ];
    return dispatches.map((dispatch) => variantOf(dispatch, path));
  });
  const all = [...variants, ...others.map((kernel): Variant => ({ kernel, path: "storage", overrides: {} }))];
  return [...new Map(all.map((variant) => [formatVariant(variant), variant])).values()];
}
