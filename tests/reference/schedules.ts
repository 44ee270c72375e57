/**
 * Learning rates of torch.optim.lr_scheduler for a base rate of 1, a step at a time as those classes walk them.
 *
 * @module
 */

/** MultiStepLR: the rate is multiplied by gamma when a step is a milestone (zero-based steps). */
export function multiStepRates(steps: number, milestones: readonly number[], gamma: number): number[] {
  const rates: number[] = [];
  for (let step = 0, rate = 1; step < steps; step++) {
    rate *= gamma ** milestones.filter((milestone) => milestone === step).length;
    rates.push(rate);
  }
  return rates;
}

/** CosineAnnealingLR by its recursion, with T_max = steps. */
export function cosineRates(steps: number, floor: number): number[] {
  const rates = [1];
  for (let t = 1; t < steps; t++) {
    const ratio = (1 + Math.cos(Math.PI * t / steps)) / (1 + Math.cos(Math.PI * (t - 1) / steps));
    rates.push(ratio * (rates[t - 1] - floor) + floor);
  }
  return rates;
}

/** OneCycleLR with anneal_strategy "cos", div_factor 25, final_div_factor 1e4, two phases. */
export function oneCycleRates(steps: number, pctStart: number): number[] {
  const initial = 1 / 25, lowest = initial / 1e4;
  const phases = [
    { end: pctStart * steps - 1, from: initial, to: 1 },
    { end: steps - 1, from: 1, to: lowest },
  ];
  return Array.from({ length: steps }, (_, step) => {
    let start = 0;
    for (const [i, { end, from, to }] of phases.entries()) {
      if (step <= end || i === phases.length - 1) {
        return to + (from - to) / 2 * (Math.cos(Math.PI * (step - start) / (end - start)) + 1);
      }
      start = end;
    }
    return NaN;
  });
}

/** SequentialLR of LinearLR, from 1 / rising in `rising` steps, and other rates, which then start from their first. */
export function warmedUpRates(rising: number, others: readonly number[]): number[] {
  const factors = Array.from(
    { length: rising },
    (_, step) => 1 / rising + (1 - 1 / rising) * step / (rising - 1),
  );
  return [...factors.map((factor) => factor * others[0]), ...others];
}
