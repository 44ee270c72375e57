/**
 * What the examples and weights of a run are, in few words: equal where their contents are, wherever they lie.
 *
 * @module
 */
import { type Dataset, isStreamed, type Split, takeSplit } from "../data/dataset.ts";
import { loadStreamed } from "../data/shards_load.ts";
import { sha256 } from "../io/checksum.ts";
import type { Graph } from "../model/graph.ts";
import type { LoadedModel } from "../api/load_model.ts";
import type { ModelState } from "../api/model_options.ts";
import type { RunSplits } from "./splits.ts";

/** Bytes that are hashed at a time, so that no second copy of a data set is made. */
const pieceBytes = 2 ** 24;

/** The most records, and bytes, that are read of a split that lies in files. */
const maxSampled = 512, maxSampledBytes = 2 ** 26;

/** A digest of parts, in their order. */
async function digestParts(parts: Iterable<ArrayBufferView | string>): Promise<string> {
  const digests: string[] = [];
  for (const part of parts) {
    const bytes = typeof part === "string"
      ? new TextEncoder().encode(part)
      : new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      digests.push(await sha256(bytes.subarray(from, from + pieceBytes)));
    }
    digests.push(`${bytes.length}`);
  }
  // Half of a digest still tells any two contents apart.
  return (await sha256(new TextEncoder().encode(digests.join()))).slice(0, 32);
}

/** What a split holds: all of it where it lies in memory, else records from all over its files. */
async function splitContents(split: Split): Promise<string> {
  if (!isStreamed(split)) return await digestParts([split.pixels, Uint16Array.from(split.labels)]);
  const { count, layout } = split;
  const fitting = Math.max(1, Math.floor(maxSampledBytes / layout.imageBytes));
  const sampled = Math.min(count, maxSampled, fitting);
  const rows = Uint32Array.from({ length: sampled }, (_, i) => Math.floor(i * count / sampled));
  return await splitContents(await loadStreamed(takeSplit(split, rows)));
}

/** What parameters and masks are. */
async function stateContents({ parameters, masks }: ModelState): Promise<string> {
  const named = [
    ...[...parameters].map(([name, values]) => [name, values] as const),
    ...[...masks].map(([name, values]) => [`mask of ${name}`, values] as const),
  ].sort(([a], [b]) => a < b ? -1 : 1);
  return await digestParts(named.flat());
}

/**
 * What a run learns from and starts with, by names that a message can say.
 *
 * @throws {FileError | FormatError} Where examples that lie in files cannot be read.
 */
export async function runContents(
  { limited, train, calibration, validation, test }: RunSplits,
  { weights, teacher }: { readonly weights?: ModelState; readonly teacher?: LoadedModel },
): Promise<Readonly<Record<string, string>>> {
  return {
    "contents of the training examples": await splitContents(train),
    "contents of the calibration examples": await splitContents(calibration),
    ...(validation ? { "contents of the validation examples": await splitContents(validation) } : {}),
    "contents of the test examples": await splitContents(test),
    ...describeExamples(limited),
    ...(weights ? { "weights to start from": await stateContents(weights) } : {}),
    ...(teacher
      ? {
        "teacher": await digestParts([JSON.stringify(teacher.graph)]),
        ...(teacher.weights ? { "weights of the teacher": await stateContents(teacher.weights) } : {}),
      }
      : {}),
  };
}

/**
 * What a comparison learns from and starts with, whatever its seeds, by names that a message can say.
 *
 * @throws {FileError | FormatError} Where examples that lie in files cannot be read.
 */
export async function comparedContents(
  dataset: Dataset<Split>,
  { graph, weights }: { readonly graph: Graph; readonly weights?: ModelState },
): Promise<Readonly<Record<string, string>>> {
  return {
    "contents of the training examples": await splitContents(dataset.train),
    "contents of the test examples": await splitContents(dataset.test),
    ...describeExamples(dataset),
    "graph": await digestParts([JSON.stringify(graph)]),
    ...(weights ? { "weights to start from": await stateContents(weights) } : {}),
  };
}

function describeExamples({ classes, mean, std }: Dataset<Split>): Readonly<Record<string, string>> {
  return {
    "names of classes": classes.join(", "),
    "normalisation": `mean ${mean.join(", ")}, deviation ${std.join(", ")}`,
  };
}
