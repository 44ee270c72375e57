/**
 * winnow: training and pruning of neural networks on any GPU through WebGPU.
 *
 * Open a device, define or load a model, load data; train, evaluate, ask for the confidence in every parameter,
 * prune, save: README.md shows all of it. Heavy work happens on the GPU in hand-written WGSL.
 *
 * @example
 * ```ts
 * import { loadDataset, Model, openGpu, seedNetwork } from "./mod.ts";
 *
 * const [folder] = Deno.args; // CIFAR-10's binary files, or MNIST's
 * using gpu = await openGpu();
 * const dataset = await loadDataset({ folder });
 * using model = new Model(gpu, seedNetwork(dataset));
 * await model.train(dataset.train, { epochs: 5, batch: 64, learningRate: 0.02 });
 * const { accuracy } = await model.evaluate(dataset.test);
 * console.log(`${(100 * accuracy).toFixed(1)} % of the test images are right`);
 * ```
 *
 * @module
 */
import "./src/dispose.ts";
import "./src/deno/host.ts";

export * from "./data.ts";
export * from "./run.ts";
export { openGpu } from "./src/api/open_gpu.ts";
export type { OpenGpuOptions } from "./src/api/open_gpu.ts";
export { loadModel, openModel } from "./src/api/load_model.ts";
export type { LoadedModel, ModelSource, SourceTools } from "./src/api/load_model.ts";
export type { ValueNames } from "./src/io/pretrained.ts";
export { Model } from "./src/api/model.ts";
export * from "./src/api/model_options.ts";
export { openDenoBlockReader } from "./src/deno/block_reader.ts";
export * from "./src/errors.ts";
export { denoFiles } from "./src/deno/files.ts";
export { Gpu } from "./src/gpu/device.ts";
export type { AdapterChoice, AdapterDescription, Backend } from "./src/gpu/device.ts";
export type { GpuIdentity } from "./src/gpu/identity.ts";
export type { NamedParameters } from "./src/gpu/network.ts";
export { trustSubgroups } from "./src/gpu/subgroups.ts";
export type { SubgroupOffer, SubgroupProbe, Subgroups } from "./src/gpu/subgroups.ts";
export type { TunerMode } from "./src/gpu/tuner.ts";
export type { Normalization } from "./src/io/recognize.ts";
export type { WeightStore } from "./src/io/model_file.ts";
export type { ReadPath } from "./src/kernels/interface.ts";
export type {
  ProductChoice,
  ProductChooser,
  ProductShape,
  ProductTrialShape,
  ProductTuner,
  TuneOptions,
} from "./src/kernels/product.ts";
export { arenaRef, arenaRoles, inputRef } from "./src/kernels/buffer_ref.ts";
export type { ArenaRole, BufferRef, QuadRange } from "./src/kernels/buffer_ref.ts";
export { dispatchOver } from "./src/kernels/dispatch.ts";
export type { Dispatch, DispatchBody } from "./src/kernels/dispatch.ts";
export { splitRows, sumColumns } from "./src/kernels/reduce.ts";
export type { ColumnSum } from "./src/kernels/reduce.ts";
export { channelwise, getWeightForm, keepZero, weighted } from "./src/model/channels.ts";
export type { WeightForm } from "./src/model/channels.ts";
export { checkGraphFits, madeFor, ownLayers, parseGraph } from "./src/model/graph.ts";
export type { ClassificationTask, Graph, GraphOptions, OutputFunction } from "./src/model/graph.ts";
export type {
  Axes,
  ChannelConstants,
  ChannelLabels,
  FusedNorm,
  FusedPool,
  KeptChannels,
  LayerChannels,
  LayerContext,
  LayerFields,
  LayerInput,
  LayerNumbers,
  LayerShapes,
  LayerType,
  NormForm,
  ParameterRole,
  ParameterSpec,
  PassMode,
  ProductForm,
} from "./src/model/layer.ts";
export { defineLayer } from "./src/model/own_layer.ts";
export type { FieldSchema, LayerDefinition, OwnSpec } from "./src/model/own_layer.ts";
export type { AddSpec } from "./src/model/layers/add.ts";
export type { Batchnorm2dSpec } from "./src/model/layers/batchnorm2d.ts";
export type { ConcatSpec } from "./src/model/layers/concat.ts";
export type { Conv2dSpec } from "./src/model/layers/conv2d.ts";
export type { DropoutSpec } from "./src/model/layers/dropout.ts";
export type { FlattenSpec } from "./src/model/layers/flatten.ts";
export type { GeluSpec } from "./src/model/layers/gelu.ts";
export type { Globalavgpool2dSpec } from "./src/model/layers/globalavgpool2d.ts";
export type { LayerSpec, OwnLayerSpec } from "./src/model/layers/index.ts";
export type { LeakyreluSpec } from "./src/model/layers/leakyrelu.ts";
export type { LinearSpec } from "./src/model/layers/linear.ts";
export type { Pool2dSpec } from "./src/model/layers/pool2d.ts";
export type { PreluSpec } from "./src/model/layers/prelu.ts";
export type { ReluSpec } from "./src/model/layers/relu.ts";
export type { ClipSpec } from "./src/model/layers/clip.ts";
export type { EluSpec } from "./src/model/layers/elu.ts";
export type { HardsigmoidSpec } from "./src/model/layers/hardsigmoid.ts";
export type { MultiplySpec } from "./src/model/layers/multiply.ts";
export type { PlainActivation, PlainActivationSpec } from "./src/model/layers/plain_activations.ts";
export type { ShuffleSpec } from "./src/model/layers/shuffle.ts";
export type { SliceSpec } from "./src/model/layers/slice.ts";
export type { SubsampleSpec } from "./src/model/layers/subsample.ts";
export {
  lenet,
  presetNames,
  presetNetwork,
  resnet110,
  resnet18,
  resnet20,
  resnet32,
  resnet44,
  resnet56,
  seedNetwork,
} from "./src/model/presets.ts";
export type { Preset, SeedWidths } from "./src/model/presets.ts";
export { vgg16 } from "./src/model/presets/vgg.ts";
export type { PresetTask } from "./src/model/presets/task.ts";
export { countRemoved, summarizeModel } from "./src/model/summary.ts";
export type { LayerSummary, ModelSummary } from "./src/model/summary.ts";
export type { Distillation, FeatureMaps } from "./src/plan/distillation.ts";
export type { Footprint } from "./src/plan/footprint.ts";
export type { Augmentation } from "./src/plan/images.ts";
export { adam, sgd } from "./src/plan/optimizer.ts";
export type { AdamSettings, OptimizerSettings, Regularization, SgdSettings } from "./src/plan/optimizer.ts";
export type { CompactOptions } from "./src/prune/compact/compact.ts";
export type { Prior } from "./src/prune/score/confidence.ts";
export { signalToNoiseAt } from "./src/prune/score/confidence.ts";
export type { Measure } from "./src/prune/cost.ts";
export { criteria } from "./src/prune/score/criteria.ts";
export type { Criterion, CriterionName } from "./src/prune/score/criteria.ts";
export type { CriterionNeed } from "./src/prune/score/criterion.ts";
export { defineCriterion } from "./src/prune/score/own_criterion.ts";
export type {
  CriterionDefinition,
  CriterionOptions,
  ExpressionCriterion,
  FunctionCriterion,
  OwnGroupRule,
  ScoredArrays,
  ScoredTensor,
} from "./src/prune/score/own_criterion.ts";
export { removedAt } from "./src/prune/goal.ts";
export type { AfterRemoval } from "./src/prune/recipe.ts";
export type { Cost, CostKind } from "./src/prune/cost.ts";
export type { PruneGoal, PruneSchedule } from "./src/prune/goal.ts";
export type { PruneOutcome, PruneRound } from "./src/prune/loop.ts";
export { coupleChannels } from "./src/prune/groups/coupling.ts";
export type { ChannelGroup, ChannelSlice, Coupling, GroupSet } from "./src/prune/groups/coupling.ts";
export type { LayerCount } from "./src/prune/mask.ts";
export type { FisherEstimate } from "./src/prune/score/accumulate.ts";
export type { BlockShape, Granularity, Pattern, RemovalOptions } from "./src/prune/select/removal.ts";
export type { LayerConfidence } from "./src/prune/score/confidence.ts";
export { refitDefaults } from "./src/prune/refit/settings.ts";
export type { LayerRefitReport, RefitSettings } from "./src/prune/refit/settings.ts";
export { stagesTo } from "./src/prune/refit/prune_with_refit.ts";
export type { RefitStage } from "./src/prune/refit/prune_with_refit.ts";
export { posteriorTemperatures } from "./src/prune/score/temperature.ts";
export type { TemperatureChoice, TemperatureTrial } from "./src/prune/score/temperature.ts";
export type { CallOptions, Progress } from "./src/train/call_options.ts";
export { standardError } from "./src/train/evaluate.ts";
export type { Evaluation } from "./src/train/evaluate.ts";
export { Predictions } from "./src/train/predict.ts";
export type { Prediction } from "./src/train/predict.ts";
export {
  averagedFrom,
  averagedSchedule,
  constantRate,
  constantSchedule,
  cosineRate,
  finetuneSchedule,
  oneCycleRate,
  rewoundTo,
  stepRate,
  stepSchedule,
  warmedUp,
} from "./src/train/schedule.ts";
export type { RecalibrateSettings } from "./src/train/recalibrate.ts";
export type { RateShare, Schedule } from "./src/train/schedule.ts";
export type {
  BestEpoch,
  EarlyStopping,
  EpochResult,
  EpochValidation,
  PhaseResult,
  Recalibration,
  RunProgress,
  TrainCheckpoints,
  TrainProgress,
  TrainResult,
  TrainSettings,
  TrainState,
} from "./src/train/phase.ts";
export { verifyGoldens } from "./src/verify/verify.ts";
export { countQuads, mapShape, quadsPerExample, vectorShape } from "./src/shape.ts";
export type { FeatureShape, Pair } from "./src/shape.ts";
export type { Check, CheckProgress, ModelSources } from "./src/verify/verify.ts";
