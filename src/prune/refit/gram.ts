/**
 * The dispatches that gather samples of a layer's inputs and targets and add up their Gram matrices.
 *
 * @module
 */
import type { ReadPath } from "../../kernels/interface.ts";
import { inputRef } from "../../kernels/buffer_ref.ts";
import { type Dispatch, dispatchOver } from "../../kernels/dispatch.ts";
import { dispatchProduct } from "../../kernels/gemm.ts";
import type { ProductChooser, ProductShape } from "../../kernels/product.ts";
import { splitRows, sumColumns, sumSplits } from "../../kernels/reduce.ts";
import { countQuads } from "../../shape.ts";
import { patchQuads, type RefitGeometry } from "./geometry.ts";

/** Lines per panel of the packed lower triangle (kernels/refit/packed.wgsl). */
const panelRows = 64;

/** Samples per segment of the Gram product; batches are multiples of it. */
export const segmentSamples = 64;

/** The position that means no sample. */
export const noPosition = 0xffffffff;

/** Lines of a Gram matrix that one product computes. */
export interface GramPanel {
  /** The output buffer: `covariance` for patches with patches, `cross_covariance` for targets with patches. */
  readonly out: "covariance" | "cross_covariance";
  /** The first line's column in a sample: patch, then target. */
  readonly first: number;
  readonly rows: number;
  readonly columns: number;
  /** Its first quad in the buffer. */
  readonly offset: number;
}

/** The panels of the packed lower triangle of H, then the one of C. */
export function gramPanels(geometry: RefitGeometry): readonly GramPanel[] {
  const width = 4 * patchQuads(geometry);
  const panels: GramPanel[] = [];
  let offset = 0;
  for (let first = 0; first < width; first += panelRows) {
    const rows = Math.min(panelRows, width - first), columns = first + rows;
    panels.push({ out: "covariance", first, rows, columns, offset });
    offset += rows * columns / 4;
  }
  const rows = geometry.outChannels;
  return [...panels, { out: "cross_covariance", first: width, rows, columns: width, offset: 0 }];
}

/** Quads of a buffer that panels fill. */
export function panelQuads(panels: readonly GramPanel[], out: GramPanel["out"]): number {
  return panels.reduce((sum, panel) => panel.out === out ? sum + panel.rows * panel.columns / 4 : sum, 0);
}

/** The context of the dispatches over a batch of samples. */
export interface GramContext {
  readonly geometry: RefitGeometry;
  /** Samples per batch, a multiple of 64. */
  readonly samples: number;
  readonly choose: ProductChooser;
  /** The read path of gathering and sums: that of products, because they share operands. */
  readonly path: ReadPath;
}

/** The product of a panel, over the samples of a batch. */
function panelShape({ geometry, samples }: GramContext, { rows, columns, first }: GramPanel): ProductShape {
  const quads = sampleQuads(geometry);
  return {
    operation: "gemm/gram",
    rows,
    columns,
    segments: samples / segmentSamples,
    inner: segmentSamples / 4,
    splittable: true,
    sizes: { quads, first_quad: first / 4 },
    trial: { operands: { v: samples * quads, sums: Math.ceil(rows * columns / 4) }, constants: {} },
  };
}

/** Quads of a sample: its patch, then its target. */
export function sampleQuads(geometry: RefitGeometry): number {
  return patchQuads(geometry) + countQuads(geometry.outChannels);
}

/** Quads of each scratch buffer that the dispatches name. */
export function gramScratchQuads(context: GramContext): Readonly<Record<string, number>> {
  const { geometry, samples, choose } = context;
  const quads = sampleQuads(geometry);
  const splits = gramPanels(geometry).map((panel) =>
    choose(panelShape(context, panel)).splits * panel.rows * panel.columns / 4
  );
  return {
    samples: samples * quads,
    "chunk_sums": splitRows(samples, quads).chunks * quads,
    "split_sums": Math.max(...splits),
  };
}

/** The dispatches that gather samples into `samples`, from `x`, `target_values` and, `withSkip`, the skip's tensors. */
function lowerGather({ geometry, samples, path }: GramContext, withSkip: boolean): readonly Dispatch[] {
  const { name, inChannels, inSize, outChannels, outSize, kernel, stride, padding, dilation } = geometry;
  const patch = patchQuads(geometry);
  const params = { samples, quads: sampleQuads(geometry), "patch_quads": patch };
  const shared = {
    positions: inputRef("positions"),
    "shift_sums": inputRef("shift_sums"),
    v: inputRef("samples"),
  };
  const patches = dispatchOver(samples * patch, {
    kernel: "refit/gather_patches",
    label: `${name} patches`,
    bindings: { ...shared, x: inputRef("x") },
    params: {
      ...params,
      in_height: inSize[0],
      in_width: inSize[1],
      in_quads: countQuads(inChannels),
      out_height: outSize[0],
      out_width: outSize[1],
      kernel_width: kernel[1],
      stride_y: stride[0],
      stride_x: stride[1],
      padding_y: padding[0],
      padding_x: padding[1],
      dilation_y: dilation[0],
      dilation_x: dilation[1],
    },
  });
  // Every binding needs a buffer, even if it is not read.
  const skip = withSkip
    ? { skip_dense: inputRef("skip_dense"), skip_pruned: inputRef("skip_pruned"), alpha: inputRef("alpha") }
    : {
      skip_dense: inputRef("target_values"),
      skip_pruned: inputRef("target_values"),
      alpha: inputRef("target_values"),
    };
  const targets = dispatchOver(samples * countQuads(outChannels), {
    kernel: "refit/gather_targets",
    label: `${name} targets`,
    bindings: { ...shared, ...skip, target_values: inputRef("target_values") },
    params,
    constants: { HAS_SKIP: withSkip ? 1 : 0 },
  });
  return [{ ...patches, path }, { ...targets, path }];
}

/** The dispatches that sum the columns of `samples`, into a buffer, or added to it. */
function lowerSums(
  { geometry, samples, path }: GramContext,
  { out, accumulates }: { readonly out: string; readonly accumulates: boolean },
): readonly Dispatch[] {
  const [chunks, sum] = sumColumns({
    label: `${geometry.name} ${out}`,
    term: "reduce/bias_backward",
    bindings: { dy: inputRef("samples") },
    rows: samples,
    quads: sampleQuads(geometry),
    scratch: inputRef("chunk_sums"),
    out: inputRef(out),
    offset: 0,
    scale: 1,
    accumulates,
  });
  return [{ ...chunks!, path }, sum!];
}

/** The dispatches that sum a batch's columns into `shift_sums`, to be run with `shift_scale` 0. */
export function lowerShift(context: GramContext, withSkip: boolean): readonly Dispatch[] {
  return [
    ...lowerGather(context, withSkip),
    ...lowerSums(context, { out: "shift_sums", accumulates: false }),
  ];
}

/**
 * The dispatches that add a batch's shifted samples into `column_sums`, `covariance` and `cross_covariance`. Run them
 * with `shift_scale` 1 / n, where n is the number of samples in `shift_sums`.
 */
export function lowerAccumulation(context: GramContext, withSkip: boolean): readonly Dispatch[] {
  const { geometry, choose } = context;
  const products = gramPanels(geometry).flatMap((panel): Dispatch[] => {
    const { out, offset, rows, columns } = panel;
    const shape = panelShape(context, panel), choice = choose(shape);
    const label = `${geometry.name} ${out} ${panel.first}`, scratch = inputRef("split_sums");
    const product = dispatchProduct(shape, choice, {
      label,
      bindings: { v: inputRef("samples"), sums: scratch },
      params: {},
    });
    const quads = rows * columns / 4, { splits } = choice;
    const sum = { label, scratch, out: inputRef(out), offset, quads, splits, scale: 1 };
    return [product, sumSplits({ ...sum, accumulates: true })];
  });
  return [
    ...lowerGather(context, withSkip),
    ...lowerSums(context, { out: "column_sums", accumulates: true }),
    ...products,
  ];
}

/** The dispatches that turn the sums over `count` samples into covariances, in place. */
export function lowerCovariances(geometry: RefitGeometry, count: number): readonly Dispatch[] {
  return gramPanels(geometry).map(({ out, first, rows, columns, offset }) =>
    dispatchOver(rows * columns / 4, {
      kernel: "refit/covariance",
      label: `${geometry.name} ${out} ${first} centred`,
      bindings: { sums: inputRef("column_sums"), products: inputRef(out) },
      params: { rows, column_quads: columns / 4, offset, first, scale: 1 / count },
    })
  );
}
