/**
 * Checks parameters and masks that a model is to take, and combines them.
 *
 * @module
 */
import { describeValue } from "../checks.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import type { NamedParameters } from "../gpu/network.ts";
import { describeAlternatives } from "../nearest.ts";
import type { ParameterLayout, PlacedParameter } from "../plan/layout.ts";
import type { ModelState } from "./model_options.ts";

/**
 * Checks parameters and masks by name, and sets to zero what a mask removes.
 *
 * @returns the parameters; those that change are copied
 * @throws {ShapeError} If a name is not the model's, is missing, or has another number of values.
 * @throws {ConfigError} If a parameter is not finite, a variance below 0, or a mask neither 0 nor 1.
 */
export function maskedParameters(
  { parameters: placed }: Pick<ParameterLayout, "parameters">,
  { parameters, masks }: ModelState,
): NamedParameters {
  const trained = placed.filter(({ arena }) => arena === "values");
  checkNames("restore parameter", parameters, placed);
  for (const parameter of placed) checkParameter(parameter, parameters.get(parameter.fullName));
  checkNames("restore mask of", masks, trained);
  for (const parameter of trained) {
    const mask = masks.get(parameter.fullName);
    if (mask) checkValues("restore mask of", parameter, mask, { fits: isMask, wanted: "0 or 1" });
  }
  return new Map([...parameters].map(([name, values]) => {
    const mask = masks.get(name);
    // A zero keeps its sign, so that a state that is read and restored is the same to the bit.
    const isOff = (i: number) => mask?.[i] === 0 && values[i] !== 0;
    const isMasked = values.some((_, i) => isOff(i));
    return [name, isMasked ? values.map((value, i) => isOff(i) ? 0 : value) : values];
  }));
}

const isMask = (value: number) => value === 0 || value === 1;
// What 32-bit floats cannot hold becomes infinite in them.
const isFloat = (value: number) => Number.isFinite(Math.fround(value));
const isPositiveFloat = (value: number) => isFloat(value) && value >= 0;

function checkParameter(parameter: PlacedParameter, values: Float32Array | undefined): void {
  const { fullName, shape, name } = parameter, act = "restore parameter";
  if (!values) {
    const current = "it is missing", wanted = `shape (${shape.join(", ")})`;
    throw new ShapeError({ act, thing: fullName, current, wanted });
  }
  const isVariance = name === "running_var", fits = isVariance ? isPositiveFloat : isFloat;
  const wanted = isVariance ? "a finite number, at least 0" : "a finite number";
  checkValues(act, parameter, values, { fits, wanted });
}

function checkNames(act: string, named: NamedParameters, placed: readonly PlacedParameter[]): void {
  const known = placed.map(({ fullName }) => fullName);
  for (const name of named.keys()) {
    if (known.includes(name)) continue;
    const current = "the model has none of that name", wanted = describeAlternatives(name, known);
    throw new ShapeError({ act, thing: name, current, wanted });
  }
}

function checkValues(
  act: string,
  { fullName, count, shape }: PlacedParameter,
  values: Float32Array,
  { fits, wanted }: { readonly fits: (value: number) => boolean; readonly wanted: string },
): void {
  if (values.length !== count) {
    const current = `${values.length} values`;
    throw new ShapeError({ act, thing: fullName, current, wanted: `${count} as (${shape.join(", ")})` });
  }
  const wrong = values.findIndex((value) => !fits(value));
  if (wrong < 0) return;
  throw new ConfigError({
    act,
    thing: `${fullName}[${wrong}]`,
    current: describeValue(values[wrong]),
    wanted,
  });
}
