/**
 * Steps of training and evaluation as the trainer and the evaluator submit them, on random images.
 *
 * @module
 */
import { DeviceImages } from "../src/gpu/images.ts";
import type { Gpu } from "../src/gpu/device.ts";
import type { PassObserver } from "../src/gpu/executor.ts";
import { Network } from "../src/gpu/network.ts";
import { preparePlan } from "../src/gpu/plan_program.ts";
import { SlotPool } from "../src/gpu/slots.ts";
import { EvaluationCounts, type TallyCount } from "../src/gpu/tally.ts";
import { type Graph, resolveGraph } from "../src/model/graph.ts";
import { presetNetwork, seedNetwork } from "../src/model/presets.ts";
import { lowerPlan } from "../src/plan/lower.ts";
import { type OptimizerSettings, optimizerStep } from "../src/plan/optimizer.ts";
import type { Plan } from "../src/plan/plan.ts";
import { openRandomStream } from "../src/random.ts";
import { countFeatures } from "../src/shape.ts";
import { type Cost, planCosts } from "./cost.ts";
import { finishWork, type Workload } from "./measure.ts";

/** A step that is ready to be submitted again and again. */
export interface Step extends Workload, Disposable {
  readonly plan: Plan;
  /** The least that each dispatch of the plan must do. */
  readonly costs: readonly Cost[];
  /** Submits the step with an observer around each dispatch. */
  observe(observer: PassObserver): void;
  /** The losses and hits counted so far. */
  count(): Promise<TallyCount>;
}

/** What a step computes. */
export interface StepOptions {
  readonly graph: Graph;
  readonly batch: number;
  readonly mode: "train" | "evaluate";
}

/** Stochastic gradient descent with momentum, as the trainer runs it by default. */
export const momentumSgd: OptimizerSettings = { kind: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0 };

/** The learning rate of training steps: labels are random, so it only has to stay finite. */
const learningRate = 0.01;

/** Batches that the random images make. */
const batches = 4;

/** What the networks of the benches classify: images of 3 x 32 x 32 in 10 classes. */
export const task = { channels: 3, height: 32, width: 32, classes: 10 };

/** The network of most benches: the seed network. */
export const benchGraph: Graph = seedNetwork(task);

/** The deeper network of the benches: ResNet-20. */
export const residualGraph: Graph = presetNetwork("resnet20", task);

/** Prepares a step on random images, which lie on the device. */
export async function openStep(gpu: Gpu, { graph, batch, mode }: StepOptions): Promise<Step> {
  using stack = new DisposableStack();
  const { channels, height, width } = graph.input;
  const nodes = resolveGraph(graph), classes = countFeatures(nodes[nodes.length - 1]!.output);
  const count = batches * batch, random = openRandomStream(1, "bench images");
  const split = {
    pixels: Uint8Array.from({ length: count * channels * height * width }, () => random.nextUint32() & 255),
    labels: Uint8Array.from({ length: count }, () => random.nextUint32() % classes),
    count,
  };
  // The statistics of uniform bytes, in units where 255 is 1.
  const mean = new Array<number>(channels).fill(0.5), std = new Array<number>(channels).fill(0.29);
  const network = stack.use(new Network(gpu, graph, 0));
  const slots = stack.use(new SlotPool(gpu));
  const counts = stack.use(new EvaluationCounts(gpu, { classes, examples: count }));
  const images = stack.use(
    new DeviceImages(gpu, split, { dataset: { channels, height, width, mean, std }, batch }),
  );
  const { choose } = gpu, source = { augmentation: "none" } as const;
  const plan = lowerPlan(graph, { batch, mode, choose, images: source, optimizer: momentumSgd });
  const input = (name: string) => counts.input(name) ?? images.input(name);
  const { program } = stack.use(await preparePlan(plan, { network, slots, input }));
  const rows = Array.from(
    { length: batches },
    (_, b) => Uint32Array.from({ length: batch }, (_, i) => b * batch + i),
  );
  let step = 0;
  const run = (observer?: PassObserver) => {
    const index = step % batches;
    images.select(rows[index]!);
    const values = { ...optimizerStep(momentumSgd, { learningRate, step }), count: batch, seed: step };
    program.run({ ...values, index: step, offset: index * batch }, observer);
    step++;
  };
  const owned = stack.move();
  return {
    plan,
    costs: planCosts(plan, { graph, path: gpu.path }),
    submit: () => run(),
    observe: run,
    finish: () => finishWork(gpu),
    count: () => counts.tally.read(),
    [Symbol.dispose]: () => owned.dispose(),
  };
}
