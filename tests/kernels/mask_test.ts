/** Holds counting, applying and compacting by masks against the host; all are exact. mask/threshold is held by select_test.ts. */
import { inputRef, sliceRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels } from "./harness.ts";
import { assertSame } from "./precision.ts";

for (const path of readPaths) {
  Deno.test(`mask/count() counts kept weights by channel and layer, ${path} path`, async () => {
    // Two tensors in one arena, the second with more rows than a workgroup, and channels and layers of others beside.
    const tensors = [
      { rows: 1, row_quads: 1, offset: 1, channel_offset: 2, layer: 1 },
      { rows: 67, row_quads: 5, offset: 3, channel_offset: 4, layer: 2 },
    ];
    const quads = 3 + 67 * 5;
    const mask = Float32Array.from(randomTensor([4 * quads], 1).values, (value) => value > 0 ? 1 : 0);
    const { integers } = await runKernels({
      path,
      dispatches: tensors.map((params) =>
        dispatchOver(params.rows, {
          kernel: "mask/count",
          label: "count",
          bindings: { mask: inputRef("mask"), channels: inputRef("channels"), layers: inputRef("layers") },
          params,
        })
      ),
      buffers: { mask, channels: new Uint32Array(72).fill(9), layers: 4 },
    });
    const channels = new Uint32Array(72).fill(9), layers = new Uint32Array(4);
    for (const { rows, row_quads: rowQuads, offset, channel_offset: channelOffset, layer } of tensors) {
      for (let row = 0; row < rows; row++) {
        const first = 4 * (offset + row * rowQuads);
        const kept = mask.subarray(first, first + 4 * rowQuads).filter((keep) => keep > 0).length;
        channels[channelOffset + row] = kept;
        layers[layer] += kept;
      }
    }
    assertSame(integers("channels"), channels, `${path} channels`);
    assertSame(integers("layers"), layers, `${path} layers`);
  });

  Deno.test(`mask/apply() sets removed values to zero and leaves the others, ${path} path`, async () => {
    for (const quads of [1, 67]) {
      const values = randomTensor([4 * quads], 1).values;
      const mask = Float32Array.from(randomTensor([4 * quads], 2).values, (value) => value > 0 ? 1 : 0);
      const { floats } = await runKernels({
        path,
        dispatches: [
          dispatchOver(quads, {
            kernel: "mask/apply",
            label: "apply",
            bindings: { mask: inputRef("mask"), out: inputRef("out") },
            params: { quads },
          }),
        ],
        buffers: { mask, out: Float32Array.from(values) },
      });
      assertSame(floats("out"), values.map((value, i) => mask[i] > 0 ? value : 0), `${path} ${quads} quads`);
    }
  });
}

for (const path of readPaths) {
  Deno.test(`mask/compact() gathers numbers, window by window, and leaves the padding zero, ${path} path`, async () => {
    for (const [quads, length, ...cuts] of [[1, 4], [1, 8], [131, 1000], [131, 1000, 16, 112]]) {
      const edges = [0, ...cuts, length / 4];
      const arena = Float32Array.from(randomTensor([length], 1).values);
      const none = 0xffffffff;
      const sources = Uint32Array.from({ length: 4 * quads }, (_, i) => i % 5 === 3 ? none : i * 37 % length);
      const { floats } = await runKernels({
        path,
        dispatches: edges.slice(1).map((end, i) => {
          const window = { first: edges[i], quads: end - edges[i] };
          return dispatchOver(quads, {
            kernel: "mask/compact",
            label: "compact",
            bindings: {
              sources: inputRef("sources"),
              arena: sliceRef(inputRef("arena"), window),
              out: inputRef("out"),
            },
            params: { quads, first: 4 * window.first, count: 4 * window.quads },
          });
        }),
        buffers: { sources, arena, out: 4 * quads },
      });
      const want = Float32Array.from(sources, (source) => source === none ? 0 : arena[source]);
      assertSame(floats("out"), want, `${path} ${quads} quads`);
    }
  });
}
