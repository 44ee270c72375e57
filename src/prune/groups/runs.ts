/**
 * The elements of a coupled group in the arenas, as strided runs for host and GPU.
 *
 * @module
 */
import type { ParameterLayout, PlacedParameter } from "../../plan/layout.ts";
import { countQuads } from "../../shape.ts";
import type { ChannelGroup, ChannelSlice } from "./coupling.ts";

/** Floats of an arena at equal distances. */
export interface ElementRun {
  readonly arena: "values" | "statistics";
  /** The first float. */
  readonly first: number;
  /** Floats from one to the next. */
  readonly stride: number;
  readonly count: number;
}

/** The slices of a group: all of them, or only those that make its channels. */
export type GroupPart = "all" | "producers";

/** A layout's parameters by full name, for repeated look-ups. */
export type ParametersByName = ReadonlyMap<string, PlacedParameter>;

/** A layout's parameters by full name. */
export function indexParameters({ parameters }: ParameterLayout): ParametersByName {
  return new Map(parameters.map((parameter) => [parameter.fullName, parameter]));
}

/**
 * The elements of a group, each once. If a weight reads and makes channels of the same group, its column skips the
 * group's rows. Runs of rows include the padding.
 */
export function groupRuns(
  parameters: ParametersByName,
  group: ChannelGroup,
  part: GroupPart = "all",
): readonly ElementRun[] {
  const rowsOf = new Map<string, number[]>();
  for (const { parameter, axis, index } of group.producers) {
    if (axis !== "row") continue;
    const rows = rowsOf.get(parameter) ?? [];
    rowsOf.set(parameter, rows);
    rows.push(index);
  }
  const slices = part === "all" ? [...group.producers, ...group.consumers] : group.producers;
  return slices.flatMap((slice) =>
    sliceRuns(parameters.get(slice.parameter)!, slice, rowsOf.get(slice.parameter) ?? [])
  );
}

function sliceRuns(
  { arena, first, rows, taps, channels, rowQuads }: PlacedParameter,
  { axis, index }: ChannelSlice,
  rowsOfGroup: readonly number[],
): readonly ElementRun[] {
  if (axis === "row") {
    return [{ arena, first: 4 * (first + index * rowQuads), stride: 1, count: 4 * rowQuads }];
  }
  // The distance of a channel from one tap, or row, to the next.
  const stride = 4 * countQuads(channels);
  const edges = [-1, ...[...rowsOfGroup].sort((a, b) => a - b), rows];
  return edges.slice(1).flatMap((end, i): readonly ElementRun[] => {
    const begin = edges[i] + 1, count = (end - begin) * taps;
    return count > 0 ? [{ arena, first: 4 * (first + begin * rowQuads) + index, stride, count }] : [];
  });
}

/** Calls with each float of a run. */
export function forEachElement({ first, stride, count }: ElementRun, visit: (offset: number) => void): void {
  for (let i = 0; i < count; i++) visit(first + i * stride);
}
