/**
 * Everything that a prune run can be told.
 *
 * @module
 */
import type { CriterionName } from "../criterion_names.ts";

/** Everything that a prune run can be told. A test holds these sentences equal to the schema's descriptions. */
export interface PruneConfig {
  /** Folder of the data set; by default ./data and the cache folder are searched, then CIFAR-10 is downloaded. */
  readonly data?: string | undefined;
  /** The network: a preset such as "seed" or "resnet20", or the path of a graph (JSON) or of weights (safetensors). */
  readonly model: string;
  /** Safetensors file of PyTorch's names with weights for a preset or a graph. */
  readonly weights?: string | undefined;
  /** Preset that a safetensors file holds the weights of; by default it is recognised from names and shapes. */
  readonly preset?: string | undefined;
  /** Mean of each channel of the images, 255 being 1, with commas; by default the model file's or the data set's. */
  readonly mean?: string | undefined;
  /** Standard deviation of each channel of the images, 255 being 1, with commas; together with the mean. */
  readonly std?: string | undefined;
  /** Whether examples are loaded into memory first (off) or stay in their files and are read on the way (on); auto leaves in files what memory or the device cannot hold. */
  readonly stream: "auto" | "on" | "off";
  /** Training examples to use, 0 for all. */
  readonly limit: number;
  /** Test examples to use, 0 for all. */
  readonly testLimit: number;
  /** Training examples held out to score weights on, at most; small data sets give a fifth of what they have. */
  readonly calibration: number;
  /** Training examples held out to find the best epoch of each phase by, rounds to undo, temperatures and variants; 0 for none. */
  readonly validation: number;
  /** Seed of initial weights, batch order, splits and augmentation. */
  readonly seed: number;
  /** Passes over the training examples before the first removal; with weights of a file 0 unless given. */
  readonly epochs: number;
  /** Examples in one training step. */
  readonly batch: number;
  /** Batches whose gradients are averaged for one step: a larger batch in less memory. */
  readonly accumulate: number;
  /** Step size that the schedule starts from or rises to. */
  readonly learningRate: number;
  /** Rule that turns gradients into steps. */
  readonly optimizer: "sgd" | "momentum" | "nesterov" | "adam" | "adamw";
  /** Share of the last step that the next one keeps, under momentum and nesterov. */
  readonly momentum: number;
  /** Share of each label's probability that is spread over all classes. */
  readonly labelSmoothing: number;
  /** Pull of every weight towards zero: decoupled under adamw, part of the gradient elsewhere. */
  readonly weightDecay: number;
  /** Decay biases and batch norm's parameters too, as torch.optim does by default. */
  readonly decayBias: boolean;
  /** Pull of every weight towards zero by the same amount whatever its size (L1). */
  readonly l1: number;
  /** Most that the norm of all gradients together may be, 0 for any (Pascanu et al. 2013). */
  readonly clipNorm: number;
  /** Most that the size of each gradient may be, 0 for any. */
  readonly clipValue: number;
  /** Changes to training images: auto takes flip for colour images and none for grey ones. */
  readonly augment: "auto" | "none" | "flip" | "flip-crop";
  /** Side in pixels of a square that each training image loses, 0 for none (DeVries and Taylor 2017). */
  readonly cutout: number;
  /** Alpha of the Beta distribution by which training images are mixed in pairs, 0 for none (Zhang et al. 2018). */
  readonly mixup: number;
  /** How the learning rate moves over training (cosine: Loshchilov 2017, one-cycle: Smith 2018). */
  readonly schedule: "constant" | "step" | "cosine" | "one-cycle";
  /** Fractions of training at which schedule step lowers the rate, joined by commas. */
  readonly milestones: string;
  /** Factor of the rate at each milestone of schedule step. */
  readonly gamma: number;
  /** Share of the learning rate at which schedule cosine ends. */
  readonly rateFloor: number;
  /** Fraction of training at which schedule one-cycle reaches the learning rate. */
  readonly peakAt: number;
  /** Fraction of training over which the rate first rises to its schedule (Goyal et al. 2017). */
  readonly warmup: number;
  /** What a phase ends with: its last values, their mean (Izmailov et al. 2018), or an exponential one. */
  readonly averaging: "none" | "mean" | "ema";
  /** Fraction of a phase from which on values are averaged. */
  readonly averageFrom: number;
  /** Share of the exponential mean that each step keeps, under averaging ema. */
  readonly emaDecay: number;
  /** Measure batch norm's statistics anew after averaging, on images as they are or as trained on. */
  readonly recalibrate: "none" | "plain" | "augmented";
  /** Epochs without a better one on the validation examples that end a phase, 0 for no end. */
  readonly patience: number;
  /** What makes an epoch better on the validation examples. */
  readonly stopOn: "accuracy" | "loss";
  /** Fraction of the weights to remove; absent where there is another goal. */
  readonly sparsity?: number | undefined;
  /** Remove the weights whose confidence lies below this, to a fixed point, instead of a fixed fraction. */
  readonly confidence?: number | undefined;
  /** Most trained numbers of the pruned network: below 1 a fraction of what there is, else a count. */
  readonly targetParameters?: number | undefined;
  /** Most multiply-adds for one image of the pruned network: below 1 a fraction of what there is, else a count. */
  readonly targetMultiplyAdds?: number | undefined;
  /** Most bytes of stored numbers of the pruned network: below 1 a fraction of what there is, else a count. */
  readonly targetBytes?: number | undefined;
  /** How rounds share the way: all at once, equal fractions of what is left, or steep first (Zhu and Gupta 2017). */
  readonly pruneSchedule: "one-shot" | "iterative" | "gradual";
  /** Rounds of scoring, removal and fine-tuning, at most; 1 for one-shot and N:M, 20 with a confidence, 5 with refit. */
  readonly rounds: number;
  /** Undo a round after which accuracy on the validation examples is more than this fraction lower than before pruning. */
  readonly allowedDrop?: number | undefined;
  /** Bring removed weights back whose gradient says with this confidence that they are not zero; above the confidence. */
  readonly regrow?: number | undefined;
  /** Score by which weights are kept; magnitude with refit, whose stages were measured by it, unless given. */
  readonly criterion: CriterionName;
  /** Prior of the confidence: its precision from the evidence, or matched to the weights' mean square. */
  readonly prior: "evidence" | "matched";
  /** What the examples' information is divided by in the confidence, above 1 to trust them less; auto takes the best on validation. */
  readonly posteriorTemperature: number | "auto";
  /** Fisher information from batches of 16, from single examples (slower), or from labels drawn from the predictions. */
  readonly fisher: "batch" | "example" | "sampled";
  /** What goes as one: single weights, filters (those of the last layer, the classes, stay), coupled channels, blocks RxC, or all but N of every M columns. */
  readonly granularity: string;
  /** Rank all layers together, or take the same share of each; layer where channels go to a target. */
  readonly scope: "global" | "layer";
  /** Least fraction of its weights, filters, channels or blocks that a layer keeps. */
  readonly floor: number;
  /** What the channels that coupled layers keep come in multiples of, where they lose some; 4 where they go to a target. */
  readonly roundTo: number;
  /** Layers that lose nothing, neither filters nor inputs, joined by commas. */
  readonly protect?: string | undefined;
  /** Rank groups by their worth for each weight that goes with them, or multiply-add where those are the target. */
  readonly perCost: boolean;
  /** Give kept weights new values after each removal: those whose activations are nearest to those before it, by least squares. */
  readonly refit: boolean;
  /** What chooses the weights of a layer that go: their scores, or, of layers that lost some before, Optimal Brain Surgeon in 3 steps (Hassibi and Stork 1993); obs where refit takes single weights. */
  readonly selection: "score" | "obs";
  /** Measure batch norm's statistics anew after each removal, on images as they are or as trained on; none with refit. */
  readonly recalibratePruned: "none" | "plain" | "augmented";
  /** Prune the same trained network by the other criteria too, and report their accuracy. */
  readonly compare: boolean;
  /** Passes over the training examples after each removal. */
  readonly finetuneEpochs: number;
  /** Fraction of training whose learning rates fine-tuning goes back to (Renda et al. 2020). */
  readonly rewind: number;
  /** Share of the loss that follows a teacher's predictions (Hinton et al. 2015), 0 for none. */
  readonly distill: number;
  /** Safetensors file of a teacher for training and fine-tuning; without it fine-tuning follows the trained network. */
  readonly teacher?: string;
  /** What the logits of both are divided by where the teacher is followed. */
  readonly temperature: number;
  /** Weight in the loss of the distance from the teacher's features (Romero et al. 2015), 0 for none. */
  readonly distillFeatures: number;
  /** Which features: the map that the classifier reads, or the last map of each size of maps. */
  readonly distillMaps: "last" | "stages";
  /** Shrink the pruned model by its empty channels, and time both; on with granularity channel unless turned off. */
  readonly compact: boolean;
  /** Write all weights, as PyTorch loads them, or leave removed ones out of the file. */
  readonly store: "dense" | "sparse";
  /** Folder that the report and the pruned model are written to; by default a new one, out/DATE-NAME. */
  readonly out?: string | undefined;
  /** Training steps between two checkpoints in the output folder, 0 for none; by default one every 5 minutes and after training. */
  readonly checkpointEvery?: number | undefined;
  /** Write into the output folder although it is not empty. */
  readonly force: boolean;
  /** WebGPU adapter to run on. */
  readonly adapter: "auto" | "high-performance" | "low-power" | "fallback";
  /** How matrix products read their operands; auto takes what is faster on the adapter. */
  readonly readPath: "auto" | "storage" | "texture" | "subgroup";
  /** Examples that evaluation takes at a time; by default 256, or as many as the adapter can hold. */
  readonly evaluationBatch?: number | undefined;
  /** Time how matrix products run fastest on this adapter, once; the choices are kept in the cache folder. */
  readonly tune: "off" | "quick" | "full";
}
