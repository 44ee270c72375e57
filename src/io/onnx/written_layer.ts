/**
 * What writing a layer as ONNX takes and gives.
 *
 * @module
 */
import type { GraphNode } from "../../model/graph.ts";
import type { LayerSpec, OwnLayerSpec } from "../../model/layers/index.ts";
import type { OnnxWriter, WrittenValue } from "./writer.ts";

/** A layer, and the values that it reads. */
export interface LayerToWrite<Spec> {
  readonly node: Omit<GraphNode, "spec"> & { readonly spec: Spec };
  readonly sources: readonly WrittenValue[];
}

/** The kinds of the library's layers. */
export type LibrarySpec = Exclude<LayerSpec, OwnLayerSpec>;

/** The layer of a kind; some types of layers have several kinds. */
export type SpecOf<Kind, Spec = LibrarySpec> = Spec extends { readonly kind: infer Own }
  ? Kind extends Own ? Spec : never
  : never;

/** Adds the nodes of a layer and returns its value. */
export type WriteLayer<Spec> = (writer: OnnxWriter, layer: LayerToWrite<Spec>) => WrittenValue;
