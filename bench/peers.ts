/**
 * winnow beside other WebGPU libraries: the same network on the same adapter in the same run.
 *
 * @module
 */
import { KernelError } from "../src/errors.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { type MeasureOptions, sampleInTurn, summarize, summarizeTimes } from "./measure.ts";
import { openJaxJs } from "./peers/jax_js.ts";
import type { Peer, PeerSettings } from "./peers/peer.ts";
import { openTfjs } from "./peers/tfjs.ts";
import { type BenchRecord, recordRate } from "./record.ts";
import { benchGraph, openStep } from "./steps.ts";

/** Sizes as those of `seed_train_steps` and `seed_inference_images`. */
const settings: PeerSettings = { trainBatch: 64, inferenceBatch: 256, learningRate: 0.01, momentum: 0.9 };

const peers: Readonly<Record<string, (settings: PeerSettings) => Promise<Peer>>> = {
  tfjs: openTfjs,
  jaxjs: openJaxJs,
};

/** Both figures of a library. */
const figures = [
  {
    figure: "seed_train_steps",
    mode: "train",
    batch: settings.trainBatch,
    unit: "steps/s",
    work: 1,
    submitPeer: (peer: Peer) => peer.trainStep,
  },
  {
    figure: "seed_inference_images",
    mode: "evaluate",
    batch: settings.inferenceBatch,
    unit: "images/s",
    work: settings.inferenceBatch,
    submitPeer: (peer: Peer) => peer.infer,
  },
] as const;

/** Collects the errors of devices that are opened while `open` runs: WebGPU reports them to nobody else. */
async function watchDevices<Opened>(
  open: () => Promise<Opened>,
): Promise<{ readonly opened: Opened; readonly errors: string[] }> {
  const errors: string[] = [], original = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await original.call(this, descriptor);
    device.addEventListener("uncapturederror", (event) => {
      errors.push((event as GPUUncapturedErrorEvent).error.message);
    });
    return device;
  };
  try {
    return { opened: await open(), errors };
  } finally {
    GPUAdapter.prototype.requestDevice = original;
  }
}

/** Complains of a peer that did not compute what was asked. */
function refuse(name: string, current: string): never {
  throw new KernelError({ act: "measure peer", thing: name, current, wanted: "a computed result" });
}

/** A peer that is opened, and watched for errors. */
interface WatchedPeer {
  readonly name: string;
  readonly peer: Peer;
  readonly errors: readonly string[];
  readonly firstLoss: number;
}

/** Opens a peer and takes the first step, for a loss to compare later ones with. */
async function openPeer(name: string): Promise<WatchedPeer> {
  const { opened: peer, errors } = await watchDevices(() => peers[name]!(settings));
  peer.trainStep();
  await peer.finish();
  return { name, peer, errors, firstLoss: await peer.readLoss() };
}

/** Checks that a peer's loss fell, that its logits are numbers that differ, and that its device had no errors. */
async function checkPeer({ name, peer, errors, firstLoss }: WatchedPeer): Promise<void> {
  const lastLoss = await peer.readLoss(), logits = Array.from(await peer.readLogits());
  if (!(lastLoss < firstLoss)) refuse(name, `the loss went from ${firstLoss} to ${lastLoss}`);
  const isComputed = logits.every(Number.isFinite) && new Set(logits).size > logits.length / 2;
  if (logits.length !== 10 * settings.inferenceBatch || !isComputed) {
    refuse(name, "logits that are no result");
  }
  if (errors.length > 0) refuse(name, errors[0]!.split("\n")[0]!);
}

/**
 * Measures winnow and its peers, a sample of each in turn, and yields each figure, with `ratio_PEER_FIGURE`: the
 * median over the samples of winnow's speed divided by the peer's. The peers choose their adapter themselves, as
 * `--adapter auto` does.
 *
 * @throws {KernelError} Where a peer's device reported an error, or its results are none.
 */
export async function* measurePeers(gpu: Gpu, options: MeasureOptions): AsyncGenerator<BenchRecord> {
  const opened: WatchedPeer[] = [];
  for (const name of Object.keys(peers)) opened.push(await openPeer(name));
  for (const { figure, mode, batch, unit, work, submitPeer } of figures) {
    using step = await openStep(gpu, { graph: benchGraph, batch, mode });
    const others = opened.map(({ peer }) => ({ submit: submitPeer(peer), finish: peer.finish }));
    const taken = await sampleInTurn([step, ...others], options);
    const [own, ...theirs] = taken.map(({ timesMs }) => timesMs);
    yield recordRate(gpu, summarizeTimes(own!), { name: figure, unit, work });
    for (const [i, { name }] of opened.entries()) {
      const record = recordRate(gpu, summarizeTimes(theirs[i]!), { name: `${name}_${figure}`, unit, work });
      yield { ...record, readPath: undefined };
      const { median, spread } = summarize(theirs[i]!.map((timeMs, sample) => timeMs / own![sample]!));
      const { adapter, samples } = record;
      yield { name: `ratio_${name}_${figure}`, value: median, unit: "x", adapter, spread, samples };
    }
  }
  for (const peer of opened) await checkPeer(peer);
}
