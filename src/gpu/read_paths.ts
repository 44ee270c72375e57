/**
 * The read paths that suit an adapter, by its name: "software adapter" alone does not tell.
 *
 * @module
 */
import type { ReadPath } from "../kernels/interface.ts";

/**
 * The default read path. On llvmpipe a texel costs a fraction of a storage quad; for other adapters that is unknown.
 */
export function defaultReadPath(adapterName: string): ReadPath {
  return /llvmpipe/i.test(adapterName) ? "texture" : "storage";
}

/** False for SwiftShader: its compiler never finishes some kernels that read textures. */
export function readsTextures(adapterName: string): boolean {
  return !/swiftshader/i.test(adapterName);
}
