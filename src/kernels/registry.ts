/**
 * Every kernel's WGSL by its stem; the only importer of *.wgsl files.
 *
 * @module
 */
import { KernelError } from "../errors.ts";
import activationBackward from "../../kernels/activation/backward.wgsl" with { type: "text" };
import activationForward from "../../kernels/activation/forward.wgsl" with { type: "text" };
import activationGelu from "../../kernels/activation/gelu.wgsl" with { type: "text" };
import activationGeluTanh from "../../kernels/activation/gelu_tanh.wgsl" with { type: "text" };
import activationLeakyrelu from "../../kernels/activation/leakyrelu.wgsl" with { type: "text" };
import activationSigmoid from "../../kernels/activation/sigmoid.wgsl" with { type: "text" };
import activationSilu from "../../kernels/activation/silu.wgsl" with { type: "text" };
import benchPeakCopy from "../../kernels/bench/peak_copy.wgsl" with { type: "text" };
import benchPeakFma from "../../kernels/bench/peak_fma.wgsl" with { type: "text" };
import dataBatchImages from "../../kernels/data/batch_images.wgsl" with { type: "text" };
import dataMixImages from "../../kernels/data/mix_images.wgsl" with { type: "text" };
import gemmConv2dBackwardInput from "../../kernels/gemm/conv2d_backward_input.wgsl" with { type: "text" };
import gemmConv2dBackwardWeight from "../../kernels/gemm/conv2d_backward_weight.wgsl" with { type: "text" };
import gemmConv2dBackwardWeightPooled from "../../kernels/gemm/conv2d_backward_weight_pooled.wgsl" with {
  type: "text",
};
import gemmConv2dForward from "../../kernels/gemm/conv2d_forward.wgsl" with { type: "text" };
import gemmConv2dForwardPooled from "../../kernels/gemm/conv2d_forward_pooled.wgsl" with { type: "text" };
import gemmGram from "../../kernels/gemm/gram.wgsl" with { type: "text" };
import gemmRegister16x16 from "../../kernels/gemm/register_16x16.wgsl" with { type: "text" };
import gemmRegister16x8 from "../../kernels/gemm/register_16x8.wgsl" with { type: "text" };
import gemmRegister32x4 from "../../kernels/gemm/register_32x4.wgsl" with { type: "text" };
import gemmRegister32x4Strips from "../../kernels/gemm/register_32x4_strips.wgsl" with { type: "text" };
import gemmRegister8x16 from "../../kernels/gemm/register_8x16.wgsl" with { type: "text" };
import gemmRegister8x8 from "../../kernels/gemm/register_8x8.wgsl" with { type: "text" };
import gemmSubgroup16x8 from "../../kernels/gemm/subgroup_16x8.wgsl" with { type: "text" };
import gemmSubgroup32x4 from "../../kernels/gemm/subgroup_32x4.wgsl" with { type: "text" };
import gemmSubgroup4x32 from "../../kernels/gemm/subgroup_4x32.wgsl" with { type: "text" };
import gemmSubgroup4x36 from "../../kernels/gemm/subgroup_4x36.wgsl" with { type: "text" };
import gemmSubgroup64x4 from "../../kernels/gemm/subgroup_64x4.wgsl" with { type: "text" };
import gemmSubgroup8x32 from "../../kernels/gemm/subgroup_8x32.wgsl" with { type: "text" };
import gemmSubgroup8x32Windows from "../../kernels/gemm/subgroup_8x32_windows.wgsl" with { type: "text" };
import gemmSubgroupBroadcast from "../../kernels/gemm/subgroup_broadcast.wgsl" with { type: "text" };
import gemmSubgroupProbe from "../../kernels/gemm/subgroup_probe.wgsl" with { type: "text" };
import gemmTile64x64 from "../../kernels/gemm/tile_64x64.wgsl" with { type: "text" };
import layerAddForward from "../../kernels/layer/add_forward.wgsl" with { type: "text" };
import layerAvgpool2dBackward from "../../kernels/layer/avgpool2d_backward.wgsl" with { type: "text" };
import layerAvgpool2dForward from "../../kernels/layer/avgpool2d_forward.wgsl" with { type: "text" };
import layerBatchnorm2dBackward from "../../kernels/layer/batchnorm2d_backward.wgsl" with { type: "text" };
import layerBatchnorm2dCumulative from "../../kernels/layer/batchnorm2d_cumulative.wgsl" with {
  type: "text",
};
import layerBatchnorm2dForward from "../../kernels/layer/batchnorm2d_forward.wgsl" with { type: "text" };
import layerBatchnorm2dRunning from "../../kernels/layer/batchnorm2d_running.wgsl" with { type: "text" };
import layerConcatForward from "../../kernels/layer/concat_forward.wgsl" with { type: "text" };
import layerDropout from "../../kernels/layer/dropout.wgsl" with { type: "text" };
import layerGroupedConv2dBackwardInput from "../../kernels/layer/grouped_conv2d_backward_input.wgsl" with {
  type: "text",
};
import layerGroupedConv2dBackwardWeight from "../../kernels/layer/grouped_conv2d_backward_weight.wgsl" with {
  type: "text",
};
import layerGroupedConv2dForward from "../../kernels/layer/grouped_conv2d_forward.wgsl" with { type: "text" };
import layerMaxpool2dBackward from "../../kernels/layer/maxpool2d_backward.wgsl" with { type: "text" };
import layerMaxpool2dBackwardDisjoint from "../../kernels/layer/maxpool2d_backward_disjoint.wgsl" with {
  type: "text",
};
import layerMaxpool2dBackwardPlaces from "../../kernels/layer/maxpool2d_backward_places.wgsl" with {
  type: "text",
};
import layerMaxpool2dForward from "../../kernels/layer/maxpool2d_forward.wgsl" with { type: "text" };
import layerReluBackward from "../../kernels/layer/relu_backward.wgsl" with { type: "text" };
import layerReluForward from "../../kernels/layer/relu_forward.wgsl" with { type: "text" };
import layerShiftLanes from "../../kernels/layer/shift_lanes.wgsl" with { type: "text" };
import layerSliceChannels from "../../kernels/layer/slice_channels.wgsl" with { type: "text" };
import layerSubsampleBackward from "../../kernels/layer/subsample_backward.wgsl" with { type: "text" };
import lossConfusion from "../../kernels/loss/confusion.wgsl" with { type: "text" };
import lossDistillation from "../../kernels/loss/distillation.wgsl" with { type: "text" };
import lossFeatureDistances from "../../kernels/loss/feature_distances.wgsl" with { type: "text" };
import lossFeatureGradient from "../../kernels/loss/feature_gradient.wgsl" with { type: "text" };
import lossFeatureLoss from "../../kernels/loss/feature_loss.wgsl" with { type: "text" };
import lossMixedLabels from "../../kernels/loss/mixed_labels.wgsl" with { type: "text" };
import lossSampleLabels from "../../kernels/loss/sample_labels.wgsl" with { type: "text" };
import lossSoftmaxCrossEntropy from "../../kernels/loss/softmax_cross_entropy.wgsl" with { type: "text" };
import lossTally from "../../kernels/loss/tally.wgsl" with { type: "text" };
import maskApply from "../../kernels/mask/apply.wgsl" with { type: "text" };
import maskBlocks from "../../kernels/mask/blocks.wgsl" with { type: "text" };
import maskCompact from "../../kernels/mask/compact.wgsl" with { type: "text" };
import maskCount from "../../kernels/mask/count.wgsl" with { type: "text" };
import maskThreshold from "../../kernels/mask/threshold.wgsl" with { type: "text" };
import optimizerAccumulateGradients from "../../kernels/optimizer/accumulate_gradients.wgsl" with {
  type: "text",
};
import optimizerAdam from "../../kernels/optimizer/adam.wgsl" with { type: "text" };
import optimizerClipNorm from "../../kernels/optimizer/clip_norm.wgsl" with { type: "text" };
import optimizerRunningMean from "../../kernels/optimizer/running_mean.wgsl" with { type: "text" };
import optimizerRunningVariance from "../../kernels/optimizer/running_variance.wgsl" with { type: "text" };
import optimizerSgd from "../../kernels/optimizer/sgd.wgsl" with { type: "text" };
import optimizerStepGradient from "../../kernels/optimizer/step_gradient.wgsl" with { type: "text" };
import randomMixBits from "../../kernels/random/mix_bits.wgsl" with { type: "text" };
import reduceBatchnorm2dBackward from "../../kernels/reduce/batchnorm2d_backward.wgsl" with { type: "text" };
import reduceBiasBackward from "../../kernels/reduce/bias_backward.wgsl" with { type: "text" };
import reduceBiasBackwardPooled from "../../kernels/reduce/bias_backward_pooled.wgsl" with { type: "text" };
import reduceChunks from "../../kernels/reduce/chunks.wgsl" with { type: "text" };
import reduceColumns from "../../kernels/reduce/columns.wgsl" with { type: "text" };
import reduceGradientNorm from "../../kernels/reduce/gradient_norm.wgsl" with { type: "text" };
import reduceMergeMoments from "../../kernels/reduce/merge_moments.wgsl" with { type: "text" };
import reduceMoments from "../../kernels/reduce/moments.wgsl" with { type: "text" };
import reduceSplits from "../../kernels/reduce/splits.wgsl" with { type: "text" };
import refitBackSubstitute from "../../kernels/refit/back_substitute.wgsl" with { type: "text" };
import refitCovariance from "../../kernels/refit/covariance.wgsl" with { type: "text" };
import refitDamping from "../../kernels/refit/damping.wgsl" with { type: "text" };
import refitFactorDiagonal from "../../kernels/refit/factor_diagonal.wgsl" with { type: "text" };
import refitFactorPanel from "../../kernels/refit/factor_panel.wgsl" with { type: "text" };
import refitFactorPanelSubgroup from "../../kernels/refit/factor_panel_subgroup.wgsl" with { type: "text" };
import refitGatherLines from "../../kernels/refit/gather_lines.wgsl" with { type: "text" };
import refitGatherPatches from "../../kernels/refit/gather_patches.wgsl" with { type: "text" };
import refitGatherRightSides from "../../kernels/refit/gather_right_sides.wgsl" with { type: "text" };
import refitGatherSystems from "../../kernels/refit/gather_systems.wgsl" with { type: "text" };
import refitGatherTargets from "../../kernels/refit/gather_targets.wgsl" with { type: "text" };
import refitPacked from "../../kernels/refit/packed.wgsl" with { type: "text" };
import refitPanel from "../../kernels/refit/panel.wgsl" with { type: "text" };
import refitScatter from "../../kernels/refit/scatter.wgsl" with { type: "text" };
import refitShift from "../../kernels/refit/shift.wgsl" with { type: "text" };
import refitSignalToNoise from "../../kernels/refit/signal_to_noise.wgsl" with { type: "text" };
import refitSupport from "../../kernels/refit/support.wgsl" with { type: "text" };
import refitSystems from "../../kernels/refit/systems.wgsl" with { type: "text" };
import scoreAccumulate from "../../kernels/score/accumulate.wgsl" with { type: "text" };
import scoreConfidence from "../../kernels/score/confidence.wgsl" with { type: "text" };
import scoreErf from "../../kernels/score/erf.wgsl" with { type: "text" };
import scoreErrorFunction from "../../kernels/score/error_function.wgsl" with { type: "text" };
import scoreGradient from "../../kernels/score/gradient.wgsl" with { type: "text" };
import scoreGroupSums from "../../kernels/score/group_sums.wgsl" with { type: "text" };
import scoreHistogram from "../../kernels/score/histogram.wgsl" with { type: "text" };
import scoreLamp from "../../kernels/score/lamp.wgsl" with { type: "text" };
import scoreLargerSums from "../../kernels/score/larger_sums.wgsl" with { type: "text" };
import scoreMagnitude from "../../kernels/score/magnitude.wgsl" with { type: "text" };
import scoreObd from "../../kernels/score/obd.wgsl" with { type: "text" };
import scorePriorSums from "../../kernels/score/prior_sums.wgsl" with { type: "text" };
import scorePriorUpdate from "../../kernels/score/prior_update.wgsl" with { type: "text" };
import scoreRandom from "../../kernels/score/random.wgsl" with { type: "text" };
import scoreRowDistances from "../../kernels/score/row_distances.wgsl" with { type: "text" };
import scoreRowNorms from "../../kernels/score/row_norms.wgsl" with { type: "text" };
import scoreRowScales from "../../kernels/score/row_scales.wgsl" with { type: "text" };
import scoreRowTotals from "../../kernels/score/row_totals.wgsl" with { type: "text" };
import scoreRows from "../../kernels/score/rows.wgsl" with { type: "text" };
import scoreScore from "../../kernels/score/score.wgsl" with { type: "text" };
import scoreSnr from "../../kernels/score/snr.wgsl" with { type: "text" };
import scoreSortBlocks from "../../kernels/score/sort_blocks.wgsl" with { type: "text" };
import scoreSortStep from "../../kernels/score/sort_step.wgsl" with { type: "text" };
import scoreSquareSums from "../../kernels/score/square_sums.wgsl" with { type: "text" };
import scoreTaylor from "../../kernels/score/taylor.wgsl" with { type: "text" };
import selectBlockSums from "../../kernels/select/block_sums.wgsl" with { type: "text" };
import selectCountBelow from "../../kernels/select/count_below.wgsl" with { type: "text" };
import selectCountSelected from "../../kernels/select/count_selected.wgsl" with { type: "text" };
import selectHistogram from "../../kernels/select/histogram.wgsl" with { type: "text" };
import selectIsSelected from "../../kernels/select/is_selected.wgsl" with { type: "text" };
import selectNOfM from "../../kernels/select/n_of_m.wgsl" with { type: "text" };
import selectPick from "../../kernels/select/pick.wgsl" with { type: "text" };
import selectRankKeys from "../../kernels/select/rank_keys.wgsl" with { type: "text" };
import selectRegrow from "../../kernels/select/regrow.wgsl" with { type: "text" };
import winogradBackwardInput from "../../kernels/winograd/backward_input.wgsl" with { type: "text" };
import winogradBackwardWeight from "../../kernels/winograd/backward_weight.wgsl" with { type: "text" };
import winogradForward from "../../kernels/winograd/forward.wgsl" with { type: "text" };
import winogradForwardPooled from "../../kernels/winograd/forward_pooled.wgsl" with { type: "text" };
import winogradProduct from "../../kernels/winograd/product.wgsl" with { type: "text" };
import winogradSums from "../../kernels/winograd/sums.wgsl" with { type: "text" };
import winogradTiles from "../../kernels/winograd/tiles.wgsl" with { type: "text" };
import winogradWeight from "../../kernels/winograd/weight.wgsl" with { type: "text" };

const sources: Readonly<Record<string, string>> = {
  "activation/backward": activationBackward,
  "activation/forward": activationForward,
  "activation/gelu": activationGelu,
  "activation/gelu_tanh": activationGeluTanh,
  "activation/leakyrelu": activationLeakyrelu,
  "activation/sigmoid": activationSigmoid,
  "activation/silu": activationSilu,
  "bench/peak_copy": benchPeakCopy,
  "bench/peak_fma": benchPeakFma,
  "data/batch_images": dataBatchImages,
  "data/mix_images": dataMixImages,
  "gemm/conv2d_backward_input": gemmConv2dBackwardInput,
  "gemm/conv2d_backward_weight": gemmConv2dBackwardWeight,
  "gemm/conv2d_backward_weight_pooled": gemmConv2dBackwardWeightPooled,
  "gemm/conv2d_forward": gemmConv2dForward,
  "gemm/conv2d_forward_pooled": gemmConv2dForwardPooled,
  "gemm/gram": gemmGram,
  "gemm/register_16x16": gemmRegister16x16,
  "gemm/register_16x8": gemmRegister16x8,
  "gemm/register_32x4": gemmRegister32x4,
  "gemm/register_32x4_strips": gemmRegister32x4Strips,
  "gemm/register_8x16": gemmRegister8x16,
  "gemm/register_8x8": gemmRegister8x8,
  "gemm/subgroup_16x8": gemmSubgroup16x8,
  "gemm/subgroup_32x4": gemmSubgroup32x4,
  "gemm/subgroup_4x32": gemmSubgroup4x32,
  "gemm/subgroup_4x36": gemmSubgroup4x36,
  "gemm/subgroup_64x4": gemmSubgroup64x4,
  "gemm/subgroup_8x32": gemmSubgroup8x32,
  "gemm/subgroup_8x32_windows": gemmSubgroup8x32Windows,
  "gemm/subgroup_broadcast": gemmSubgroupBroadcast,
  "gemm/subgroup_probe": gemmSubgroupProbe,
  "gemm/tile_64x64": gemmTile64x64,
  "layer/add_forward": layerAddForward,
  "layer/avgpool2d_backward": layerAvgpool2dBackward,
  "layer/avgpool2d_forward": layerAvgpool2dForward,
  "layer/batchnorm2d_backward": layerBatchnorm2dBackward,
  "layer/batchnorm2d_cumulative": layerBatchnorm2dCumulative,
  "layer/batchnorm2d_forward": layerBatchnorm2dForward,
  "layer/batchnorm2d_running": layerBatchnorm2dRunning,
  "layer/concat_forward": layerConcatForward,
  "layer/dropout": layerDropout,
  "layer/grouped_conv2d_backward_input": layerGroupedConv2dBackwardInput,
  "layer/grouped_conv2d_backward_weight": layerGroupedConv2dBackwardWeight,
  "layer/grouped_conv2d_forward": layerGroupedConv2dForward,
  "layer/maxpool2d_backward": layerMaxpool2dBackward,
  "layer/maxpool2d_backward_disjoint": layerMaxpool2dBackwardDisjoint,
  "layer/maxpool2d_backward_places": layerMaxpool2dBackwardPlaces,
  "layer/maxpool2d_forward": layerMaxpool2dForward,
  "layer/relu_backward": layerReluBackward,
  "layer/relu_forward": layerReluForward,
  "layer/shift_lanes": layerShiftLanes,
  "layer/slice_channels": layerSliceChannels,
  "layer/subsample_backward": layerSubsampleBackward,
  "loss/confusion": lossConfusion,
  "loss/distillation": lossDistillation,
  "loss/feature_distances": lossFeatureDistances,
  "loss/feature_gradient": lossFeatureGradient,
  "loss/feature_loss": lossFeatureLoss,
  "loss/mixed_labels": lossMixedLabels,
  "loss/sample_labels": lossSampleLabels,
  "loss/softmax_cross_entropy": lossSoftmaxCrossEntropy,
  "loss/tally": lossTally,
  "mask/apply": maskApply,
  "mask/blocks": maskBlocks,
  "mask/compact": maskCompact,
  "mask/count": maskCount,
  "mask/threshold": maskThreshold,
  "optimizer/accumulate_gradients": optimizerAccumulateGradients,
  "optimizer/adam": optimizerAdam,
  "optimizer/clip_norm": optimizerClipNorm,
  "optimizer/running_mean": optimizerRunningMean,
  "optimizer/running_variance": optimizerRunningVariance,
  "optimizer/sgd": optimizerSgd,
  "optimizer/step_gradient": optimizerStepGradient,
  "random/mix_bits": randomMixBits,
  "reduce/batchnorm2d_backward": reduceBatchnorm2dBackward,
  "reduce/bias_backward": reduceBiasBackward,
  "reduce/bias_backward_pooled": reduceBiasBackwardPooled,
  "reduce/chunks": reduceChunks,
  "reduce/columns": reduceColumns,
  "reduce/gradient_norm": reduceGradientNorm,
  "reduce/merge_moments": reduceMergeMoments,
  "reduce/moments": reduceMoments,
  "reduce/splits": reduceSplits,
  "refit/back_substitute": refitBackSubstitute,
  "refit/covariance": refitCovariance,
  "refit/damping": refitDamping,
  "refit/factor_diagonal": refitFactorDiagonal,
  "refit/factor_panel": refitFactorPanel,
  "refit/factor_panel_subgroup": refitFactorPanelSubgroup,
  "refit/gather_lines": refitGatherLines,
  "refit/gather_patches": refitGatherPatches,
  "refit/gather_right_sides": refitGatherRightSides,
  "refit/gather_systems": refitGatherSystems,
  "refit/gather_targets": refitGatherTargets,
  "refit/packed": refitPacked,
  "refit/panel": refitPanel,
  "refit/scatter": refitScatter,
  "refit/shift": refitShift,
  "refit/signal_to_noise": refitSignalToNoise,
  "refit/support": refitSupport,
  "refit/systems": refitSystems,
  "score/accumulate": scoreAccumulate,
  "score/confidence": scoreConfidence,
  "score/erf": scoreErf,
  "score/error_function": scoreErrorFunction,
  "score/gradient": scoreGradient,
  "score/group_sums": scoreGroupSums,
  "score/histogram": scoreHistogram,
  "score/lamp": scoreLamp,
  "score/larger_sums": scoreLargerSums,
  "score/magnitude": scoreMagnitude,
  "score/obd": scoreObd,
  "score/prior_sums": scorePriorSums,
  "score/prior_update": scorePriorUpdate,
  "score/random": scoreRandom,
  "score/row_distances": scoreRowDistances,
  "score/row_norms": scoreRowNorms,
  "score/row_scales": scoreRowScales,
  "score/row_totals": scoreRowTotals,
  "score/rows": scoreRows,
  "score/score": scoreScore,
  "score/snr": scoreSnr,
  "score/sort_blocks": scoreSortBlocks,
  "score/sort_step": scoreSortStep,
  "score/square_sums": scoreSquareSums,
  "score/taylor": scoreTaylor,
  "select/block_sums": selectBlockSums,
  "select/count_below": selectCountBelow,
  "select/count_selected": selectCountSelected,
  "select/histogram": selectHistogram,
  "select/is_selected": selectIsSelected,
  "select/n_of_m": selectNOfM,
  "select/pick": selectPick,
  "select/rank_keys": selectRankKeys,
  "select/regrow": selectRegrow,
  "winograd/backward_input": winogradBackwardInput,
  "winograd/backward_weight": winogradBackwardWeight,
  "winograd/forward": winogradForward,
  "winograd/forward_pooled": winogradForwardPooled,
  "winograd/product": winogradProduct,
  "winograd/sums": winogradSums,
  "winograd/tiles": winogradTiles,
  "winograd/weight": winogradWeight,
};

/** The stems of all kernels, such as `gemm/conv2d_forward`. */
export const kernelNames: readonly string[] = Object.keys(sources);

/** A line of WGSL that stands for another file of kernels/, such as `// include gemm/subgroup_broadcast`. */
const includeLine = /^\/\/ include (\S+)$/gm;

/**
 * Returns a kernel's WGSL, with the files that it includes in place of the lines that name them.
 *
 * @throws {KernelError} Where no kernel has that stem, or an included one is not there.
 */
export function kernelSource(stem: string): string {
  if (!Object.hasOwn(sources, stem)) {
    const wanted = "one of the files in kernels/";
    throw new KernelError({ act: "find kernel", thing: stem, current: "no such file", wanted });
  }
  return sources[stem].replace(includeLine, (_, included: string) => kernelSource(included));
}
