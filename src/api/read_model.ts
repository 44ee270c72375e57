/**
 * Copies of a model on the host and in files, by names and in PyTorch's order.
 *
 * @module
 */
import { checkWords } from "../checks.ts";
import { ShapeError } from "../errors.ts";
import { encodeModel, type WeightStore } from "../io/model_file.ts";
import { encodeOnnx } from "../io/onnx/write.ts";
import { describeAlternatives } from "../nearest.ts";
import { getLayerName, type PlacedParameter } from "../plan/layout.ts";
import { prunableTensors } from "../prune/score/criteria.ts";
import type { ModelCore } from "./model_core.ts";
import type { ModelState, NamedTensor } from "./model_options.ts";
import { maskedParameters } from "./model_state.ts";

/** See `Model.state`. */
export function readModelState(core: ModelCore): Promise<ModelState> {
  return core.call("reading", async () => {
    const state = await readState(core);
    core.refit.note(state);
    return state;
  });
}

async function readState({ network }: ModelCore): Promise<ModelState> {
  const parameters = await network.readParameters("values");
  const prunable = new Set(prunableTensors(network.layout).map(({ fullName }) => fullName));
  const all = await network.readParameters("mask");
  return {
    parameters,
    masks: new Map([...all].filter(([name, mask]) => prunable.has(name) || mask.includes(0))),
  };
}

/** See `Model.restore`. */
export function restoreModel(core: ModelCore, state: ModelState): void {
  core.checkIdle("restore");
  const { network } = core;
  network.writeParameters(maskedParameters(network.layout, state));
  network.writeMask(state.masks);
  core.countMasks(state.masks);
  core.refit.restored(state);
}

/** See `Model.encode`. */
export function encodeModelState(core: ModelCore, store: WeightStore): Promise<Uint8Array> {
  return core.call("encoding", async () => {
    checkWords("encode model", { store: [store, ["dense", "sparse"]] });
    const { graph, examples, task: { mean, std, classes } } = core, state = await readState(core);
    const known = examples === undefined ? {} : { examples };
    return encodeModel({ graph, ...state, normalization: { mean, std }, classes, ...known }, store);
  });
}

/** See `Model.encodeOnnx`. */
export function encodeModelAsOnnx(core: ModelCore): Promise<Uint8Array> {
  return core.call("encoding", async () => {
    const { graph, examples, task: { mean, std, classes } } = core, state = await readState(core);
    const known = examples === undefined ? {} : { examples };
    return encodeOnnx({ graph, ...state, normalization: { mean, std }, classes, ...known });
  });
}

/** What is asked for of a parameter: its values, or what masks, scoring and pruning hold for it. */
type ReadRole = "values" | "mask" | "scores" | "confidence";

/**
 * Reads what an arena holds for a parameter, which is named in full or by its layer, whose weight is meant.
 *
 * @throws {ShapeError} If the model has no such parameter, or none of that kind.
 */
export function readTensor(core: ModelCore, role: ReadRole, name: string): Promise<NamedTensor> {
  return core.call("reading", async () => {
    const { layout, graph } = core.network;
    const isRead = ({ arena, prunable }: PlacedParameter) =>
      role === "values" || (role === "mask" ? arena === "values" : prunable);
    const all = layout.parameters.filter(isRead);
    const found = all.find(({ fullName }) => fullName === name) ??
      all.find((parameter) => parameter.prunable && getLayerName(parameter) === name);
    if (!found) {
      const known = all.flatMap((parameter) =>
        parameter.prunable ? [getLayerName(parameter), parameter.fullName] : [parameter.fullName]
      );
      const current = `${graph.name} has none of that name`, wanted = describeAlternatives(name, known);
      throw new ShapeError({ act: `read ${role} of`, thing: name, current, wanted });
    }
    if (role === "scores") core.pruner.checkScored("read scores of", found.fullName);
    return (await readTensors(core, role, [found])).get(found.fullName)!;
  });
}

/** Reads what an arena holds for some parameters, by full name. */
export async function readTensors(
  { network }: ModelCore,
  role: ReadRole,
  parameters: readonly PlacedParameter[],
): Promise<ReadonlyMap<string, NamedTensor>> {
  const all = await network.readParameters(role);
  return new Map(parameters.map(({ fullName: name, shape }) => {
    return [name, { name, shape: [...shape], values: all.get(name)! }];
  }));
}
