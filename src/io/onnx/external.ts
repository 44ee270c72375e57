/**
 * The files beside an ONNX file that hold its external data. Only files in its own folder, or folders in that, are read.
 *
 * @module
 */
import { type ModelProto, type TensorProto, TensorProto_DataLocation } from "onnx-buf";
import { FormatError } from "../../errors.ts";
import type { Files } from "../../files.ts";
import { type ExternalData, findExternalPart } from "./tensor.ts";

/** The largest file of external data that is read, in bytes. */
const maxBytes = 2 ** 32;

/** The most files of external data. */
const maxFiles = 10_000;

/**
 * Reads every file that a tensor of the model lies in.
 *
 * @throws {FormatError} If a file lies outside of the folder, or there are too many.
 * @throws {FileError} If one cannot be read.
 */
export async function findExternalData(
  { graph }: ModelProto,
  { name, folder, files }: { readonly name: string; readonly folder: string; readonly files: Files },
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
  const read = new Map<string, Uint8Array>();
  for (const location of locations) {
    if (!staysInside(location)) {
      const current = `external data in "${location.slice(0, 100)}"`;
      throw new FormatError({
        act: "read",
        thing: name,
        current,
        wanted: "a file in the folder of the model",
      });
    }
    read.set(location, await files.read(`${folder}/${location}`, { maxBytes }));
  }
  return read;
}

/** True for a relative path that never leaves its folder. */
function staysInside(path: string): boolean {
  const parts = path.split("/");
  return path !== "" && !/[\\:\0]/.test(path) && parts.every((part) => part !== "" && part !== "..");
}
