/** The place between a step's gradients and its update: what is put there is what the optimizer takes. */
import { assert, assertEquals } from "@std/assert";
import { readFloats } from "../../src/gpu/readback.ts";
import { sgd } from "../../src/plan/optimizer.ts";
import { deviceOf } from "../helpers/devices.ts";
import { openWorkbench } from "../helpers/tiny_network.ts";
import { F32_ROUNDOFF } from "../reference/tensor.ts";
import { trainTiny } from "./tiny_training.ts";

Deno.test("train() with a reducer that changes nothing gives the bits of a step in one submit", async () => {
  const gpu = await deviceOf();
  for (const accumulate of [1, 2]) {
    const options = { accumulate, augmentation: "flip", optimizer: sgd({ clipNorm: 0.5 }) } as const;
    using one = openWorkbench(gpu), two = openWorkbench(gpu);
    await trainTiny(one, options);
    let steps = 0;
    const { steps: made } = await trainTiny(two, {
      ...options,
      reduceGradients: async (gradients) => {
        steps++;
        assertEquals(gradients.label, accumulate === 1 ? "gradients" : "gradient_sum");
        await gpu.device.queue.onSubmittedWorkDone();
      },
    });
    assert(made > 0);
    assertEquals(steps, made);
    assertEquals(await two.network.readParameters(), await one.network.readParameters());
  }
});

Deno.test("train() takes the gradient that a reducer leaves", async () => {
  const gpu = await deviceOf();
  using still = openWorkbench(gpu), before = openWorkbench(gpu);
  await trainTiny(still, {
    epochs: 1,
    optimizer: sgd({ momentum: 0 }),
    reduceGradients: (gradients) => {
      gradients.write(new Float32Array(gradients.sizeBytes / 4));
      return Promise.resolve();
    },
  });
  assertEquals(await still.network.readParameters(), await before.network.readParameters());
  // Half the gradient at twice the rate is the same step, but for rounding: the halves of floats are exact.
  using halved = openWorkbench(gpu), plain = openWorkbench(gpu);
  const options = { epochs: 1, optimizer: sgd({ momentum: 0 }) };
  await trainTiny(plain, { ...options, learningRate: .05 });
  await trainTiny(halved, {
    ...options,
    learningRate: .1,
    reduceGradients: async (gradients) => {
      const values = await readFloats(gpu, gradients);
      gradients.write(values.map((value) => value / 2));
    },
  });
  const want = await plain.network.readParameters();
  for (const [name, values] of await halved.network.readParameters()) {
    const largest = Math.max(...want.get(name)!.map(Math.abs));
    // One rounding a step of the rate, which f32 does not hold exactly.
    for (const [i, value] of values.entries()) {
      assert(Math.abs(value - want.get(name)![i]) <= 100 * F32_ROUNDOFF * largest, name);
    }
  }
});
