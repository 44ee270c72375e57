/**
 * Scores and removes a network's weights on the device.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Examples } from "../gpu/examples.ts";
import { checkArenasFinite } from "../gpu/finite.ts";
import type { Network } from "../gpu/network.ts";
import { readBuffers } from "../gpu/readback.ts";
import { getLayerName, type ParameterLayout } from "../plan/layout.ts";
import { accumulateGradients, type AccumulateOptions, type FisherEstimate } from "./score/accumulate.ts";
import {
  confidenceBins,
  type LayerConfidence,
  lowerPrior,
  type Prior,
  priorSumsQuads,
  readConfidences,
} from "./score/confidence.ts";
import {
  type Criterion,
  criterionScratch,
  getCriterionType,
  lowerScores,
  prunableTensors,
  scoredTensors,
  type ScoreSettings,
} from "./score/criteria.ts";
import type { CriterionNeed } from "./score/criterion.ts";
import { checkOwnScores, scoreOnHost } from "./score/host_scores.ts";
import { nameOfCriterion } from "./score/own_criterion.ts";
import { countElementsBelow, removeElements, type ScoredLayer } from "./select/elements.ts";
import { countGroupedBelow, removeGrouped } from "./select/groups.ts";
import { channelCounts, type LayerCount, layerCounts, lowerMaskCounts, lowerMasking } from "./mask.ts";
import { PruneBuffers } from "./prune_buffers.ts";
import { checkPattern, checkRemoval, type Pattern, type RemovalOptions } from "./select/removal.ts";
import { digitCounts, lowerNOfM, lowerRegrowth, lowerSparing } from "./select/select.ts";

/** Options of scoring. */
export interface PrunerScoreSettings extends ScoreSettings {
  /** The method for the prior precision of the confidence. */
  readonly prior: Prior;
  /** T of the tempered posterior, whose precision is N F / T + lambda, above 0. Default: 1. */
  readonly temperature?: number;
}

/** What scores are of: a criterion, its seed, and the tensors that it scores. */
export interface Scoring {
  readonly criterion: Criterion;
  readonly seed: number;
  readonly names: ReadonlySet<string>;
}

/** The buffers that scoring and selection always take, by name, with their words. */
export function listPrunerBuffers(
  layout: ParameterLayout,
): readonly (readonly [name: string, words: number])[] {
  const { length: tensors } = prunableTensors(layout);
  return [
    ["prior_precision", tensors],
    ["prior_sums", 4 * priorSumsQuads(layout)],
    ["select_state", 4],
    ["digit_counts", digitCounts],
    ["channel_counts", channelCounts(layout)],
    ["layer_counts", tensors],
    ["histogram", confidenceBins * tensors],
  ];
}

/** Scores and removes weights of one network. Dispose of it to free its buffers. */
export class Pruner {
  readonly #network: Network;
  readonly #buffers: PruneBuffers;
  #scored: Scoring | undefined;
  #estimate: FisherEstimate | undefined;
  /** The examples of the last accumulation; undefined where it ended before all batches were added. */
  #accumulated: number | undefined;

  constructor(network: Network) {
    this.#network = network;
    this.#buffers = new PruneBuffers(network);
    this.#buffers.allocate(listPrunerBuffers(network.layout));
    this.#clearScores();
  }

  /**
   * Accumulates the mean gradient and the diagonal Fisher information at the network's values, over as many whole
   * batches of the examples as there are.
   *
   * @throws {NumericError} If a weight, a statistic, a logit, a gradient or what is accumulated is not finite.
   * @throws The reason of the signal if it ends the accumulation; no gradients are there then.
   */
  async accumulate(examples: Examples, options: AccumulateOptions): Promise<void> {
    this.#accumulated = undefined;
    this.#accumulated = await accumulateGradients(this.#network, examples, options);
    this.#estimate = options.estimate ?? "batch";
  }

  /**
   * Scores the running mean by a criterion, into the arena `scores`.
   *
   * @throws {ConfigError} If what the criterion needs is not there, or a temperature is not above 0.
   * @throws {NumericError} If a weight, what the criterion needs, or a score is not finite, or a score is below 0.
   */
  async score(criterion: Criterion, settings: PrunerScoreSettings): Promise<void> {
    const { prior, temperature = 1, seed } = settings, network = this.#network;
    if (!(temperature > 0)) {
      const wanted = "a number above 0";
      throw new ConfigError({ act: "score at", thing: "temperature", current: `${temperature}`, wanted });
    }
    const type = getCriterionType(criterion), { needs } = type, examples = settings.examples / temperature;
    const name = nameOfCriterion(criterion);
    const scored = scoredTensors(network, criterion);
    this.#checkNeeds("score by", name, needs);
    if (scored.length < prunableTensors(network.layout).length) this.#clearScores();
    this.#buffers.allocate(criterionScratch(network, criterion));
    const before = type.readsPrior ? lowerPrior(network.layout, prior, examples) : [];
    // A selection would treat a score that is not finite as padding, or as the largest.
    this.#scored = undefined;
    await this.#buffers.run([...before, ...lowerScores(network, criterion, { examples, seed })]);
    await scoreOnHost(network, type, scored);
    await checkArenasFinite(network, ["mean", ...needs, "scores"], `score by ${name} the weights of`);
    await checkOwnScores(network, type, scored);
    this.#scored = { criterion, seed, names: new Set(scored.map(({ fullName }) => fullName)) };
  }

  /** Turns the scores z of criterion confidence into confidences (arena `confidence`) and counts them by layer. */
  async confidences(): Promise<readonly LayerConfidence[]> {
    return await readConfidences(this.#buffers);
  }

  /**
   * Counts the kept weights that a threshold would remove: single weights with a score below it, or all weights of
   * groups below it. For the criterion confidence, groups count by their chi-square confidence.
   *
   * @throws {ConfigError} If the weights were never scored, or an option is not possible.
   */
  async countBelow(threshold: number, options: RemovalOptions = {}): Promise<number> {
    const scoring = this.checkScored("count weights below", `${threshold}`);
    checkRemoval(this.#network.layout, options);
    const layers = this.#layers(), { granularity = "element" } = options, buffers = this.#buffers;
    return granularity === "element"
      ? await countElementsBelow(buffers, threshold, { layers, options })
      : await countGroupedBelow(buffers, threshold, { scoring, layers, granularity, options });
  }

  /**
   * Removes the smallest scores, in place, until `remove` of all prunable weights (or multiply-adds, by the options)
   * are removed, including those removed before: exactly so many single weights, or the fewest groups with at least
   * so many. Values, mean and velocity are masked.
   *
   * @throws {ConfigError} If the weights were never scored, an option is not possible, or fewer may go.
   */
  async remove(remove: number, options: RemovalOptions = {}): Promise<readonly LayerCount[]> {
    const scoring = this.checkScored("remove weights", `${remove}`);
    checkRemoval(this.#network.layout, options);
    const layers = this.#layers(), { granularity = "element" } = options, buffers = this.#buffers;
    if (granularity === "element") await removeElements(buffers, remove, { layers, options });
    else await removeGrouped(buffers, remove, { scoring, layers, granularity, options });
    return await this.#applyMask();
  }

  /**
   * Removes weights so that every `of` consecutive columns, as PyTorch counts them, keep at most the best `keep`. A
   * shorter group at the end of a line keeps its share, rounded up.
   *
   * @throws {ConfigError} If the weights were never scored, or the pattern or a protected layer is not possible.
   */
  async removePattern(
    { keep, of }: Pattern,
    { protect = [] }: Pick<RemovalOptions, "protect"> = {},
  ): Promise<readonly LayerCount[]> {
    this.checkScored("remove weights by pattern", `${keep}:${of}`);
    checkRemoval(this.#network.layout, { protect });
    checkPattern({ keep, of });
    const open = this.#layers().filter(({ tensor, isScored }) =>
      isScored && !protect.includes(getLayerName(tensor))
    );
    await this.#buffers.run(open.map(({ tensor }) => lowerNOfM(tensor, { keep, of })));
    return await this.#applyMask();
  }

  /**
   * Brings back the removed weights whose gradient shows that they are not zero: n gbar^2 / F > threshold^2, by the
   * mean gradient and Fisher information of `accumulate` over n examples. They start from 0, and the square root of the
   * left side becomes their score. A weight comes back once: if it is removed again it stays out, so that rounds of
   * removal and regrowth end. Returns the number of weights that came back.
   *
   * @throws {ConfigError} If there are no such gradients, or a protected layer is not possible.
   */
  async regrow(
    threshold: number,
    { protect = [] }: Pick<RemovalOptions, "protect"> = {},
  ): Promise<number> {
    this.#checkNeeds("regrow weights of", this.#network.graph.name, ["gradient_mean", "fisher"]);
    checkRemoval(this.#network.layout, { protect });
    const layers = this.#layers().filter(({ tensor }) => !protect.includes(getLayerName(tensor)));
    const dispatches = lowerRegrowth(layers, { examples: this.#accumulated!, threshold });
    const counts = await this.#buffers.countByLayer(dispatches);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /**
   * Spares the kept weights that lay below a threshold at this scoring but not at the last: their scores become the
   * threshold, so that `countBelow` and `remove` leave them. At the first scoring none is spared. So the noise of one
   * scoring removes no weight.
   *
   * @throws {ConfigError} If the weights were never scored.
   */
  async spareFallen(threshold: number): Promise<void> {
    this.checkScored("spare weights below", `${threshold}`);
    await this.#buffers.run(lowerSparing(this.#layers().filter(({ isScored }) => isScored), threshold));
  }

  /** Forgets earlier rounds: which weights came back, and which lay below a threshold. */
  forgetRounds(): void {
    for (const role of ["regrown", "stood"] as const) {
      if (this.#network.arenas.has(role)) this.#network.clearArena(role);
    }
  }

  /** Counts the kept weights per layer and per channel. */
  async count(): Promise<readonly LayerCount[]> {
    const { gpu, layout } = this.#network;
    const layers = await this.#buffers.countByLayer(lowerMaskCounts(layout));
    const [channels] = await readBuffers(gpu, [{ buffer: this.#buffers.get("channel_counts") }]);
    return layerCounts(layout, { channels: new Uint32Array(channels), layers });
  }

  async #applyMask(): Promise<readonly LayerCount[]> {
    await this.#buffers.run(lowerMasking(this.#network.layout, ["values", "mean", "velocity"]));
    return await this.count();
  }

  #layers(): readonly ScoredLayer[] {
    return prunableTensors(this.#network.layout).map((tensor, layer) => ({
      tensor,
      layer,
      isScored: this.#scored?.names.has(tensor.fullName) ?? false,
    }));
  }

  /** Everything that is not a scored, prunable weight has a score below zero, so no selection takes it. */
  #clearScores(): void {
    this.#network.arena("scores").write(new Float32Array(4 * this.#network.layout.quads).fill(-1));
  }

  /**
   * What the scores are of.
   *
   * @throws {ConfigError} Where the weights were never scored.
   */
  checkScored(act: string, thing: string): Scoring {
    if (this.#scored) return this.#scored;
    const wanted = "a call of score() before";
    throw new ConfigError({ act, thing, current: "they have no scores", wanted });
  }

  /** Refuses arenas that were never computed, and gradients of labels that the model drew itself. */
  #checkNeeds(act: string, thing: string, needs: readonly CriterionNeed[]): void {
    const lacking = needs.find((need) => !this.#network.arenas.has(need));
    const refuse = (current: string, wanted: string) => {
      throw new ConfigError({ act, thing, current, wanted });
    };
    if (lacking === "variance") refuse("no variance of the weights was kept", "training with keepsVariance");
    const isPartial = this.#accumulated === undefined && needs.some((need) => need !== "variance");
    if (lacking || isPartial) refuse("no gradients were accumulated", "a call of accumulate() before");
    if (needs.includes("gradient_mean") && this.#estimate === "sampled") {
      refuse("the gradients are those of sampled labels", "gradients of the given labels");
    }
  }

  [Symbol.dispose](): void {
    this.#buffers[Symbol.dispose]();
  }
}
