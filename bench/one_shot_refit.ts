/**
 * One-shot pruning with refits, measured: accuracy and points lost against the dense network after each stage, on
 * images and on their mirror images, for several draws of calibration images.
 *
 *     deno run --allow-read --allow-run=deno bench/one_shot_refit.ts MODEL.safetensors DATA_FOLDER [OPTIONS_AS_JSON]
 *
 * Options are those of a refit and of `Options` below.
 *
 * @module
 */
import { denoFiles, type ImageSplit, loadDataset, loadModel, openGpu, openModel, takeSplit } from "../mod.ts";
import { stagesTo } from "../src/prune/refit/prune_with_refit.ts";
import type { RefitSettings } from "../src/prune/refit/settings.ts";

interface Options extends Partial<RefitSettings> {
  /** Calibration draws, seeds 0, 1, ...; 3 where left out. */
  readonly draws?: number;
  readonly sparsity?: number;
  readonly stages?: readonly number[];
  /** Training images of which calibration images are drawn, the first ones; all where left out. */
  readonly calibration?: number;
  /** True adds the mirror image of every image that may be drawn. */
  readonly mirrored?: boolean;
  /** True measures on the training images that are not for calibration, not on test images. */
  readonly validate?: boolean;
}

/** The mirror images of a split's. */
function mirror({ pixels, ...split }: ImageSplit, width: number): ImageSplit {
  const mirrored = pixels.map((_, i) => pixels[i - i % width + width - 1 - i % width]);
  return { ...split, pixels: mirrored };
}

/** Two splits, one behind the other. */
function join(first: ImageSplit, second: ImageSplit): ImageSplit {
  const pixels = new Uint8Array([...first.pixels, ...second.pixels]);
  return { pixels, labels: new Uint8Array([...first.labels, ...second.labels]), count: 2 * first.count };
}

if (import.meta.main) {
  const [path, folder, text = "{}"] = Deno.args;
  const {
    draws = 3,
    sparsity = 0.9,
    stages = stagesTo(sparsity),
    calibration,
    mirrored,
    validate,
    ...settings
  } = JSON
    .parse(text) as Options;
  const note = (line: string) => console.error(line);
  const dataset = await loadDataset({ folder, files: denoFiles, allowDownload: false, note });
  const loaded = await loadModel({ model: path }, { files: denoFiles, task: dataset });
  using gpu = await openGpu({ tune: "off" });
  using model = openModel(gpu, loaded, { task: dataset });
  const start = await model.state();
  const { train, width } = dataset, most = calibration ?? train.count;
  const drawn = takeSplit(train, most);
  const rest = Uint32Array.from({ length: train.count - most }, (_, i) => most + i);
  const images = validate ? takeSplit(train, rest) : dataset.test, mirrorImages = mirror(images, width);
  const pool = mirrored ? join(drawn, mirror(drawn, width)) : drawn;
  const measure = async () => {
    const first = await model.evaluate(images), second = await model.evaluate(mirrorImages);
    const accuracies = [first, second].map(({ accuracy }) => 100 * accuracy);
    const shown = accuracies.map((accuracy) => accuracy.toFixed(1)).join(" / ");
    const nats = ((first.loss + second.loss) / 2).toFixed(4);
    return { mean: (accuracies[0] + accuracies[1]) / 2, text: `${shown} %, cross-entropy ${nats}` };
  };
  const dense = await measure();
  console.log(`${gpu.adapter.name}, dense ${dense.text}, ${text}`);
  const losses = new Map<number, number[]>();
  for (let seed = 0; seed < draws; seed++) {
    model.restore(start);
    let time = performance.now();
    await model.pruneWithRefit({
      ...settings,
      seed,
      sparsity,
      stages,
      calibration: pool,
      onStage: async (stage) => {
        const seconds = ((performance.now() - time) / 1000).toFixed(0);
        const { mean, text } = await measure(), lost = dense.mean - mean;
        losses.set(stage.sparsity, [...losses.get(stage.sparsity) ?? [], lost]);
        console.log(
          `draw ${seed}, ${100 * stage.sparsity} %: ${text}, lost ${lost.toFixed(2)}, ${seconds} s`,
        );
        time = performance.now();
      },
    });
  }
  for (const [stage, lost] of losses) {
    console.log(
      `${100 * stage} %: lost ${(lost.reduce((a, b) => a + b, 0) / lost.length).toFixed(2)} points`,
    );
  }
}
