/**
 * Steps of a refit of all layers together (`by: "end-to-end"`), measured: wall and processor time a step, and by kernel.
 *
 *     deno run --allow-read --allow-run=deno bench/refit_steps.ts MODEL.safetensors DATA_FOLDER [OPTIONS_AS_JSON]
 *
 * Options are those of a refit and of `Options` below. Products are not tuned.
 *
 * @module
 */
import process from "node:process";
import type { RefitSettings } from "../src/prune/refit/settings.ts";
import type { DispatchTime } from "../src/gpu/profile.ts";

interface Options extends Partial<RefitSettings> {
  /** Measurements, of two steps each; 7 where left out. */
  readonly rounds?: number;
  /** The folder of another version of winnow, which is measured in turn with this one. */
  readonly against?: string;
}

/** Steps, ready to run. */
interface Steps {
  /** Runs steps to their end. */
  run(count: number): Promise<void>;
  /** Times the dispatches of the student's part of a step. */
  profile(): Promise<readonly DispatchTime[]>;
}

/** Batches of the calibration images. */
const batches = 4;

/** Opens the steps of the version of winnow that lies in a folder. */
async function openSteps(
  root: string,
  { path, folder, settings }: {
    readonly path: string;
    readonly folder: string;
    readonly settings: Partial<RefitSettings>;
  },
): Promise<Steps> {
  const load = (module: string) => import(new URL(module, root).href);
  const { openGpu, loadModel, denoFiles, loadDataset, openModel, takeSplit }: typeof import("../mod.ts") =
    await load("mod.ts");
  const { getCore }: typeof import("../src/api/model_core.ts") = await load("src/api/model_core.ts");
  const { prepareStep }: typeof import("../src/train/step_programs.ts") = await load(
    "src/train/step_programs.ts",
  );
  const { planReconstruction }: typeof import("../src/prune/refit/reconstruct.ts") = await load(
    "src/prune/refit/reconstruct.ts",
  );
  const { fillRefitSettings }: typeof import("../src/prune/refit/settings.ts") = await load(
    "src/prune/refit/settings.ts",
  );
  const { optimizerStep }: typeof import("../src/plan/optimizer.ts") = await load("src/plan/optimizer.ts");
  const { DispatchTimer }: typeof import("../src/gpu/profile.ts") = await load("src/gpu/profile.ts");
  const { SlotPool }: typeof import("../src/gpu/slots.ts") = await load("src/gpu/slots.ts");
  const { Tally }: typeof import("../src/gpu/tally.ts") = await load("src/gpu/tally.ts");
  const dataset = await loadDataset({ folder, files: denoFiles, allowDownload: false, note: () => {} });
  const loaded = await loadModel({ model: path }, { files: denoFiles, task: dataset });
  const gpu = await openGpu({ tune: "off" });
  const core = getCore(openModel(gpu, loaded, { task: dataset })), { choose } = gpu;
  const dense = getCore(openModel(gpu, loaded, { task: dataset })).network;
  const filled = fillRefitSettings({ ...settings, by: "end-to-end" }), { batch } = filled;
  const drawn = takeSplit(dataset.train, batches * batch);
  const { examples } = core.images.open(drawn, { name: "calibration", rows: batch });
  const [phase] = planReconstruction({ network: core.network, dense, examples, choose }, filled);
  const { optimizer } = phase, slots = new SlotPool(gpu), tally = new Tally(gpu);
  const { plain, teacher } = await prepareStep(core.network, examples, { ...phase, slots, tally });
  let index = 0;
  const submit = (timer?: InstanceType<typeof DispatchTimer>) => {
    const rows = Uint32Array.from({ length: batch }, (_, i) => index % batches * batch + i);
    const step = { "mean_weight": 0, count: batch, index, "is_first": 1, seed: index };
    examples.select(rows, plain.bind);
    teacher!.run(rows, index);
    plain.program.run({ ...optimizerStep(optimizer, { learningRate: 1e-6, step: index }), ...step }, timer);
    index++;
  };
  const dispatches = 1000;
  return {
    async run(count) {
      for (let i = 0; i < count; i++) submit();
      await gpu.device.queue.onSubmittedWorkDone();
    },
    async profile() {
      using timer = new DispatchTimer(gpu, dispatches);
      submit(timer);
      await timer.collect();
      return timer.times;
    },
  };
}

/** The median of numbers. */
function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

if (import.meta.main) {
  const [path, folder, text = "{}"] = Deno.args;
  const { rounds = 7, against, ...settings } = JSON.parse(text) as Options;
  const roots = [new URL("../", import.meta.url).href, ...against ? [`file://${against}/`] : []];
  const opened = [];
  for (const root of roots) opened.push(await openSteps(root, { path, folder, settings }));
  // Once per batch, so that all is compiled, and the dense network's outputs are kept where they are.
  for (const steps of opened) await steps.run(batches);
  const measured = opened.map(() => ({ wallMs: [] as number[], processorMs: [] as number[] }));
  const count = 2;
  for (let round = 0; round < rounds; round++) {
    for (const [i, steps] of opened.entries()) {
      const start = performance.now(), before = process.cpuUsage();
      await steps.run(count);
      const { user, system } = process.cpuUsage(before);
      measured[i].wallMs.push((performance.now() - start) / count);
      measured[i].processorMs.push((user + system) / 1000 / count);
    }
  }
  for (const [i, { wallMs, processorMs }] of measured.entries()) {
    const [wall, processor] = [wallMs, processorMs].map((all) => median(all).toFixed(0));
    console.log(
      `${i === 0 ? "this version" : against}: ${processor} ms of processor time a step, ${wall} ms`,
    );
  }
  // The least of several profiles, since other work on the machine adds to any of them.
  const profiles = [];
  for (let i = 0; i < 5; i++) profiles.push(await opened[0].profile());
  const sums = new Map<string, number>();
  for (const [i, { dispatch: { kernel } }] of profiles[0].entries()) {
    const timeMs = Math.min(...profiles.map((times) => times[i].timeMs));
    sums.set(kernel, (sums.get(kernel) ?? 0) + timeMs);
  }
  for (const [kernel, timeMs] of [...sums].toSorted(([, a], [, b]) => b - a).slice(0, 20)) {
    console.log(`${timeMs.toFixed(1).padStart(8)} ms  ${kernel}`);
  }
  Deno.exit(0);
}
