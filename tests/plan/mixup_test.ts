import { assertEquals } from "@std/assert";
import { defaultChooser } from "../../src/kernels/gemm.ts";
import { seedNetwork } from "../../src/model/presets.ts";
import { lowerForward } from "../../src/plan/forward.ts";
import { lowerPlan } from "../../src/plan/lower.ts";
import { sgd } from "../../src/plan/optimizer.ts";

const graph = seedNetwork({ channels: 3, height: 32, width: 32, classes: 10 });
const source = { choose: defaultChooser("storage"), batch: 8, images: { augmentation: "flip" } } as const;
const isOfMixup = (kernel: string) => ["data/mix_images", "loss/mixed_labels"].includes(kernel);

Deno.test("lowerPlan() mixes behind the batch and behind the cross-entropy, and changes nothing else", () => {
  const distillation = { share: .5, temperature: 2 };
  const options = { ...source, mode: "train", optimizer: sgd(), distillation } as const;
  const kernels = (mixes: boolean) => lowerPlan(graph, { ...options, mixes }).dispatches;
  const mixed = kernels(true), names = mixed.map(({ kernel }) => kernel);
  assertEquals(names.slice(0, 2), ["data/batch_images", "data/mix_images"]);
  const at = names.indexOf("loss/mixed_labels");
  assertEquals([names[at - 1], names[at + 1]], ["loss/softmax_cross_entropy", "loss/distillation"]);
  assertEquals(mixed.filter(({ kernel }) => !isOfMixup(kernel)), kernels(false));
});

Deno.test("lowerForward() mixes a teacher's images", () => {
  const names = lowerForward(graph, { ...source, mixes: true }).dispatches.map(({ kernel }) => kernel);
  assertEquals(names.filter(isOfMixup), ["data/mix_images"]);
});
