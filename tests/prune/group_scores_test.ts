import { assert, assertEquals } from "@std/assert";
import { layOutParameters, takeParameter } from "../../src/plan/layout.ts";
import { Network } from "../../src/gpu/network.ts";
import { coupleChannels } from "../../src/prune/groups/coupling.ts";
import { groupDeviate, sumGroups } from "../../src/prune/groups/scores.ts";
import { forEachElement, groupRuns, indexParameters } from "../../src/prune/groups/runs.ts";
import { PruneBuffers } from "../../src/prune/prune_buffers.ts";
import { deviceOf } from "../helpers/devices.ts";
import { chiSquareBelow } from "../reference/chi_square.ts";
import { normalBelow } from "../reference/erf.ts";
import { assertClose, sumTolerance } from "../reference/tensor.ts";
import { maskGroups } from "./mask_groups.ts";
import { randomArenas, randomGraph } from "./random_graphs.ts";

Deno.test("groupDeviate() gives the chi-square probability, as near as Wilson and Hilferty come", () => {
  for (const elements of [1, 2, 3, 5, 10, 100, 500]) {
    for (let i = 0; i <= 200; i++) {
      const signal = (3 * elements + 20) * i / 200, got = normalBelow(groupDeviate(signal, elements));
      // The formula's own error, largest at z = 0 of one element, where it is Phi(-1.65).
      const want = chiSquareBelow(signal, elements);
      assert(
        Math.abs(got - want) < 0.05 / elements,
        `${elements} elements, ${signal}: ${got}, expected ${want}`,
      );
    }
  }
});

Deno.test("groupDeviate() ranks groups whose confidence rounds to 1", () => {
  assertEquals(normalBelow(groupDeviate(1e4, 10)), 1);
  assert(groupDeviate(1e4, 10) < groupDeviate(2e4, 10));
});

Deno.test("groupRuns() hold every element of a group once, and those of all groups every inner number", () => {
  for (let seed = 0; seed < 30; seed++) {
    const graph = randomGraph(seed), layout = layOutParameters(graph), places = indexParameters(layout);
    for (const group of coupleChannels(graph).groups) {
      const seen = {
        values: new Float32Array(4 * layout.quads),
        statistics: new Float32Array(4 * layout.statisticsQuads),
      };
      for (const run of groupRuns(places, group)) forEachElement(run, (place) => seen[run.arena][place]++);
      const isOf = (name: string, axis: string, index: number) =>
        [...group.producers, ...group.consumers].some((slice) =>
          slice.parameter === name && slice.axis === axis && slice.index === index
        );
      for (const parameter of layout.parameters) {
        const { fullName, channels, taps } = parameter;
        const counts = takeParameter(parameter, seen[parameter.arena]);
        for (const [i, count] of counts.entries()) {
          const row = Math.floor(i / (channels * taps)), channel = Math.floor(i / taps) % channels;
          const want = isOf(fullName, "row", row) || isOf(fullName, "channel", channel) ? 1 : 0;
          assertEquals(count, want, `${graph.name}, ${fullName}[${i}]`);
        }
      }
    }
  }
});

Deno.test("sumGroups() sums a network's scores over what goes, or over what makes the channels", async () => {
  const gpu = await deviceOf(), start = gpu.allocatedBytes;
  {
    const graph = randomGraph(0);
    using network = new Network(gpu, graph, 0);
    using buffers = new PruneBuffers(network);
    const { layout } = network, places = indexParameters(layout), { groups } = coupleChannels(graph);
    const scores = randomArenas(graph, 1).values.map((value, i) =>
      value === 0 || i % 7 === 0 ? -1 : Math.abs(value)
    );
    const mask = maskGroups(layout, groups, {
      removed: [1],
      mask: scores.map((score) => score < 0.1 ? 0 : 1),
    });
    network.arena("scores").write(scores);
    network.arena("mask").write(mask);
    for (
      const [part, isSquared] of [["all", true], ["producers", true], ["all", false]] as const
    ) {
      const { sums, counts } = await sumGroups(buffers, groups, { part, isSquared });
      const want = groups.map((group) => {
        let sum = 0, count = 0;
        for (const run of groupRuns(places, group, part)) {
          if (run.arena !== "values") continue;
          forEachElement(run, (place) => {
            if (scores[place] < 0 || mask[place] === 0) return;
            sum += scores[place] ** (isSquared ? 2 : 1);
            count++;
          });
        }
        return { sum, count };
      });
      assertEquals([...counts], want.map(({ count }) => count));
      assertEquals(counts[1], 0);
      assert(counts.some((count) => count > 20));
      const tolerance = sumTolerance(Math.max(...counts), Math.max(...want.map(({ sum }) => sum)));
      assertClose(sums, want.map(({ sum }) => sum), { tolerance, name: part });
    }
    assertEquals((await sumGroups(buffers, [], { part: "all", isSquared: true })).sums.length, 0);
  }
  assertEquals(gpu.allocatedBytes, start);
});
