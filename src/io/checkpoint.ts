/**
 * Checkpoints: everything that a run needs to resume, as one safetensors file. Tensors are named ARENA/PARAMETER, in
 * PyTorch's order. The state of the run is JSON in the metadata.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { parseJson } from "../json.ts";
import { type Graph, parseGraph } from "../model/graph.ts";
import type { LayerDefinition } from "../model/own_layer.ts";
import { layOutParameters, type PlacedParameter } from "../plan/layout.ts";
import { type CheckpointState, parseState } from "./checkpoint_state.ts";
import { checkMask, checkValues } from "./check_values.ts";
import { checkSeal, checksumKey, checksumPlaceholder, seal } from "./checksum.ts";
import { listSome } from "./parameters.ts";
import {
  type NewTensor,
  readSafetensors,
  type StoredTensor,
  tensorFloats,
  tensorIntegers,
  writeSafetensors,
} from "./safetensors.ts";

/** Arenas of trained parameters. All but the values are absent if the run does not use them. */
export const trainedArenas = [
  "values",
  "mean",
  "velocity",
  "second_moment",
  "variance",
  "regrown",
  "stood",
  "best",
] as const;

/** Arenas of batch norm's running statistics: those in use, and those that go with `best`. */
export const statisticsArenas = ["statistics", "statistics_best"] as const;

/** An arena that a checkpoint may hold. */
export type CheckpointArena = typeof trainedArenas[number] | typeof statisticsArenas[number];

/** A run at a moment. */
export interface Checkpoint {
  /** The layers, which compaction may have narrowed. */
  readonly graph: Graph;
  /** Parameters by full name, or statistics, of each arena, in PyTorch's order; `values` always. */
  readonly arenas: ReadonlyMap<CheckpointArena, ReadonlyMap<string, Float32Array>>;
  /**
   * Masks by full name, 1 keeps, 0 removes: of all prunable weights, and of other parameters if any of their numbers
   * is removed.
   */
  readonly masks: ReadonlyMap<string, Float32Array>;
  /** The state of the run. */
  readonly state: CheckpointState;
}

// Version 1 had no checksum; version 2 knew other steps.
const version = 3, metadataKey = "winnow.checkpoint", maskPrefix = "mask";

/**
 * Writes a checkpoint as the bytes of a safetensors file with a checksum; the same checkpoint gives the same bytes.
 *
 * @throws {FormatError} If an arena or a mask is incomplete, or the state is not one that can be read again.
 * @throws {ShapeError} If a parameter has another number of values than its shape says.
 */
export async function encodeCheckpoint({ graph, arenas, masks, state }: Checkpoint): Promise<Uint8Array> {
  const act = "write checkpoint";
  const entries = listEntries(graph, new Set(arenas.keys()), new Set(masks.keys()));
  const tensors = entries.map(({ arena, parameter, tensor }): NewTensor => {
    const { fullName, shape } = parameter;
    const values = (arena === maskPrefix ? masks : arenas.get(arena))?.get(fullName);
    if (!values) return refuse(act, tensor, "it is missing", `shape (${shape.join(", ")})`);
    if (arena === maskPrefix) {
      const kept = Uint8Array.from(values, (keep) => keep === 0 ? 0 : 1);
      return { name: tensor, dtype: "BOOL", shape: [...shape], values: kept };
    }
    checkArena(values, { act, arena, thing: tensor, parameter });
    return { name: tensor, dtype: "F32", shape: [...shape], values };
  });
  const kept = parseState(state, act, graph.name);
  const written = JSON.stringify({ version, graph: parseGraph(graph, graph.name), state: kept });
  const file = writeSafetensors(tensors, { [metadataKey]: written, [checksumKey]: checksumPlaceholder });
  await seal(file);
  return file;
}

/**
 * Reads a checkpoint and checks all of it.
 *
 * @param name The file's name, for messages.
 * @param layers The layers that its graph may have beside the library's.
 * @throws {FormatError} If a bit of the file is not as it was written, it is no checkpoint, a tensor is missing,
 *   surplus, misshapen or not finite, a mask removes a weight that is not 0, or the state is none.
 * @throws {ConfigError} If its graph is none.
 * @throws {ShapeError} If a layer of its graph does not fit its inputs.
 */
export async function decodeCheckpoint(
  bytes: Uint8Array,
  name: string,
  layers: readonly LayerDefinition[] = [],
): Promise<Checkpoint> {
  const { tensors, metadata } = readSafetensors(bytes, name);
  const act = "read checkpoint", text = metadata[metadataKey];
  if (text === undefined) {
    return refuse(act, name, `no metadata ${metadataKey}`, "a checkpoint that winnow wrote");
  }
  const header = parseJson(text, { act, thing: `${name}, ${metadataKey}`, wanted: "JSON" }) as
    | { version?: unknown; graph?: unknown; state?: unknown }
    | null;
  if (header?.version !== version) {
    const wanted = `version ${version}, as this winnow writes it`;
    refuse(act, name, `version ${JSON.stringify(header?.version)}`, wanted);
  }
  await checkSeal(bytes, { act, name });
  const graph = parseGraph(header!.graph, name, { layers }), state = parseState(header!.state, act, name);
  const stored = new Set([...tensors.keys()].map((tensor) => tensor.slice(0, tensor.indexOf("/"))));
  const masked = [...tensors.keys()].filter((tensor) => tensor.startsWith(`${maskPrefix}/`));
  const entries = listEntries(
    graph,
    stored,
    new Set(masked.map((tensor) => tensor.slice(maskPrefix.length + 1))),
  );
  checkTensors(tensors, entries, name);
  const arenas = new Map<CheckpointArena, Map<string, Float32Array>>(),
    masks = new Map<string, Float32Array>();
  for (const { arena, parameter, tensor } of entries) {
    const { fullName, shape } = parameter, thing = `${name}, ${tensor}`, found = tensors.get(tensor)!;
    const dtype = arena === maskPrefix ? "BOOL" : "F32";
    if (found.dtype !== dtype) refuse(act, thing, `its type is ${found.dtype}`, dtype);
    if (arena === maskPrefix) {
      const mask = Float32Array.from(tensorIntegers(found, thing));
      // Values stand before masks.
      checkMask(arenas.get("values")!.get(fullName)!, mask, {
        act,
        thing: `${name}, values/${fullName}`,
        shape,
      });
      masks.set(fullName, mask);
      continue;
    }
    const values = tensorFloats(found, thing);
    checkArena(values, { act, arena, thing, parameter });
    arenas.set(arena, (arenas.get(arena) ?? new Map<string, Float32Array>()).set(fullName, values));
  }
  return { graph, arenas, masks, state };
}

/**
 * Saves a checkpoint, whole or not at all: a checkpoint that was there before stays until the new one is complete.
 *
 * @throws {FileError} If the file cannot be written.
 * @throws {FormatError} If the checkpoint is incomplete.
 */
export async function saveCheckpoint(checkpoint: Checkpoint, path: string, files: Files): Promise<void> {
  await files.write(path, await encodeCheckpoint(checkpoint));
}

/**
 * Loads a checkpoint that was saved.
 *
 * @throws {FileError} If the file cannot be read.
 * @throws {FormatError} If it is damaged or no checkpoint.
 */
export async function loadCheckpoint(
  path: string,
  files: Files,
  layers: readonly LayerDefinition[] = [],
): Promise<Checkpoint> {
  return await decodeCheckpoint(await files.read(path), path, layers);
}

/** A tensor that a checkpoint of a graph may hold. */
interface Entry {
  readonly arena: CheckpointArena | typeof maskPrefix;
  readonly parameter: PlacedParameter;
  readonly tensor: string;
}

/**
 * The tensors of a graph's checkpoint that holds some arenas and masks: values, statistics in use and masks of prunable
 * weights belong to any.
 */
function listEntries(
  graph: Graph,
  held: ReadonlySet<string>,
  masked: ReadonlySet<string>,
): readonly Entry[] {
  const { parameters } = layOutParameters(graph);
  const isHeld = (arena: string) => ["values", "statistics"].includes(arena) || held.has(arena);
  const entriesIn = (arena: Entry["arena"], belongs: (parameter: PlacedParameter) => boolean) =>
    parameters.filter(belongs).map((parameter): Entry => {
      return { arena, parameter, tensor: `${arena}/${parameter.fullName}` };
    });
  return [
    ...trainedArenas.filter(isHeld).flatMap((arena) => entriesIn(arena, ({ arena }) => arena === "values")),
    ...statisticsArenas.filter(isHeld).flatMap((arena) =>
      entriesIn(arena, ({ arena }) => arena === "statistics")
    ),
    ...entriesIn(
      maskPrefix,
      ({ prunable, arena, fullName }) => prunable || (arena === "values" && masked.has(fullName)),
    ),
  ];
}

/** Refuses numbers that training could not go on from. */
function checkArena(
  values: Float32Array,
  { act, arena, thing, parameter: { shape, min } }: {
    readonly act: string;
    readonly arena: CheckpointArena;
    readonly thing: string;
    readonly parameter: PlacedParameter;
  },
): void {
  const isSquare = arena === "second_moment" || arena === "variance";
  checkValues(values, { act, thing, shape, min: isSquare ? 0 : min });
}

function checkTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  entries: readonly Entry[],
  name: string,
): void {
  const known = new Set(entries.map(({ tensor }) => tensor));
  const missing = [...known].filter((tensor) => !tensors.has(tensor));
  const surplus = [...tensors.keys()].filter((tensor) => !known.has(tensor));
  const misshapen = entries.filter(({ tensor, parameter: { shape } }) =>
    tensors.has(tensor) && tensors.get(tensor)!.shape.join() !== shape.join()
  ).map(({ tensor }) => tensor);
  const wrong = Object.entries({ missing, surplus, misshapen }).filter(([, names]) => names.length > 0);
  if (wrong.length === 0) return;
  const current = wrong.map(([kind, names]) => `${kind}: ${listSome(names)}`).join("; ");
  refuse("read checkpoint", name, current, `the ${known.size} tensors of its graph`);
}

function refuse(act: string, thing: string, current: string, wanted: string): never {
  throw new FormatError({ act, thing, current, wanted });
}
