/** Holds the model of GPUs to its rules: what it counts in a plan, and which limit binds. */
import assert from "node:assert/strict";
import { layerCosts } from "../bench/cost.ts";
import { type DispatchWork, knowsLoops, readWork } from "../bench/dispatch_work.ts";
import { gpuDevices, gpuNames } from "../bench/gpu_devices.ts";
import { formatModelledStep, lowerGpuStep, modelDispatch, modelStep } from "../bench/model_gpu.ts";
import { residualGraph } from "../bench/steps.ts";
import { isProductKernel } from "../src/kernels/dispatch.ts";
import { presetNames } from "../src/model/presets.ts";

const gpu = gpuDevices.h200;

/** A dispatch that does next to nothing. */
const little: DispatchWork = {
  workgroups: 1,
  lanes: 64,
  turns: 1,
  barriers: 0,
  instructions: 10,
  multiplyAdds: 0,
  bytes: 64,
  loadedBytes: 64,
  registers: 32,
  workgroupBytes: 0,
};

Deno.test("modelDispatch() names what binds, and adds the gap", () => {
  const empty = modelDispatch(little, gpu);
  assert.equal(empty.limit, "dispatch");
  assert(Math.abs(empty.timeUs - gpu.gapUs - (gpu.latency + 10) / gpu.ghz / 1000) < 1e-9);
  // A lane that waits 362 times.
  const chain = modelDispatch({ ...little, turns: 362 }, gpu);
  assert.equal(chain.limit, "latency");
  assert(chain.timeUs > 362 * gpu.latency / gpu.ghz / 1000);
  // 100 MB do not fit in the cache, 10 MB do.
  for (const [bytes, rate] of [[100e6, gpu.memoryGBs], [40e6, gpu.cacheGBs]] as const) {
    const streamed = modelDispatch({ ...little, workgroups: 4096, bytes, loadedBytes: bytes }, gpu);
    assert.equal(streamed.limit, "bandwidth");
    assert(Math.abs(streamed.timeUs - gpu.gapUs - bytes / rate / 1000) < 1e-9);
    assert(streamed.leastUs < streamed.timeUs);
  }
  const product = modelDispatch(
    { ...little, workgroups: 132 * 64, instructions: 1e4, multiplyAdds: 1e9 },
    gpu,
  );
  assert.equal(product.limit, "arithmetic");
  // 64 workgroups of 64 lanes on each unit, at 128 lanes a cycle.
  assert(Math.abs(product.timeUs - gpu.gapUs - 64 * 64 * 1e4 / 128 / gpu.ghz / 1000) < 1e-6);
});

Deno.test("modelDispatch() runs workgroups in rounds if registers or workgroup memory let few in", () => {
  const many = { ...little, workgroups: 132 * 32, turns: 100 };
  const free = modelDispatch(many, gpu).timeUs - gpu.gapUs;
  for (const tight of [{ registers: 128 }, { workgroupBytes: 28 * 1024 }]) {
    // 8 of 32 fit at once: four rounds.
    const time = modelDispatch({ ...many, ...tight }, gpu).timeUs - gpu.gapUs;
    assert(Math.abs(time / free - 4) < 0.01, JSON.stringify(tight));
  }
});

Deno.test("readWork() counts the multiply-adds of every layer's passes", () => {
  const batch = 4, plan = lowerGpuStep("resnet20", batch);
  const costs = layerCosts(residualGraph, batch);
  const sums = new Map<string, number>();
  for (const dispatch of plan.dispatches.filter(({ kernel }) => isProductKernel(kernel))) {
    const [pass] = /(forward|backward weight)$/.exec(dispatch.label) ?? [];
    if (!pass) continue;
    const layer = dispatch.label.slice(0, -pass.length - 1);
    sums.set(dispatch.label, readWork(dispatch, plan).multiplyAdds / (costs.get(layer)!.flops / 2));
  }
  assert.equal(sums.size, 40);
  for (const [label, share] of sums) {
    // Quads of three channels are filled up to four; so are the filters' columns of the first layer.
    const padded = label.startsWith("conv1 ") ? 4 / 3 : 1;
    assert(share >= 0.99 && share <= 1.01 * padded, `${label}: ${share}`);
  }
});

Deno.test("the loops of every kernel of the presets' training steps are known", () => {
  const kernels = new Set<string>();
  for (const name of presetNames) {
    for (const { kernel } of lowerGpuStep(name, 4).dispatches) kernels.add(kernel);
  }
  assert(kernels.size > 20);
  assert.deepEqual([...kernels].filter((kernel) => !knowsLoops(kernel)), []);
  assert(!knowsLoops("mask/count"), "a kernel that loops, without an entry");
});

Deno.test("modelStep() sums a step by kernel for each GPU, and the table shows it", () => {
  for (const name of gpuNames) {
    const step = modelStep(name, { network: "seed", batch: 8 });
    const sum = step.kernels.reduce((total, { timeUs }) => total + timeUs, 0);
    assert(Math.abs(sum - step.timeUs) < 1e-6 * sum);
    assert.equal(step.kernels.reduce((total, { calls }) => total + calls, 0), step.dispatches);
    assert(step.timeUs > step.gapsUs && step.timeUs > step.arithmeticUs);
    for (const { timeUs, leastUs } of step.kernels) assert(leastUs >= 0 && leastUs <= timeUs);
    const text = formatModelledStep(step);
    assert.match(text, /optimizer\/sgd/);
    assert.match(text, /a model, no measurement/);
  }
});
