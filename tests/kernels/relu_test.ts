/** Holds the rectifier against the f64 reference; it computes nothing, so all values are exact. */
import { inputRefs } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { countQuads } from "../../src/shape.ts";
import { reluBackward, reluForward } from "../reference/relu.ts";
import { randomTensor } from "../reference/tensor.ts";
import { fromQuads, readPaths, runKernels, toQuads } from "./harness.ts";
import { assertPadding, assertSame, unwritten } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`relu_forward() and relu_backward() are exact, also at 0, ${path} path`, async () => {
    for (const [rows, channels] of [[1, 1], [3, 5], [129, 7]]) {
      const x = randomTensor([rows, channels], 1), dy = randomTensor([rows, channels], 2);
      x.values[0] = 0;
      if (channels > 1) x.values[1] = -0;
      const quads = rows * countQuads(channels);
      const over = (kernel: string, bindings: Record<string, string>) =>
        dispatchOver(quads, { kernel, label: kernel, bindings: inputRefs(bindings), params: { quads } });
      const { floats } = await runKernels({
        path,
        dispatches: [
          over("layer/relu_forward", { x: "x", y: "y" }),
          over("layer/relu_backward", { y: "y", dy: "dy", dx: "dx" }),
        ],
        buffers: {
          x: toQuads(x.values, rows, channels),
          dy: toQuads(dy.values, rows, channels),
          y: unwritten(4 * quads),
          dx: unwritten(4 * quads),
        },
      });
      assertSame(fromQuads(floats("y"), rows, channels), reluForward(x).values, "y");
      assertSame(fromQuads(floats("dx"), rows, channels), reluBackward(x, dy).values, "dx");
      for (const name of ["y", "dx"]) assertPadding(floats(name), channels, { name });
    }
  });
}
