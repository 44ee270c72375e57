/**
 * Products for which some cores need the weight in another form. A dispatch before the product transforms it.
 *
 * @module
 */
import type { BufferRef } from "./buffer_ref.ts";
import type { Dispatch } from "./dispatch.ts";
import { dispatchProduct } from "./gemm.ts";
import type { ProductChoice, ProductShape } from "./product.ts";
import { transformFilters, winogradCore } from "./winograd.ts";

/**
 * The dispatches of a product whose weight lies at `params.weight` of the buffer bound as `values`: the transform of
 * the weight, if the core needs one, then the product.
 *
 * @param scratch Declares a tensor of so many quads for intermediate results.
 */
export function dispatchWeighted(
  shape: ProductShape,
  choice: ProductChoice,
  { scratch, ...product }: Parameters<typeof dispatchProduct>[2] & {
    readonly scratch: (purpose: string, quads: number) => BufferRef;
  },
): readonly Dispatch[] {
  if (choice.core !== winogradCore) return [dispatchProduct(shape, choice, product)];
  const { label, bindings, params } = product;
  const filters = transformFilters(shape, {
    label,
    values: bindings.values,
    weight: params.weight,
    transformed: (quads) => scratch("transformed filters", quads),
  });
  const transformed = filters.bindings.transformed;
  return [filters, dispatchProduct(shape, choice, { ...product, bindings: { ...bindings, transformed } })];
}
