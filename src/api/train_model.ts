/**
 * Training of a model, and what goes with it: batch norm's statistics.
 *
 * @module
 */
import type { Split } from "../data/split.ts";
import { Owner } from "../dispose.ts";
import { checkRecalibration, checkTrainOptions } from "../train/check_options.ts";
import { recalibrate } from "../train/recalibrate.ts";
import type { TrainOptions, TrainResult } from "../train/phase.ts";
import { train } from "../train/trainer.ts";
import { getCore, type ModelCore } from "./model_core.ts";
import { type ModelRecalibrateOptions, type ModelTrainOptions, trainDefaults } from "./model_options.ts";
import { trainingPlans } from "./tuned_plans.ts";

/** See `Model.train`. */
export function trainModel(core: ModelCore, split: Split, options: ModelTrainOptions): Promise<TrainResult> {
  const { checkpoints } = options;
  // With checkpoints the state is kept at the end, also where no step was made.
  const signal = checkpoints ? undefined : options.signal;
  return core.call("training", async () => {
    const save = checkpoints?.save;
    core.refit.trained();
    using open = openTraining(core, split, options);
    await core.tune(trainingPlans(core.graph, open.examples, open.options.batch), signal);
    core.examples = split.count;
    const settings = {
      ...open.options,
      ...core.tools,
      ...(save ? { checkpoints: { ...checkpoints, save: (state) => core.lend(() => save(state)) } } : {}),
    } satisfies TrainOptions;
    return await train(core.network, open.examples, settings);
  }, signal);
}

/** See `Model.recalibrate`. */
export function recalibrateModel(
  core: ModelCore,
  split: Split,
  options: ModelRecalibrateOptions,
): Promise<number> {
  return core.call("recalibrating", async () => {
    const { batch, seed } = trainDefaults, settings = { batch, seed, ...options, ...core.tools };
    checkRecalibration(settings);
    using open = core.images.open(split, { name: "split", rows: settings.batch });
    await core.tune(trainingPlans(core.graph, open.examples, settings.batch), options.signal);
    return await recalibrate(core.network, open.examples, settings);
  }, options.signal);
}

/** Opens what training takes, and checks its options. */
export function openTraining(
  { tools, images }: ModelCore,
  split: Split,
  { teacher, validation, ...given }: ModelTrainOptions,
) {
  using stack = new Owner();
  const taught = teacher ? { teacher: getCore(teacher).network } : {};
  const settings = { ...trainDefaults, ...given, ...tools, ...taught };
  checkTrainOptions({ ...settings, hasValidation: validation !== undefined });
  const { examples } = stack.use(images.open(split, { name: "split", rows: settings.batch }));
  const held = validation && stack.use(images.open(validation, { name: "validation" }));
  const owned = stack.move();
  return {
    examples,
    options: { ...settings, ...(held ? { validation: held.examples } : {}) },
    [Symbol.dispose]: () => owned[Symbol.dispose](),
  };
}
