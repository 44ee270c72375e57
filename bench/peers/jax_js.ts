/**
 * The seed network in jax-js on its WebGPU backend, compiled by its jit.
 *
 * @module
 */
import {
  drawOneHot,
  drawUniform,
  importPeer,
  initialBound,
  type Peer,
  peerImage,
  type PeerSettings,
  pixelBound,
} from "./peer.ts";

/** Pinned, so that figures stay comparable. */
const packageName = "npm:@jax-js/jax@0.1.25";

/** An array of jax-js: every use takes it over, `ref` keeps it. */
interface JaxArray {
  readonly ref: JaxArray;
  readonly shape: readonly number[];
  add(other: JaxArray): JaxArray;
  sub(other: JaxArray): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** The network's parameters, or their gradients or velocities. */
type Parameters = Record<"w1" | "b1" | "w2" | "b2" | "w3" | "b3" | "w4" | "b4", JaxArray>;

/** A function of parameters and inputs. */
type Step = (
  parameters: Parameters,
  velocities: Parameters,
  x: JaxArray,
  labels: JaxArray,
) => [Parameters, Parameters, JaxArray];

/** The part of jax-js that is used here. */
interface Jax {
  init(device: "webgpu"): Promise<readonly string[]>;
  defaultDevice(device: "webgpu"): string;
  jit<F>(compute: F): F;
  valueAndGrad(
    compute: (parameters: Parameters, x: JaxArray, labels: JaxArray) => JaxArray,
  ): (parameters: Parameters, x: JaxArray, labels: JaxArray) => [JaxArray, Parameters];
  blockUntilReady(arrays: unknown): Promise<unknown>;
  readonly tree: {
    ref(tree: Parameters): Parameters;
    map(compute: (a: JaxArray, b: JaxArray) => JaxArray, a: Parameters, b: Parameters): Parameters;
  };
  readonly numpy: {
    readonly float32: unknown;
    array(values: Float32Array, options: object): JaxArray;
    zeros(shape: readonly number[]): JaxArray;
    max(x: JaxArray, axes: readonly number[]): JaxArray;
    sum(x: JaxArray, axis: number): JaxArray;
    mean(x: JaxArray): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
  };
  readonly lax: {
    convGeneralDilated(x: JaxArray, w: JaxArray, strides: readonly number[], padding: "SAME"): JaxArray;
  };
  readonly nn: { relu(x: JaxArray): JaxArray; logSoftmax(x: JaxArray): JaxArray };
}

/** Shape and fan in of every parameter. */
const parameterShapes = {
  w1: [[32, 3, 3, 3], 27],
  b1: [[32], 27],
  w2: [[64, 32, 3, 3], 288],
  b2: [[64], 288],
  w3: [[4096, 128], 4096],
  b3: [[128], 4096],
  w4: [[128, 10], 128],
  b4: [[10], 128],
} as const;

/** The logits of images (N, 3, 32, 32). */
function makeForward({ numpy, lax, nn }: Jax): (parameters: Parameters, x: JaxArray) => JaxArray {
  const pool = (x: JaxArray) => {
    const [n, c, h, w] = x.shape as [number, number, number, number];
    return numpy.max(x.reshape([n, c, h / 2, 2, w / 2, 2]), [3, 5]);
  };
  const convolve = (x: JaxArray, weight: JaxArray, bias: JaxArray) =>
    nn.relu(lax.convGeneralDilated(x, weight, [1, 1], "SAME").add(bias.reshape([bias.shape[0]!, 1, 1])));
  return ({ w1, b1, w2, b2, w3, b3, w4, b4 }, x) => {
    const pooled = pool(convolve(pool(convolve(x, w1, b1)), w2, b2));
    const flat = pooled.reshape([pooled.shape[0]!, 4096]);
    return numpy.matmul(nn.relu(numpy.matmul(flat, w3).add(b3)), w4).add(b4);
  };
}

/** Opens jax-js on the default WebGPU adapter. */
export async function openJaxJs(settings: PeerSettings): Promise<Peer> {
  const jax = await importPeer<Jax>(packageName);
  await jax.init("webgpu");
  jax.defaultDevice("webgpu");
  const { numpy, nn, tree } = jax;
  const array = (values: Float32Array, shape: readonly number[]) =>
    numpy.array(values, { shape, dtype: numpy.float32 });
  const each = (make: (name: string, shape: readonly number[], fanIn: number) => JaxArray) =>
    Object.fromEntries(
      Object.entries(parameterShapes).map(([name, [shape, fanIn]]) => [name, make(name, shape, fanIn)]),
    ) as Parameters;
  let parameters = each((name, shape, fanIn) =>
    array(drawUniform(shape, initialBound(fanIn), `jax ${name}`), shape)
  );
  let velocities = each((_, shape) => numpy.zeros(shape));
  const forward = makeForward(jax), { learningRate, momentum } = settings;
  const lossOf = (held: Parameters, x: JaxArray, labels: JaxArray) =>
    numpy.mean(numpy.sum(nn.logSoftmax(forward(held, x)).mul(labels), -1)).mul(-1);
  const step = jax.jit<Step>((held, velocity, x, labels) => {
    const [loss, gradients] = jax.valueAndGrad(lossOf)(tree.ref(held), x, labels);
    const moved = tree.map((v, g) => v.mul(momentum).add(g), velocity, gradients);
    return [tree.map((p, v) => p.sub(v.mul(learningRate)), held, tree.ref(moved)), moved, loss];
  });
  const inference = jax.jit(forward);
  const { channels, side, classes } = peerImage;
  const pixels = (count: number) => {
    const shape = [count, channels, side, side];
    return array(drawUniform(shape, pixelBound, "peer pixels"), shape);
  };
  const x = pixels(settings.trainBatch), images = pixels(settings.inferenceBatch);
  const labels = array(drawOneHot(settings.trainBatch), [settings.trainBatch, classes]);
  let loss: JaxArray | undefined;
  const logits: JaxArray[] = [];
  return {
    trainStep() {
      loss?.dispose();
      [parameters, velocities, loss] = step(parameters, velocities, x.ref, labels.ref);
    },
    infer: () => void logits.push(inference(tree.ref(parameters), images.ref)),
    async finish() {
      // Work whose result nobody waits for is left out, so all of it is waited for.
      await jax.blockUntilReady([parameters, velocities, ...(loss ? [loss] : []), ...logits]);
      for (const old of logits.splice(0, logits.length - 1)) old.dispose();
    },
    readLoss: async () => (await loss!.ref.data())[0]!,
    readLogits: async () => await logits[logits.length - 1]!.ref.data(),
  };
}
