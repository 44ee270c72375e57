/**
 * Holds the taking of lines and channels against indices in TypeScript; numbers are moved, so it is exact, but for the one
 * addition.
 */
import { inputRef } from "../../src/kernels/buffer_ref.ts";
import { dispatchOver } from "../../src/kernels/dispatch.ts";
import { countQuads } from "../../src/shape.ts";
import { randomTensor } from "../reference/tensor.ts";
import { readPaths, runKernels, toQuads } from "./harness.ts";
import { assertSame } from "./precision.ts";

/** Lines of `inChannels`, of which `count` are taken with some of their channels. */
interface Taking {
  readonly lines: number;
  readonly inChannels: number;
  readonly count: number;
  readonly firstChannel: number;
  readonly channels: number;
  readonly sampled?: boolean;
  readonly accumulate?: boolean;
}

/** Size 1, odd sizes, channels across quads, several workgroups. */
const takings: readonly Taking[] = [
  { lines: 1, inChannels: 1, count: 1, firstChannel: 0, channels: 1 },
  { lines: 9, inChannels: 10, count: 5, firstChannel: 3, channels: 6 },
  { lines: 9, inChannels: 10, count: 7, firstChannel: 0, channels: 10, sampled: true },
  { lines: 200, inChannels: 7, count: 131, firstChannel: 6, channels: 1, sampled: true, accumulate: true },
  { lines: 70, inChannels: 13, count: 65, firstChannel: 4, channels: 5, accumulate: true },
];

for (const path of readPaths) {
  Deno.test(`gather_lines() takes lines at positions and runs of channels, ${path} path`, async () => {
    for (const [index, each] of takings.entries()) {
      const { lines, inChannels, count, firstChannel, channels, sampled, accumulate } = each;
      const { values } = randomTensor([lines, inChannels], index + 1);
      const positions = Uint32Array.from({ length: count }, (_, i) => (i * 37 + 2) % lines);
      const firstLine = sampled ? 0 : Math.min(2, lines - count), firstOut = 2;
      const outQuads = countQuads(channels), space = 4 * outQuads * (firstOut + count + 1);
      const before = accumulate ? new Float32Array(space).fill(0.25) : new Float32Array(space).fill(7);
      const { floats } = await runKernels({
        path,
        dispatches: [dispatchOver((count + 9) * outQuads, {
          kernel: "refit/gather_lines",
          label: "lines",
          bindings: { lines: inputRef("lines"), positions: inputRef("positions"), out: inputRef("out") },
          params: {
            in_quads: countQuads(inChannels),
            out_quads: outQuads,
            first_channel: firstChannel,
            channels,
          },
          constants: { SAMPLED: sampled ? 1 : 0, ACCUMULATE: accumulate ? 1 : 0 },
        })],
        buffers: { lines: toQuads(values, lines, inChannels), positions, out: before.slice() },
        step: { count, first_line: firstLine, first_out: firstOut },
      });
      const want = before.slice();
      for (let i = 0; i < count; i++) {
        const line = sampled ? positions[i] : firstLine + i;
        for (let c = 0; c < 4 * outQuads; c++) {
          const value = c < channels ? values[line * inChannels + firstChannel + c] : 0;
          const place = 4 * outQuads * (firstOut + i) + c;
          want[place] = accumulate ? Math.fround(value + before[place]) : value;
        }
      }
      assertSame(floats("out"), want, `${path} taking ${index}`);
    }
  });
}
