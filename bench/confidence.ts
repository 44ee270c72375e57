/**
 * Confidence z, exact threshold and mask of many parameters, as the pruner computes them.
 *
 * @module
 */
import { bindBuffers } from "../src/gpu/bind.ts";
import type { DeviceBuffer } from "../src/gpu/buffer.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { ShapeError } from "../src/errors.ts";
import { Program } from "../src/gpu/executor.ts";
import { readFloats } from "../src/gpu/readback.ts";
import type { Dispatch } from "../src/kernels/dispatch.ts";
import { maxBindingQuads } from "../src/gpu/network.ts";
import { type Graph, imagesName } from "../src/model/graph.ts";
import { layOutParameters } from "../src/plan/layout.ts";
import { lowerScores, prunableTensors } from "../src/prune/score/criteria.ts";
import { digitCounts, joinRanges, lowerSelection, selectState } from "../src/prune/select/select.ts";
import { openRandomStream } from "../src/random.ts";
import { type Cost, elementwiseCost } from "./cost.ts";
import { finishWork, type Workload } from "./measure.ts";

/** Scoring and selection, ready to be submitted again and again. */
export interface ConfidenceWorkload extends Workload, Disposable {
  readonly parameters: number;
  readonly costs: readonly Cost[];
  /** Parameters that the last repetition kept. */
  countKept(): Promise<number>;
}

/** Examples whose information the confidence counts; any number does. */
const examples = 1000;

/** Features of a row: the parameters are the weights of linear layers without bias. */
const rowFeatures = 1000;

/** As few linear layers side by side as have so many rows in all, each no larger than what kernels bind at once. */
function makeGraph(rows: number, bindingQuads: number): Graph {
  const maxRows = Math.floor(bindingQuads / (rowFeatures / 4)), count = Math.ceil(rows / maxRows);
  const layers = Array.from({ length: count }, (_, i) => ({
    kind: "linear" as const,
    name: `fc${i}`,
    inputs: [imagesName],
    outFeatures: Math.floor(rows * (i + 1) / count) - Math.floor(rows * i / count),
    bias: false,
  }));
  const outputs = { kind: "concat" as const, name: "outputs", inputs: layers.map(({ name }) => name) };
  return {
    name: "confidence bench",
    input: { channels: rowFeatures, height: 1, width: 1 },
    layers: count === 1 ? layers : [...layers, outputs],
  };
}

/** Numbers that are drawn and written together, which bounds the host's memory. */
const chunkNumbers = 2 ** 20;

/** Fills a buffer with random numbers in (-1, 1), or in [0, 1) where they may not be negative. */
function fillRandom(buffer: DeviceBuffer, numbers: number, isSigned: boolean): void {
  const random = openRandomStream(1, buffer.label);
  for (let first = 0; first < numbers; first += chunkNumbers) {
    const length = Math.min(chunkNumbers, numbers - first);
    const draw = () => isSigned ? 2 * random.nextUniform() - 1 : random.nextUniform();
    buffer.write(Float32Array.from({ length }, draw), 4 * first);
  }
}

/** Allocates buffers by name, all or none. */
async function allocate(
  gpu: Gpu,
  words: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, DeviceBuffer>> {
  const buffers = new Map<string, DeviceBuffer>();
  const release = () => buffers.forEach((buffer) => buffer[Symbol.dispose]());
  gpu.device.pushErrorScope("out-of-memory");
  try {
    for (const [name, count] of words) buffers.set(name, gpu.createBuffer(name, 4 * count, true));
  } catch (error) {
    await gpu.device.popErrorScope();
    release();
    throw error;
  }
  if (await gpu.device.popErrorScope()) {
    release();
    const current = "the adapter is out of memory";
    const bytes = 4 * [...words.values()].reduce((sum, count) => sum + count, 0);
    throw new ShapeError({ act: "allocate", thing: "parameters", current, wanted: `${bytes} bytes free` });
  }
  return buffers;
}

/**
 * Prepares confidence z, the exact threshold of the lower half, and the mask. The prior precision is given. Before
 * each repetition the full mask is copied back and the selection's state written, which is part of its time.
 *
 * @param parameters A multiple of 1,000.
 * @throws {ShapeError} Where the adapter has no room for so many parameters.
 */
export async function openConfidence(gpu: Gpu, parameters: number): Promise<ConfidenceWorkload> {
  const bindingQuads = maxBindingQuads(gpu), graph = makeGraph(parameters / rowFeatures, bindingQuads);
  const layout = layOutParameters(graph, bindingQuads), tensors = prunableTensors(layout);
  const { quads } = layout, numbers = 4 * quads, remove = Math.floor(parameters / 2);
  const words = new Map([
    ...["mean", "fisher", "scores", "mask", "full mask"].map((name) => [name, numbers] as const),
    ["prior_precision", tensors.length],
    ["select_state", 4],
    ["digit_counts", digitCounts],
  ]);
  const buffers = await allocate(gpu, words);
  const buffer = (name: string) => buffers.get(name)!;
  fillRandom(buffer("mean"), numbers, true);
  fillRandom(buffer("fisher"), numbers, false);
  const ones = new Float32Array(chunkNumbers).fill(1);
  for (const tensor of tensors) {
    const end = 4 * (tensor.first + tensor.quads);
    for (let first = 4 * tensor.first; first < end; first += chunkNumbers) {
      buffer("full mask").write(ones.subarray(0, end - first), 4 * first);
    }
  }
  buffer("prior_precision").write(new Float32Array(tensors.length).fill(10));
  const bind = bindBuffers("bench", { network: { arena: buffer }, input: buffer });
  const dispatches = [
    ...lowerScores({ layout, graph }, "confidence", { examples, seed: 0 }),
    ...lowerSelection(joinRanges(tensors), remove),
  ];
  const program = await Program.create(gpu, dispatches, { bind });
  return {
    parameters,
    costs: dispatches.filter(isNeeded).map((dispatch) =>
      elementwiseCost(dispatch, { path: gpu.path, quadsOf: () => undefined })
    ),
    submit() {
      const encoder = gpu.device.createCommandEncoder({ label: "reset mask" });
      encoder.copyBufferToBuffer(buffer("full mask").buffer, 0, buffer("mask").buffer, 0, 4 * numbers);
      gpu.device.queue.submit([encoder.finish()]);
      buffer("mask").version++;
      buffer("select_state").write(selectState(remove));
      program.run();
    },
    finish: () => finishWork(gpu),
    async countKept() {
      return (await readFloats(gpu, buffer("mask"))).reduce((sum, keep) => sum + keep, 0);
    },
    [Symbol.dispose]() {
      program[Symbol.dispose]();
      buffers.forEach((held) => held[Symbol.dispose]());
    },
  };
}

/** False for the passes over places, which end at once where no two scores at the threshold are equal. */
function isNeeded({ constants }: Dispatch): boolean {
  return constants.BY_PLACE !== 1;
}
