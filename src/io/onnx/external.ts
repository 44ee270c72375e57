/**
 * The files beside an ONNX file that hold its external data. Only files in its own folder, or folders in that, are read;
 * links do not lead out of it.
 *
 * @module
 */
import { type ModelProto, type TensorProto, TensorProto_DataLocation } from "onnx-buf";
import { FormatError } from "../../errors.ts";
import { dirname, type Files } from "../../files.ts";
import { type ExternalData, findExternalPart } from "./tensor.ts";

/** The largest file of external data that is read, in bytes. */
const maxBytes = 2 ** 32;

/** The most files of external data. */
const maxFiles = 10_000;

/**
 * Reads every file that a tensor of the model lies in.
 *
 * @param options.name The path of the model. If it is a link, files beside what it leads to are read too: caches of
 *   downloads keep model and data so.
 * @throws {FormatError} If a file lies outside of the folder, through links too, or there are too many.
 * @throws {FileError} If one cannot be read.
 */
export async function findExternalData(
  { graph }: ModelProto,
  { name, files }: { readonly name: string; readonly files: Files },
): Promise<ExternalData> {
  const locations = new Set<string>();
  const note = (tensor: TensorProto | undefined) => {
    if (tensor?.dataLocation === TensorProto_DataLocation.EXTERNAL) {
      locations.add(findExternalPart(tensor).location);
    }
  };
  graph!.initializer.forEach(note);
  for (const { attribute } of graph!.node) for (const { t } of attribute) note(t);
  if (locations.size > maxFiles) {
    const current = `external data in ${locations.size} files`;
    throw new FormatError({ act: "read", thing: name, current, wanted: `at most ${maxFiles}` });
  }
  const folder = dirname(name), model = await files.realPath?.(name);
  const folders = [
    await files.realPath?.(folder) ?? folder,
    ...(model === undefined ? [] : [dirname(model)]),
  ];
  const read = new Map<string, Uint8Array>();
  for (const location of locations) {
    const refuse = (where: string): never => {
      const current = `external data in "${location.slice(0, 100)}"${where}`;
      throw new FormatError({
        act: "read",
        thing: name,
        current,
        wanted: "a file in the folder of the model",
      });
    };
    if (!staysInside(location)) refuse("");
    const path = `${folder}/${location}`, real = await files.realPath?.(path);
    if (real !== undefined && !folders.some((folder) => isBelow(real, folder))) refuse(`, a link to ${real}`);
    read.set(location, await files.read(real ?? path, { maxBytes }));
  }
  return read;
}

/** True for a path in a folder, or in a folder inside it. */
function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith("/") ? folder : `${folder}/`);
}

/** True for a relative path that never leaves its folder. */
function staysInside(path: string): boolean {
  const parts = path.split("/");
  return path !== "" && !/[\\:\0]/.test(path) && parts.every((part) => part !== "" && part !== "..");
}
