/**
 * Scores of a program's own criteria: computed on the host if the criterion is a function, and always checked.
 *
 * @module
 */
import { describeValue } from "../../checks.ts";
import { ConfigError, NumericError } from "../../errors.ts";
import type { Network } from "../../gpu/network.ts";
import { readFloats } from "../../gpu/readback.ts";
import { indexText } from "../../io/check_values.ts";
import { type PlacedParameter, placeParameter, takeParameter } from "../../plan/layout.ts";
import type { CriterionType } from "./criterion.ts";

/**
 * Scores tensors by the function of a criterion, into the arena `scores`; removed weights score 0.
 *
 * @throws {ConfigError} If it gives something else than a number per weight.
 */
export async function scoreOnHost(
  network: Network,
  { hostScores, needs, ownName }: CriterionType,
  tensors: readonly PlacedParameter[],
): Promise<void> {
  if (!hostScores) return;
  const arenas = new Map<string, Float32Array>();
  for (const role of ["mean", "mask", ...needs] as const) {
    arenas.set(role, await readFloats(network.gpu, network.arena(role)));
  }
  const all = await readFloats(network.gpu, network.arena("scores"));
  for (const tensor of tensors) {
    const arrays = [...arenas].map(([role, arena]) => [role, takeParameter(tensor, arena)] as const);
    const scores: unknown = await hostScores(tensor, Object.fromEntries(arrays));
    if (!(scores instanceof Float32Array) || scores.length !== tensor.count) {
      const wanted = `a Float32Array of ${tensor.count}, a number per weight of ${tensor.fullName}`;
      throw new ConfigError({ act: "score by", thing: ownName!, current: describeValue(scores), wanted });
    }
    const mask = takeParameter(tensor, arenas.get("mask")!);
    placeParameter(tensor, scores.map((score, i) => mask[i] > 0 ? score : 0), all);
  }
  network.arena("scores").write(all);
}

/**
 * Checks the scores of a criterion of the program's own.
 *
 * @throws {NumericError} If one is not finite, or below 0.
 */
export async function checkOwnScores(
  network: Network,
  { ownName }: CriterionType,
  tensors: readonly PlacedParameter[],
): Promise<void> {
  if (ownName === undefined) return;
  const arena = await readFloats(network.gpu, network.arena("scores"));
  for (const tensor of tensors) {
    const scores = takeParameter(tensor, arena);
    const wrong = scores.findIndex((score) => !(score >= 0 && score < Infinity));
    if (wrong < 0) continue;
    const name = `${tensor.fullName}${indexText(wrong, tensor.shape)}`;
    const current = `the score of ${name} is ${scores[wrong]}`;
    throw new NumericError({
      act: "score by",
      thing: ownName,
      current,
      wanted: "finite numbers, at least 0",
    });
  }
}
