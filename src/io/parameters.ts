/**
 * A model's parameters out of a file's tensors, by PyTorch's names.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import type { Graph } from "../model/graph.ts";
import { layOutParameters } from "../plan/layout.ts";
import { checkValues } from "./check_values.ts";
import { parameterFloats, type StoredTensor } from "./safetensors.ts";

/** Names of one kind that an error lists before it only counts them. */
const maxListed = 3;

/**
 * What stands before the names of a whole model: DataParallel's and torch.compile's wrappers, a module that holds the network,
 * and a checkpoint that holds its `state_dict`.
 */
const wrappers = ["module.", "_orig_mod.", "model.", "net.", "state_dict."];

/**
 * The tensors that may be parameters: without the counters of batch norm, which only tell how many batches the running
 * statistics saw, and without a wrapper's prefix where every name has it.
 *
 * @param known The names of the model's parameters, if it is known: they keep what looks like a prefix.
 */
export function parameterTensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  known: ReadonlySet<string> = new Set(),
): ReadonlyMap<string, StoredTensor> {
  const entries = [...tensors].filter(([name]) => !/(^|\.)num_batches_tracked$/.test(name));
  const [first] = entries.map(([name]) => name);
  let shared = first?.length ?? 0;
  for (const [name] of entries) {
    let same = 0;
    while (same < shared && name[same] === first[same]) same++;
    shared = same;
  }
  // As many wrappers as all names begin with, one in the other.
  let wrapped = 0;
  const longest = [...known].reduce((most, { length }) => Math.max(most, length), 0) + "_orig".length;
  for (let next = 0; next >= 0;) {
    const isShort = first !== undefined && first.length - wrapped <= longest;
    if (isShort && known.has(first.slice(wrapped).replace(/_(orig|mask)$/, ""))) break;
    next = wrappers.find((prefix) => first?.startsWith(prefix, wrapped))?.length ?? -1;
    if (next < 0 || wrapped + next > shared) break;
    wrapped += next;
  }
  return new Map(entries.map(([name, tensor]) => [name.slice(wrapped), tensor]));
}

/**
 * Reads the parameters and statistics of a model, or only its trained parameters, in PyTorch's order. All are finite,
 * and variances at least 0.
 *
 * @param name The file's name, for messages.
 * @throws {FormatError} If tensors are missing, have no place in the model, or have another shape, by name; or hold
 *   something else than finite numbers, by index and value.
 */
export function readParameters(
  tensors: ReadonlyMap<string, StoredTensor>,
  { graph, name, trainedOnly = false, act = "read model", min }: {
    readonly graph: Graph;
    readonly name: string;
    readonly trainedOnly?: boolean;
    /** The act, for messages. */
    readonly act?: string;
    /** Minimum value. Default: that of the layer. */
    readonly min?: number;
  },
): ReadonlyMap<string, Float32Array> {
  const parameters = layOutParameters(graph).parameters.filter(({ arena }) =>
    !trainedOnly || arena === "values"
  );
  const known = new Set(parameters.map(({ fullName }) => fullName));
  const found = parameterTensors(tensors, known);
  const missing = [...known].filter((fullName) => !found.has(fullName));
  const surplus = [...found.keys()].filter((fullName) => !known.has(fullName));
  const misshapen = parameters.flatMap(({ fullName, shape }) => {
    const stored = found.get(fullName)?.shape;
    if (stored === undefined || stored.join() === shape.join()) return [];
    return [`${fullName} (${stored.join(", ")}) in place of (${shape.join(", ")})`];
  });
  const wrong = [["missing", missing], ["surplus", surplus], ["misshapen", misshapen]] as const;
  if (wrong.some(([, names]) => names.length > 0)) {
    const current = wrong.filter(([, names]) => names.length > 0)
      .map(([kind, names]) => `${kind}: ${listSome(names)}`).join("; ");
    const wanted = `the ${known.size} tensors of model ${graph.name}`;
    throw new FormatError({ act, thing: name, current, wanted });
  }
  return new Map(parameters.map(({ fullName, shape, min: ofLayer }) => {
    const thing = `${name}, ${fullName}`, values = parameterFloats(found.get(fullName)!, thing);
    checkValues(values, { act, thing, shape, min: min ?? ofLayer });
    return [fullName, values] as const;
  }));
}

/** Lists a few names and counts the others. */
export function listSome(names: readonly string[]): string {
  const more = names.length - maxListed;
  const cut = (name: string) => name.length > 80 ? `${name.slice(0, 77)}...` : name;
  return names.slice(0, maxListed).map(cut).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
