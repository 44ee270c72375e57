/**
 * Refits of a model, opened on examples.
 *
 * @module
 */
import { checkNumbers, positiveCount } from "../checks.ts";
import { loadStreamed } from "../data/shards_load.ts";
import { checkSplit, isStreamed, type Split } from "../data/split.ts";
import { Refit } from "../prune/refit/refit_network.ts";
import type { RefitSettings } from "../prune/refit/settings.ts";
import type { ModelCore } from "./model_core.ts";
import type { OpenSplit } from "./split_images.ts";
import { refitPlans } from "./tuned_plans.ts";

/** Opens a split of which examples are taken in any order; one that lies in files is read into memory for it. */
export async function openSampled(
  { images, task }: ModelCore,
  calibration: Split,
  rows: number | undefined,
): Promise<OpenSplit> {
  checkNumbers("refit weights with", { batch: [rows, positiveCount] });
  const use = { name: "calibration", ...(rows === undefined ? {} : { rows }) };
  if (!isStreamed(calibration)) return images.open(calibration, use);
  checkSplit(calibration, "calibration", task);
  return images.open(await loadStreamed(calibration), use);
}

/**
 * The refit whose target is the model as training, or another state, last left it; `apply` of it gives the kept weights
 * new values. The model frees it: before training, and where none is asked for.
 *
 * @throws {ConfigError} If a number is not positive.
 * @throws {ShapeError} If the adapter's limits do not allow the samples of a layer.
 * @throws The reason of the signal if it ends the opening.
 */
export async function holdRefit(
  core: ModelCore,
  calibration: Split,
  { settings, signal }: {
    readonly settings: Partial<RefitSettings> | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Refit | undefined> {
  if (!settings) {
    core.refit.drop();
    return undefined;
  }
  const open = async (calibration: Split, settings: Partial<RefitSettings>) => {
    const owned = await openSampled(core, calibration, settings.batch), { choose } = core.tools;
    try {
      await core.tune(refitPlans(core.network, owned.examples, { ...settings, choose }), signal);
      return await Refit.open(core.network, owned.examples, { ...settings, choose, owned, signal });
    } catch (error) {
      owned[Symbol.dispose]();
      throw error;
    }
  };
  return await core.refit.take(open, calibration, settings);
}
