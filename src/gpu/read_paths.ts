/**
 * Which read paths an adapter is known to be good for, by its name: "software adapter" alone does not tell.
 *
 * @module
 */
import type { ReadPath } from "../kernels/interface.ts";

/** The read path to take by default. On llvmpipe a texel costs a fraction of a storage quad; elsewhere it is not known. */
export function defaultReadPath(adapterName: string): ReadPath {
  return /llvmpipe/i.test(adapterName) ? "texture" : "storage";
}

/** False for SwiftShader, whose compiler does not come to an end with some kernels that read textures. */
export function readsTextures(adapterName: string): boolean {
  return !/swiftshader/i.test(adapterName);
}
