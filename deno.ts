/**
 * What only Deno can do: files, readers of blocks in threads, the digits of a package, and the probe of subgroups in a
 * helper process. The library takes them by itself when it is loaded in Deno.
 *
 * @module
 */
export { openDenoBlockReader } from "./src/deno/block_reader.ts";
export { openDenoImageDecoder } from "./src/deno/image_decoder.ts";
export { cacheFolder } from "./src/deno/cache_folder.ts";
export { denoFiles } from "./src/deno/files.ts";
export { mnistPackageFolder } from "./src/deno/mnist_package.ts";
export { probeSubgroups, subgroupProbe } from "./src/deno/subgroups.ts";
export type { ProbeOptions } from "./src/deno/subgroups.ts";
export type { Block, BlockReader, BlockRequest, FileRun, RecordLayout } from "./src/data/shards_reader.ts";
export type { FilePart, Files } from "./src/files.ts";
export type { AdapterChoice } from "./src/gpu/device.ts";
export type { SubgroupOffer, SubgroupProbe } from "./src/gpu/subgroups.ts";
