/**
 * Checks on the device, by the bits of every number, that a network's arenas are finite. A pruned
 * network may not pass a broken weight on to its logits: the weights themselves must be checked.
 *
 * @module
 */
import { NumericError } from "../errors.ts";
import { indexText } from "../io/check_values.ts";
import { arenaRef, type ArenaRole, inputRef } from "../kernels/buffer_ref.ts";
import { type Dispatch, type DispatchBody, dispatchOver } from "../kernels/dispatch.ts";
import type { ParameterLayout, PlacedParameter } from "../plan/layout.ts";
import { isStatistics, overWindows } from "../plan/windows.ts";
import { bindBuffers } from "./bind.ts";
import type { DeviceBuffer } from "./buffer.ts";
import { Program } from "./executor.ts";
import type { Network } from "./network.ts";
import { readIntegers } from "./readback.ts";

/** The content of an arena, for messages. */
const meanings: Partial<Readonly<Record<ArenaRole, string>>> = {
  gradients: "the gradient of",
  "gradient_sum": "the gradient of",
  velocity: "the momentum of",
  "second_moment": "the second moment of",
  mean: "the mean over the steps of",
  variance: "the variance over the steps of",
  fisher: "the Fisher information of",
  "gradient_mean": "the mean gradient of",
  scores: "the score of",
};

/** Arenas of squares, which are at least 0. */
const squares: readonly ArenaRole[] = ["second_moment", "variance", "fisher"];

/** A repeatable check of some arenas. Dispose of it to free its memory. */
export interface FiniteCheck extends Disposable {
  /** Submits a check of the present numbers. */
  run(): void;
  /** One word per arena, not 0 if a bad number was found, to be read together with other buffers. */
  readonly found: DeviceBuffer;
  /**
   * Names the first number of the last run that is not finite, or the variance below 0.
   *
   * @param found The content of `found`. Default: it is read.
   * @returns such as `conv1.weight[5, 0, 2, 2] is NaN`, by its index in PyTorch's layout; undefined if all is well.
   */
  name(found?: Uint32Array): Promise<string | undefined>;
}

/** Prepares a check of the given arenas, as far as the network has them. */
export async function openFiniteCheck(network: Network, roles: readonly ArenaRole[]): Promise<FiniteCheck> {
  const { gpu, layout } = network;
  const held = roles.filter((role) => role === "values" || network.arenas.has(role))
    .filter((role) => !isStatistics(role) || layout.statisticsQuads > 0);
  const found = gpu.createBuffer("numbers that are not finite", 4 * held.length);
  const dispatches = held.flatMap((role, part) => lowerFiniteCheck(layout, role, part));
  try {
    const bind = bindBuffers("the check of numbers", { network, input: () => found });
    const program = await Program.create(gpu, dispatches, { bind });
    return {
      found,
      run() {
        found.write(new Uint32Array(found.sizeBytes / 4));
        program.run();
      },
      async name(words) {
        words ??= await readIntegers(gpu, found);
        for (const [part, role] of held.entries()) {
          if (words[part] !== 0) return await nameIn(network, role);
        }
      },
      [Symbol.dispose]() {
        program[Symbol.dispose]();
        found[Symbol.dispose]();
      },
    };
  } catch (error) {
    found[Symbol.dispose]();
    throw error;
  }
}

/** Names the first number in some arenas that is not finite; undefined if all is well. */
export async function findNotFinite(
  network: Network,
  roles: readonly ArenaRole[],
): Promise<string | undefined> {
  using check = await openFiniteCheck(network, roles);
  check.run();
  return await check.name();
}

/**
 * Refuses a network with a number that is not finite in one of the arenas.
 *
 * @param act The refused act, such as `recalibrate`.
 * @throws {NumericError} If there is such a number.
 */
export async function checkArenasFinite(
  network: Network,
  roles: readonly ArenaRole[],
  act: string,
): Promise<void> {
  const current = await findNotFinite(network, roles);
  if (current !== undefined) throw notFinite(network, act, current);
}

/** The error for a number of a network that is not finite. */
export function notFinite({ graph }: Network, act: string, current: string): NumericError {
  return new NumericError({
    act,
    thing: graph.name,
    current,
    wanted: "finite numbers, and variances from 0",
  });
}

/** The dispatches that check an arena: all of it, and the variances in it for their sign. */
export function lowerFiniteCheck(
  layout: ParameterLayout,
  role: ArenaRole,
  part: number,
): readonly Dispatch[] {
  const body = (offset: number, quads: number, isVariance: boolean): DispatchBody => ({
    kernel: "check/finite",
    label: `check ${role}`,
    bindings: { numbers: arenaRef(role), found: inputRef("found") },
    params: { quads, offset, part },
    constants: { NOT_NEGATIVE: isVariance ? 1 : 0 },
  });
  if (!isStatistics(role)) {
    return overWindows(layout.windows, ({ quads }) => body(0, quads, squares.includes(role)));
  }
  const over = (offset: number, quads: number, isVariance: boolean) =>
    dispatchOver(quads, body(offset, quads, isVariance));
  const variances = layout.parameters.filter(isVariance);
  return [
    over(0, layout.statisticsQuads, false),
    ...variances.map(({ offset, quads }) => over(offset, quads, true)),
  ];
}

/** True for batch norm's running variance. */
function isVariance({ role, name }: PlacedParameter): boolean {
  return role === "statistic" && name === "running_var";
}

/** Finds the bad number on the host, in the order of the layers. */
async function nameIn(network: Network, role: ArenaRole): Promise<string> {
  const numbers = await network.readArena(role), isSquare = squares.includes(role);
  const what = meanings[role] === undefined ? "" : `${meanings[role]} `;
  for (const parameter of network.layout.parameters) {
    const own = numbers.get(parameter.fullName), least = isSquare || isVariance(parameter) ? 0 : -Infinity;
    const wrong = own?.findIndex((value) => !Number.isFinite(value) || value < least) ?? -1;
    if (wrong >= 0) {
      return `${what}${parameter.fullName}${indexText(wrong, parameter.shape)} is ${own![wrong]}`;
    }
  }
  // Kernels keep the padding of quads zero.
  return `${what}a channel that pads a parameter is not finite`;
}
