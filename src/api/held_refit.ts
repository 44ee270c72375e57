/**
 * The refit of a model whose target is the network as training last left it, over as many removals as follow.
 *
 * @module
 */
import type { Split } from "../data/dataset.ts";
import type { Refit } from "../prune/refit/refit_network.ts";
import type { RefitSettings } from "../prune/refit/settings.ts";
import type { ModelState } from "./model_options.ts";

/** Opens a refit whose target is the network as it is. */
export type OpenRefit = (calibration: Split, settings: Partial<RefitSettings>) => Promise<Refit>;

/** Holds the refit of a model, and knows until when its target is the wanted one. Dispose of it to free the refit. */
export class HeldRefit implements Disposable {
  #refit: Refit | undefined;
  #calibration: Split | undefined;
  #settings: Partial<RefitSettings> = {};
  /** States that come of the network that training last left by removals alone. */
  #states = new WeakSet<ModelState>();

  /** The refit by some settings. Its target is what it was where only removals and their refits came between. */
  async take(open: OpenRefit, calibration: Split, settings: Partial<RefitSettings>): Promise<Refit> {
    const isSame = calibration === this.#calibration &&
      JSON.stringify(settings) === JSON.stringify(this.#settings);
    if (!isSame) this.drop();
    this.#calibration = calibration;
    this.#settings = settings;
    return this.#refit ??= await open(calibration, settings);
  }

  /** To be called with each state that is read of the model: putting it back keeps the target. */
  note(state: ModelState): void {
    this.#states.add(state);
  }

  /** To be called where the model got a state. */
  restored(state: ModelState): void {
    const { selectionSteps = 0 } = this.#settings;
    // Layers that choose their own weights go on from the mask that they had.
    if (selectionSteps > 0 || !this.#states.has(state)) this.drop();
    if (!this.#states.has(state)) this.#states = new WeakSet([state]);
  }

  /** To be called before the model is trained, which makes another network of it. */
  trained(): void {
    this.drop();
    this.#states = new WeakSet();
  }

  /** Frees the refit; the next one is opened anew. */
  drop(): void {
    this.#refit?.[Symbol.dispose]();
    this.#refit = undefined;
  }

  [Symbol.dispose](): void {
    this.drop();
  }
}
