/**
 * Reference cases of the confidence chain at the running mean: Fisher information, prior precision, signal to noise,
 * confidence, the threshold that keeps half, and the other criteria.
 *
 * @module
 */
import type { Examples } from "../gpu/examples.ts";
import type { NamedParameters, Network } from "../gpu/network.ts";
import type { SlotPool } from "../gpu/slots.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { type Criterion, prunableTensors } from "../prune/score/criteria.ts";
import { Pruner } from "../prune/pruner.ts";
import { type Check, compare, type Goldens } from "./goldens.ts";

/** Largest error relative to the largest value, for every quantity of the chain. */
const tolerance = 1e-3;

/** How far relative to the threshold a weight's z may lie where its mask differs. */
const maskTolerance = 1e-4;

/** Checks `confidence.*` and `criteria.*` at the network's running mean, which its values must be. */
export async function checkConfidence(
  { choose, slots }: { readonly choose: ProductChooser; readonly slots: SlotPool },
  goldens: Goldens,
  { network, calibration }: { readonly network: Network; readonly calibration: Examples },
): Promise<readonly Check[]> {
  const names = prunableTensors(network.layout).map(({ fullName }) => fullName);
  const checks: Check[] = [];
  const checkAll = (label: string, prefix: string, got: NamedParameters, { floor = 0 } = {}) => {
    for (const [name, values] of got) {
      if (!goldens.has(`${prefix}.${name}`)) continue;
      const want = goldens.floats(`${prefix}.${name}`);
      checks.push(compare(`${label} ${name}`, { got: values, want, relative: tolerance, floor }));
    }
  };
  checkAll("mean", "confidence.mean", await network.readParameters("mean"));
  using pruner = new Pruner(network);
  await pruner.accumulate(calibration, { choose, slots });
  checkAll("fisher", "confidence.fisher", await network.readParameters("fisher"));
  for (
    const criterion of ["magnitude", "gradient", "taylor", "obd"] as const satisfies readonly Criterion[]
  ) {
    await pruner.score(criterion, { examples: 1, seed: 0, prior: "matched" });
    checkAll(criterion, `criteria.${criterion}`, await network.readParameters("scores"));
  }
  const examples = goldens.number("confidence_N", goldens.shape("images")[0]);
  await pruner.score("confidence", { examples, seed: 0, prior: "matched" });
  const z = await network.readParameters("scores");
  checkAll("z", "confidence.z", z);
  const [layer] = await pruner.confidences();
  checkAll("confidence", "confidence.confidence", await network.readParameters("confidence"));
  if (goldens.has("confidence.prior_precision")) {
    const want = goldens.floats("confidence.prior_precision");
    const got = [layer.priorPrecision];
    checks.push(compare("prior precision", { got, want, relative: tolerance, floor: 0 }));
  }
  if (!goldens.has("confidence.keep_half_threshold_z")) return checks;
  const [threshold] = goldens.floats("confidence.keep_half_threshold_z");
  await pruner.remove(Math.floor(network.layout.prunableCount / 2));
  checks.push(...checkMasks(goldens, { names, threshold, z, mask: await network.readParameters("mask") }));
  return checks;
}

/** Masks may differ only where z is near the threshold; the smallest kept z is the threshold. */
function checkMasks(goldens: Goldens, { names, threshold, z, mask }: {
  readonly names: readonly string[];
  readonly threshold: number;
  readonly z: NamedParameters;
  readonly mask: NamedParameters;
}): readonly Check[] {
  let smallestKept = Infinity, farthest = 0;
  for (const name of names) {
    const want = goldens.integers(`confidence.keep_half_mask.${name}`);
    for (const [i, keep] of mask.get(name)!.entries()) {
      const score = z.get(name)![i];
      if (keep === 1) smallestKept = Math.min(smallestKept, score);
      if (keep !== want[i]) farthest = Math.max(farthest, Math.abs(score - threshold) / threshold);
    }
  }
  const allowed = { relative: tolerance, floor: 0 };
  return [
    compare("keep-half threshold z", { got: [smallestKept], want: [threshold], ...allowed }),
    { name: "keep-half mask", error: farthest, allowed: maskTolerance, passed: farthest <= maskTolerance },
  ];
}
