/**
 * Tests on an open device whether its subgroups compute correct results.
 *
 * @module
 */
import { inputRef } from "../kernels/buffer_ref.ts";
import { productSplits } from "../kernels/gemm.ts";
import { forwardShape } from "../model/convolution.ts";
import type { Gpu } from "./device.ts";
import { runOnce } from "./run_once.ts";
import { coreSubgroupSize } from "./subgroups.ts";
import { openTrial } from "./tuner_trial.ts";

/** The tested cores: one whose lanes share columns, and one whose lanes share rows. More would take longer. */
const triedCores = ["gemm/software/subgroup_4x32", "gemm/software/subgroup_32x4"];

/** Workgroups and steps of the probe kernel. */
const probeGroups = 4, probeSteps = 5;

/**
 * Tests subgroups on a device that was opened with them: the builtins and broadcasts, and whether cores with
 * subgroups agree with a core without.
 *
 * @returns The subgroup's size; undefined if a test fails.
 */
export async function measureSubgroups(gpu: Gpu): Promise<number | undefined> {
  if (!gpu.subgroups || !await broadcastsAgree(gpu)) return undefined;
  // Edges in rows, columns and quads of the sum; more than one workgroup.
  const shape = forwardShape({
    images: 2,
    inQuads: 3,
    inHeight: 7,
    inWidth: 6,
    outChannels: 70,
    outHeight: 7,
    outWidth: 6,
    kernelHeight: 3,
    kernelWidth: 3,
    stride: 1,
    padding: 1,
  });
  using trial = openTrial(gpu, shape);
  const plain = "gemm/software/register_8x8";
  const wanted = await trial.result({ core: plain, splits: productSplits(shape, plain, 1) });
  for (const core of triedCores) {
    const result = await trial.result({ core, splits: 1 });
    if (!result.every((value, i) => value === wanted[i])) return undefined;
  }
  return coreSubgroupSize;
}

/** Runs gemm/software/subgroup_probe and checks the values of every invocation. */
async function broadcastsAgree(gpu: Gpu): Promise<boolean> {
  const lanes = coreSubgroupSize, words = lanes + 2;
  const { integers } = await runOnce(gpu, {
    dispatches: [{
      kernel: "gemm/software/subgroup_probe",
      label: "subgroup probe",
      bindings: { seen: inputRef("seen") },
      params: { steps: probeSteps },
      constants: {},
      workgroups: [probeGroups, 1, 1],
    }],
    buffers: { seen: probeGroups * lanes * words },
  });
  const stepSum = probeSteps * (probeSteps + 1) / 2;
  return integers("seen").slice(0, probeGroups * lanes * words).every((value, i) => {
    const invocation = Math.floor(i / words), word = i % words;
    const group = Math.floor(invocation / lanes), lane = invocation % lanes;
    if (word === 0) return value === lanes;
    if (word === 1) return value === lane;
    return value === (lanes * group + word - 1) * stepSum;
  });
}
