import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Model } from "../../src/api/model.ts";
import { Turns } from "../../src/api/turns.ts";
import { StateError } from "../../src/errors.ts";
import { deviceOf } from "../helpers/devices.ts";
import { tinyDataset } from "../helpers/tiny_dataset.ts";
import { tinyGraph } from "../helpers/tiny_network.ts";

const dataset = tinyDataset(), training = { epochs: 1, batch: 16 };

Deno.test("Turns.take() does calls one after the other, those that follow a failure too", async () => {
  const turns = new Turns(), events: string[] = [];
  const act = (name: string, fails = false) =>
    turns.take(name, async () => {
      events.push(`${name} begins`);
      await new Promise((resolve) => setTimeout(resolve, name === "a" ? 20 : 0));
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([act("a", true), act("b"), act("c")]);
  assertEquals(events, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
  assertEquals(results.map(({ status }) => status), ["rejected", "fulfilled", "fulfilled"]);
});

Deno.test("Turns.lend() lets calls in before those that wait, and waits for them", async () => {
  const turns = new Turns(), events: string[] = [];
  const note = (name: string) => turns.take(name, () => Promise.resolve(void events.push(name)));
  const outer = turns.take("outer", async () => {
    await turns.lend(async () => {
      await turns.take("inner", () => turns.lend(() => note("innermost")));
      void note("left behind");
    });
    assertThrows(() => turns.checkIdle("change", "it"), StateError, "outer is under way");
    events.push("outer");
  });
  await Promise.all([outer, note("waiting")]);
  assertEquals(events, ["innermost", "left behind", "outer", "waiting"]);
  turns.checkIdle("change", "it");
});

Deno.test("Model does calls that are made at once in their order", async () => {
  const gpu = await deviceOf(), open = () => new Model(gpu, tinyGraph(), { task: dataset, seed: 2 });
  using one = open();
  using other = open();
  const inTurn = [];
  inTurn.push(await one.evaluate(dataset.test), await one.train(dataset.train, training));
  inTurn.push(await one.evaluate(dataset.test), await one.state());
  const atOnce = await Promise.all([
    other.evaluate(dataset.test),
    other.train(dataset.train, training),
    other.evaluate(dataset.test),
    other.state(),
  ]);
  const timeless = (results: readonly unknown[]) =>
    JSON.stringify(results, (key, v) => key === "seconds" ? 0 : v);
  assertEquals(timeless(atOnce), timeless(inTurn));
  assertEquals([...atOnce[3].parameters], [...(await one.state()).parameters]);
});

Deno.test("Model.restore() waits for nothing, so it is refused while a call is under way", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  const state = await model.state(), evaluating = model.evaluate(dataset.test);
  await Promise.resolve();
  const error = assertThrows(() => model.restore(state), StateError);
  assertEquals(
    error.message,
    'Cannot restore "seed": evaluating seed is under way, expected a call that waits for it',
  );
  await evaluating;
  model.restore(state);
});

Deno.test("functions that calls wait for may call the model, and restore it", async () => {
  using model = new Model(await deviceOf(), tinyGraph(), { task: dataset });
  const called: string[] = [];
  await model.train(dataset.train, {
    ...training,
    checkpoints: {
      isDue: (step) => step === 3,
      async save() {
        called.push("save");
        await model.encode();
        await model.evaluate(dataset.test);
      },
    },
  });
  const start = await model.state();
  await model.prune(0.5, {
    ...{ examples: 96, calibration: dataset.test, test: dataset.test, rounds: 1 },
    async finetune() {
      called.push("finetune");
      await model.train(dataset.train, training);
    },
  });
  model.restore(start);
  await model.refit({
    ...{ calibration: dataset.train, images: 20, positions: 4 },
    async remove() {
      called.push("remove");
      await model.score(dataset.test, { examples: 96, by: "magnitude" });
      await model.remove(50);
    },
  });
  await model.pruneWithRefit({
    ...{ calibration: dataset.train, images: 20, positions: 4, sparsity: 0.5, stages: [0.5] },
    async onStage() {
      called.push("stage");
      await model.evaluate(dataset.test);
      model.restore(start);
    },
  });
  assertEquals(called, ["save", "finetune", "remove", "stage"]);
});

Deno.test("a model that is disposed of ends calls under way and later ones, and says so", async () => {
  const gpu = await deviceOf(), model = new Model(gpu, tinyGraph(), { task: dataset });
  const state = await model.state(), start = gpu.allocatedBytes;
  const under = [model.train(dataset.train, { ...training, epochs: 50 }), model.evaluate(dataset.test)];
  await new Promise((resolve) => setTimeout(resolve, 30));
  model[Symbol.dispose]();
  model[Symbol.dispose]();
  const says = 'Cannot use model "seed": it was disposed of, expected a model that is in use';
  for (const call of under) await assertRejects(() => call, StateError, says);
  const later: readonly (() => Promise<unknown>)[] = [
    () => model.evaluate(dataset.test),
    () => model.train(dataset.train),
    () => model.recalibrate(dataset.train),
    () => model.score(dataset.test, { examples: 96 }),
    () => model.rescore({ examples: 96 }),
    () => model.confidence(dataset.test, { examples: 96 }),
    () => model.remove(1),
    () => model.state(),
    () => model.encode(),
    () => model.compact(dataset.test),
    () => model.refit({ calibration: dataset.test, remove: () => Promise.resolve() }),
    () => model.pruneWithRefit({ calibration: dataset.test, sparsity: 0.5 }),
  ];
  for (const call of later) await assertRejects(call, StateError, says);
  for (const act of [() => model.restore(state), () => model.copy(), () => model.footprint(dataset.train)]) {
    assertThrows(act, StateError, says);
  }
  assertThrows(() => model.keepOnDevice(dataset.test), StateError, says);
  assertEquals(gpu.allocatedBytes < start, true);
});
