/**
 * What dispatches must do at least: floating-point operations and bytes, and the time that follows from the adapter's
 * limits (Williams et al. 2009, "Roofline").
 *
 * @module
 */
import { assembleKernel } from "../src/kernels/assemble.ts";
import { type ReadPath, withoutComments } from "../src/kernels/interface.ts";
import type { BufferRef } from "../src/kernels/buffer_ref.ts";
import { type Dispatch, isProductKernel } from "../src/kernels/dispatch.ts";
import { type Graph, resolveGraph } from "../src/model/graph.ts";
import type { Plan } from "../src/plan/plan.ts";
import { countFeatures } from "../src/shape.ts";

/** The least that some work must do. */
export interface Cost {
  /** Floating-point operations of matrix products, 2 for each multiply-add; 0 for all else. */
  readonly flops: number;
  /** Bytes read and written where each operand is read once and each result written once. */
  readonly bytes: number;
}

/** The adapter's limits. */
export interface Peaks {
  /** Multiply-adds, in GFLOP/s. */
  readonly fma: number;
  /** Copying by a kernel, bytes read and written, in GB/s. */
  readonly copy: number;
}

/** How much of a limit was used, and of which. */
export interface Share {
  /**
   * The time that the limit asks for divided by the time taken. Above 1 where a kernel reads more than it writes on an
   * adapter that reads faster than it writes, since the limit is that of a copy.
   */
  readonly share: number;
  readonly limit: "fma" | "copy";
}

/** The cost of one pass of each layer with a matrix product, by the layer's name; its three passes cost the same. */
export function layerCosts(graph: Graph, batch: number): ReadonlyMap<string, Cost> {
  const costs = new Map<string, Cost>();
  for (const { spec, input, output, parameters } of resolveGraph(graph)) {
    const weight = parameters.find(({ role }) => role === "weight");
    if (!weight) continue;
    const { rows, taps, channels } = weight;
    const flops = 2 * batch * countFeatures(output) * taps * channels;
    const numbers = batch * (countFeatures(input) + countFeatures(output)) + rows * taps * channels;
    costs.set(spec.name, { flops, bytes: 4 * numbers });
  }
  return costs;
}

/** The cost of a dispatch that is no matrix product: its quads, once for reading and once for writing. */
export function elementwiseCost(
  { kernel, text, bindings, params }: Dispatch,
  { path, quadsOf }: {
    readonly path: ReadPath;
    /** Quads of a tensor, or undefined for buffers of which `params.quads` are used. */
    readonly quadsOf: (ref: BufferRef) => number | undefined;
  },
): Cost {
  const assembled = assembleKernel(kernel, path, text);
  const source = withoutComments(assembled.code);
  let bytes = 0;
  for (const binding of assembled.interface.bindings.filter(({ quads }) => quads)) {
    const quads = quadsOf(bindings[binding.name]) ?? params.quads ?? 0;
    const accesses = ["read", "write"].filter((verb) =>
      new RegExp(`(?<!fn )\\b${verb}_${binding.name}\\(`).test(source)
    );
    bytes += 16 * quads * accesses.length;
  }
  return { flops: 0, bytes };
}

/** The cost of each dispatch of a plan. */
export function planCosts(
  plan: Plan,
  { graph, path }: { readonly graph: Graph; readonly path: ReadPath },
): readonly Cost[] {
  const layers = layerCosts(graph, plan.batch);
  const quadsOf = (ref: BufferRef) => "tensor" in ref ? plan.tensors.get(ref.tensor)?.quads : undefined;
  return plan.dispatches.map((dispatch) => {
    const layer = [...layers].find(([name]) => dispatch.label.startsWith(`${name} `));
    const isProduct = isProductKernel(dispatch.kernel);
    return isProduct && layer ? layer[1] : elementwiseCost(dispatch, { path, quadsOf });
  });
}

/** The sum of costs. */
export function totalCost(costs: readonly Cost[]): Cost {
  return {
    flops: costs.reduce((sum, { flops }) => sum + flops, 0),
    bytes: costs.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

/** The least time of a list of dispatches, each bound by one limit, against the time that they took. */
export function computeShare(costs: readonly Cost[], { fma, copy }: Peaks, timeMs: number): Share {
  let fmaMs = 0, copyMs = 0;
  for (const { flops, bytes } of costs) {
    const byFma = flops / fma / 1e6, byCopy = bytes / copy / 1e6;
    if (byFma >= byCopy) fmaMs += byFma;
    else copyMs += byCopy;
  }
  return { share: (fmaMs + copyMs) / timeMs, limit: fmaMs >= copyMs ? "fma" : "copy" };
}
