/**
 * The tuner's choices in a file, so a machine is measured once and all its runs compute in the same way.
 *
 * The file has one entry per tuned adapter. An entry is valid only for the adapter, runtime and kernels that it was
 * measured with. Otherwise the products are measured again.
 *
 * @module
 */
import { z } from "zod";
import { maxJsonBytes, parseJson } from "../json.ts";
import { assembleKernel } from "../kernels/assemble.ts";
import { coreTable } from "../kernels/core_table.ts";
import { kernelNames } from "../kernels/source.ts";
import { dirname, type Files } from "../files.ts";
import type { Gpu } from "./device.ts";
import { gpuIdentitySchema, identityEntries } from "./identity.ts";

/** The file for choices. */
export interface TunerCacheFile {
  readonly files: Files;
  readonly path: string;
}

/** Since 2 the key holds the backend. */
const fileVersion = 2;

const choiceSchema = z.strictObject({
  core: z.string(),
  splits: z.int().min(1),
  path: z.enum(["storage", "texture"]).optional(),
});

const productSchema = z.strictObject({
  /** The shape as text, see `shapeKey`. */
  shape: z.string(),
  mode: z.enum(["quick", "full"]),
  taken: choiceSchema,
  byDefault: choiceSchema,
  candidates: z.array(z.strictObject({
    choice: choiceSchema,
    /** Milliseconds; absent if the candidate was rejected. */
    timeMs: z.number().nonnegative().optional(),
    /** The reason why the candidate was rejected. */
    rejected: z.string().optional(),
  })),
});

const keySchema = gpuIdentitySchema.extend({
  adapter: z.string(),
  runtime: z.string(),
  /** SHA-256 of all product kernels as they are compiled. */
  kernels: z.string(),
});

const fileSchema = z.strictObject({
  format: z.literal("winnow tuning"),
  version: z.literal(fileVersion),
  entries: z.array(z.strictObject({ key: keySchema, products: z.array(productSchema) })),
});

/** The measurements of one product. */
export type TunedProduct = Readonly<z.infer<typeof productSchema>>;

/** The key of a valid entry. */
export type TunerKey = Readonly<z.infer<typeof keySchema>>;

type CacheFile = z.infer<typeof fileSchema>;

/** The key of a device: adapter, driver as far as WebGPU reports it, runtime, and the text of all product kernels. */
export async function tunerKey(gpu: Gpu, runtime: string): Promise<TunerKey> {
  return { adapter: gpu.adapter.name, ...gpu.identity, runtime, kernels: await hashKernels() };
}

async function hashKernels(): Promise<string> {
  const operations = kernelNames.filter((name) => name.startsWith("gemm/conv2d_"));
  const products = Object.keys(coreTable).flatMap((core) => operations.map((name) => `${core}:${name}`));
  const winograd = kernelNames.filter((name) => name.startsWith("winograd/"));
  const names = [...products, ...winograd, "reduce/splits"];
  const texts = names.flatMap((name) => [assembleKernel(name, "storage"), assembleKernel(name, "texture")]);
  const bytes = new TextEncoder().encode(texts.map(({ name, code }) => `${name}\n${code}`).join("\n"));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Reads the products of a key.
 *
 * @param note Called with one line if the file exists but is not usable.
 */
export async function readTunerCache(
  { files, path }: TunerCacheFile,
  key: TunerKey,
  note: (line: string) => void,
): Promise<readonly TunedProduct[]> {
  const found = await readFile({ files, path });
  if (found === "absent") return [];
  if (found === "unreadable") {
    note(`the tuning cache ${path} is damaged or of another version, so products are measured again`);
    return [];
  }
  const entry = found.entries.find((candidate) => isSameKey(candidate.key, key));
  if (!entry) {
    const isOlder = found.entries.some((candidate) => isSameAdapter(candidate.key, key));
    const why = isOlder
      ? "was measured with another runtime or other kernels"
      : "holds no choices for this adapter";
    note(`the tuning cache ${path} ${why}, so products are measured again`);
  }
  return entry?.products ?? [];
}

/**
 * Writes the products of a key. They replace earlier measurements of that adapter; entries of other adapters are
 * kept.
 *
 * @throws {FileError} If the file cannot be written.
 */
export async function writeTunerCache(
  { files, path }: TunerCacheFile,
  key: TunerKey,
  products: readonly TunedProduct[],
): Promise<void> {
  const found = await readFile({ files, path });
  const others = typeof found === "string"
    ? []
    : found.entries.filter((entry) => !isSameAdapter(entry.key, key));
  const content: CacheFile = {
    format: "winnow tuning",
    version: fileVersion,
    entries: [...others, { key, products: [...products] }],
  };
  await files.makeFolder(dirname(path));
  await files.write(path, new TextEncoder().encode(`${JSON.stringify(content, undefined, 1)}\n`));
}

async function readFile({ files, path }: TunerCacheFile): Promise<CacheFile | "absent" | "unreadable"> {
  try {
    if (await files.sizeBytes(path) === undefined) return "absent";
    const bytes = await files.read(path, { maxBytes: maxJsonBytes });
    return fileSchema.parse(parseJson(bytes, { act: "read", thing: path, wanted: "JSON" }));
  } catch {
    // A cache that cannot be read costs a measurement and nothing else.
    return "unreadable";
  }
}

function isSameKey(a: TunerKey, b: TunerKey): boolean {
  return isSameAdapter(a, b) && a.runtime === b.runtime && a.kernels === b.kernels;
}

/** True for the same adapter opened in the same way; runtime and kernels may differ. */
function isSameAdapter(a: TunerKey, b: TunerKey): boolean {
  const entries = (key: TunerKey) => JSON.stringify(identityEntries(key.adapter, key));
  return entries(a) === entries(b);
}
