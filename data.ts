/**
 * Data sets: finding, reading, splitting and streaming labelled images.
 *
 * @module
 */
import "./src/dispose.ts";
import "./src/deno/host.ts";

export { cifar10, loadDataset } from "./src/api/load_data.ts";
export type { Cifar10, Cifar10Options, DatasetOptions } from "./src/api/load_data.ts";
export { loadImages } from "./src/data/load_images.ts";
export type { LoadedImages } from "./src/data/load_images.ts";
export type { ImageFacts, ImageOptions, ModelInput } from "./src/data/image_options.ts";
export type { ImageSize, ResizeMode } from "./src/data/image_resize.ts";
export type {
  DamagedFile,
  DecodedImages,
  DecodeRequest,
  ImageDecoder,
  ProbedImages,
} from "./src/data/image_decoder.ts";
export type { Archive, Download, Patience } from "./src/data/cifar10_archive.ts";
export { isStreamed, limitDataset, splitCalibration, takeSplit } from "./src/data/dataset.ts";
export type { Dataset, ImageSplit, Split } from "./src/data/dataset.ts";
export { LabelledImages } from "./src/data/labelled_images.ts";
export type { ImageTask } from "./src/data/split.ts";
export type { DatasetSources } from "./src/data/locate.ts";
export { loadStreamed } from "./src/data/shards_load.ts";
export type { Block, BlockReader, BlockRequest, FileRun, RecordLayout } from "./src/data/shards_reader.ts";
export type { RecordRun, Shard, StreamedSplit } from "./src/data/shards_split.ts";
export type { FilePart, Files } from "./src/files.ts";
