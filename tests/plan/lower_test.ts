/**
 * Holds whole steps on the device against the f64 reference, on graphs that take every way in which layers meet: fused
 * and lone ReLUs, views, gates, layers before the first parameter.
 *
 * A gradient is a chain of sums. Each sum of n terms adds a relative error of at most n 2^-24 of its terms' absolute
 * values, so the lengths of all sums on the way, added up, times 2^-24 of the largest value are allowed, twice over for
 * what cancels in batch norm.
 */
import { assert, assertEquals } from "@std/assert";
import { countQuads } from "../../src/shape.ts";
import { readPaths } from "../kernels/harness.ts";
import { assertClose, F32_ROUNDOFF, maxAbs, randomTensor } from "../reference/tensor.ts";
import { graphInput as input, graphs } from "./graphs.ts";
import { referencePass } from "./reference_graph.ts";
import { batch, parametersOf, roundingsOf, runStep } from "./step.ts";

for (const path of readPaths) {
  for (const graph of graphs) {
    for (const mode of ["train", "score", "evaluate"] as const) {
      Deno.test(`lowerPlan() computes ${mode} on ${path} as the reference: ${graph.name}`, async () => {
        const images = randomTensor([batch, input.channels, input.height, input.width], 1);
        const labels = Uint32Array.from({ length: 4 * countQuads(batch) }, (_, i) => i % 4);
        const parameters = parametersOf(graph);
        const want = referencePass(graph, parameters, {
          images,
          labels: labels.subarray(0, batch),
          trains: mode === "train",
        });
        const got = await runStep(path, graph, { mode, images, labels, parameters });
        const relative = 2 * F32_ROUNDOFF * roundingsOf(graph);
        const check = (name: string, values: ArrayLike<number>, wanted: ArrayLike<number>) =>
          assertClose(values, wanted, { name, tolerance: relative * Math.max(1e-2, maxAbs(wanted)) });
        check("logits", got.logits, want.logits.values);
        check("loss", [got.tally.lossSum / batch], [want.loss]);
        assertEquals(got.tally.bad, undefined);
        if (mode === "evaluate") return;
        const names = Object.keys(want.gradients);
        assert(names.length >= 7);
        for (const name of names) {
          check(`gradient of ${name}`, got.gradients.get(name)!, want.gradients[name].values);
          if (mode !== "score") continue;
          const squares = want.gradients[name].values.map((g) => batch * g * g);
          check(`Fisher information of ${name}`, got.fisher.get(name)!, squares);
        }
        for (const [name, { values }] of Object.entries(want.statistics)) {
          check(name, got.values.get(name)!, values);
        }
      });
    }
  }
}
