/**
 * The seed network in TensorFlow.js on its WebGPU backend, with its fused operations.
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
const packages = ["npm:@tensorflow/tfjs@4.22.0", "npm:@tensorflow/tfjs-backend-webgpu@4.22.0"] as const;

interface Tensor {
  dispose(): void;
  data(): Promise<Float32Array>;
}

/** What of the WebGPU backend flushes its commands. */
interface Backend {
  readonly device: GPUDevice;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** The part of TensorFlow.js that is used here. */
interface TensorFlow {
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  backend(): Backend;
  tensor(values: Float32Array, shape: readonly number[]): Tensor;
  variable(initial: Tensor): Tensor;
  tidy(compute: () => Tensor): Tensor;
  maxPool(x: Tensor, size: number, strides: number, pad: "valid"): Tensor;
  reshape(x: Tensor, shape: readonly number[]): Tensor;
  readonly fused: {
    conv2d(options: object): Tensor;
    matMul(options: object): Tensor;
  };
  readonly losses: { softmaxCrossEntropy(labels: Tensor, logits: Tensor): Tensor };
  readonly train: {
    momentum(learningRate: number, momentum: number): {
      minimize(loss: () => Tensor, returnCost: true): Tensor;
    };
  };
}

/** Opens TensorFlow.js on the default WebGPU adapter; its images lie NHWC, as it likes them best. */
export async function openTfjs(settings: PeerSettings): Promise<Peer> {
  const [tf] = await Promise.all([importPeer<TensorFlow>(packages[0]), importPeer<unknown>(packages[1])]);
  await tf.setBackend("webgpu");
  await tf.ready();
  const draw = (shape: readonly number[], bound: number, purpose: string) =>
    tf.tensor(drawUniform(shape, bound, purpose), shape);
  const variable = (shape: readonly number[], fanIn: number, purpose: string) =>
    tf.variable(draw(shape, initialBound(fanIn), purpose));
  const { channels, side, classes } = peerImage;
  const layer = (name: string, shape: readonly number[], fanIn: number) => ({
    weight: variable(shape, fanIn, `${name} weight`),
    bias: variable([shape[shape.length - 1]!], fanIn, `${name} bias`),
  });
  const conv1 = layer("conv1", [3, 3, channels, 32], 9 * channels),
    conv2 = layer("conv2", [3, 3, 32, 64], 288);
  const fc1 = layer("fc1", [4096, 128], 4096), fc2 = layer("fc2", [128, classes], 128);
  const convolve = (x: Tensor, { weight, bias }: typeof conv1) =>
    tf.fused.conv2d({ x, filter: weight, strides: 1, pad: "same", bias, activation: "relu" });
  const forward = (x: Tensor) => {
    const pooled1 = tf.maxPool(convolve(x, conv1), 2, 2, "valid");
    const pooled2 = tf.maxPool(convolve(pooled1, conv2), 2, 2, "valid");
    const flat = tf.reshape(pooled2, [-1, 4096]);
    const hidden = tf.fused.matMul({ a: flat, b: fc1.weight, bias: fc1.bias, activation: "relu" });
    return tf.fused.matMul({ a: hidden, b: fc2.weight, bias: fc2.bias });
  };
  const pixels = (count: number) => draw([count, side, side, channels], pixelBound, "peer pixels");
  const x = pixels(settings.trainBatch), images = pixels(settings.inferenceBatch);
  const labels = tf.tensor(drawOneHot(settings.trainBatch), [settings.trainBatch, classes]);
  const optimizer = tf.train.momentum(settings.learningRate, settings.momentum);
  let loss: Tensor | undefined, logits: Tensor | undefined;
  return {
    trainStep() {
      loss?.dispose();
      loss = optimizer.minimize(() => tf.losses.softmaxCrossEntropy(labels, forward(x)), true);
    },
    infer() {
      logits?.dispose();
      logits = tf.tidy(() => forward(images));
    },
    async finish() {
      // Commands gather in an encoder that only a read would submit.
      const backend = tf.backend();
      backend.ensureCommandEncoderReady();
      backend.endComputePassEncoder();
      backend.submitQueue();
      await backend.device.queue.onSubmittedWorkDone();
    },
    readLoss: async () => (await loss!.data())[0]!,
    readLogits: async () => await logits!.data(),
  };
}
