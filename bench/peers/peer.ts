/**
 * What a peer must do to be measured: the seed network, trained and inferred with its own means.
 *
 * @module
 */
import { openRandomStream } from "../../src/random.ts";

/** What peers are measured with. */
export interface PeerSettings {
  /** Examples of a training step. */
  readonly trainBatch: number;
  /** Images of an inference. */
  readonly inferenceBatch: number;
  readonly learningRate: number;
  readonly momentum: number;
}

/** A peer with its parameters and inputs on the device. */
export interface Peer {
  /** Asks for forward, cross-entropy, backward and momentum SGD on the training batch, the same each time. */
  readonly trainStep: () => void;
  /** Asks for the logits of the inference batch. */
  readonly infer: () => void;
  /** Resolves when all that was asked for is computed. */
  readonly finish: () => Promise<void>;
  /** The loss before the last step. */
  readonly readLoss: () => Promise<number>;
  /** The logits of the last inference, (N, 10). */
  readonly readLogits: () => Promise<ArrayLike<number>>;
}

/** Images of the seed network. */
export const peerImage = { channels: 3, side: 32, classes: 10 } as const;

/** Numbers in a tensor of a shape. */
function countElements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Random numbers in (-bound, bound) for a tensor of a shape. */
export function drawUniform(shape: readonly number[], bound: number, purpose: string): Float32Array {
  const random = openRandomStream(1, purpose);
  return Float32Array.from({ length: countElements(shape) }, () => (2 * random.nextUniform() - 1) * bound);
}

/** Random labels as rows of zeros with a one, (N, 10). */
export function drawOneHot(count: number): Float32Array {
  const { classes } = peerImage, random = openRandomStream(1, "peer labels");
  const rows = new Float32Array(count * classes);
  for (let i = 0; i < count; i++) rows[i * classes + random.nextUint32() % classes] = 1;
  return rows;
}

/** The bound of a parameter's first values as PyTorch draws them. */
export function initialBound(fanIn: number): number {
  return 1 / Math.sqrt(fanIn);
}

/** The bound of uniform pixels of variance 1. */
export const pixelBound: number = Math.sqrt(3);

/** Imports a package that is no dependency of winnow: the name is no literal, so that nobody else downloads it. */
export async function importPeer<Module>(specifier: string): Promise<Module> {
  return await import(specifier) as Module;
}
