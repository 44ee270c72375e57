/**
 * Chooses the temperature of the posterior for a removal by criterion confidence, by trying each on a model.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import { ConfigError } from "../errors.ts";
import { readFloats } from "../gpu/readback.ts";
import { pickTemperature, posteriorTemperatures, type TemperatureChoice } from "../prune/temperature.ts";
import type { Model } from "./model.ts";
import type { ModelPruneOptions, ScoreOptions } from "./model_options.ts";

/** What a temperature is chosen for and by. */
export interface TemperingOptions {
  /** How the model was scored last, by criterion confidence; its values are as they were then. */
  readonly scoring: ScoreOptions;
  /** Removes what is to go, by the scores that there are. */
  readonly remove: () => Promise<unknown>;
  /** Follows up the removal as a trial needs it, such as by measuring batch norm's statistics anew. */
  readonly settle?: (() => Promise<unknown>) | undefined;
  /** The examples that say what a removal costs. */
  readonly validation: Split;
}

/**
 * The validation examples that a temperature is chosen by.
 *
 * @throws {ConfigError} Where there are none, the criterion knows no temperature, or a threshold says what goes, whose
 *   meaning each temperature would move.
 */
export function validationToTemper(
  { criterion = "confidence", goal, validation }: Pick<
    ModelPruneOptions,
    "criterion" | "goal" | "validation"
  >,
): Split {
  const refuse = (current: string, wanted: string): never => {
    throw new ConfigError({ act: "prune with", thing: "tempering", current, wanted });
  };
  if (criterion !== "confidence") refuse(`the criterion is ${criterion}`, "confidence");
  if ("threshold" in goal) refuse("a threshold says what goes", "another goal");
  return validation ?? refuse("there are no validation examples", "some to choose by");
}

/**
 * Tries a removal at each temperature on a model, and leaves the model as it was, scored at the temperature whose loss on
 * the validation examples was lowest. The Fisher information stays what the last scoring accumulated.
 *
 * @throws {NumericError} Where a loss is not finite; the model is then as it was.
 * @throws {ConfigError} Where the model has no scores, or what is to go may not.
 */
export async function temperModel(model: Model, options: TemperingOptions): Promise<TemperatureChoice> {
  const { scoring, remove, settle, validation } = options, { network } = model;
  const scoreAt = (temperature: number) => model.rescore({ ...scoring, temperature });
  // A removal to a cost keeps values in `snapshot` on its way.
  const mask = await readFloats(network.gpu, network.arena("mask"));
  network.copyState("values", "held");
  const tried = [];
  for (const temperature of posteriorTemperatures) {
    try {
      await scoreAt(temperature);
      await remove();
      await settle?.();
      tried.push({ temperature, loss: (await model.evaluate(validation)).loss });
    } finally {
      network.copyState("held", "values");
      network.arena("mask").write(mask);
    }
  }
  const choice = pickTemperature(tried);
  await scoreAt(choice.temperature);
  return choice;
}
